"""Deleting everything of a participant: asking, taking it back, progress and certificate (PORTAL-136, STORE-9)."""

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.participants.purging import ask_for_purge, purge_progress, take_back_purge
from webapp.portal.access.rules import requires
from webapp.portal.frame.pages import fragment_or_redirect
from webapp.portal.participants.section import participants

OF = "/view_study/<number:study_number>/participant/<patient_id>"


@participants.get(f"{OF}/purge")
@requires(Capability.PARTICIPANT_PURGE)
def purge(study_number: int, patient_id: str) -> ResponseReturnValue:
    """What a purge deletes, and the form that asks to type the id; afterwards how far it is, and its certificate."""
    return _page()


@participants.post("/delete_participant")
@requires(Capability.PARTICIPANT_PURGE, is_about_participant=True)
def delete_participant() -> ResponseReturnValue:
    """Locks the participant out at once, and deletes everything half an hour later, once the id was typed."""
    typed = request.form.get("typed_id", "").strip().lower()
    if typed != g.participant.patient_id:
        return _page("Type the id of this participant to delete everything."), 422
    ask_for_purge(db.session(), g.participant, actor=actor_of(g.researcher))
    db.session.commit()
    return redirect(url_for("participants.purge", study_number=g.study.id, patient_id=g.participant.patient_id))


@participants.post(f"{OF}/purge/take_back")
@requires(Capability.PARTICIPANT_PURGE)
def take_back(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Brings the participant back as it was, until the purge begins."""
    if take_back_purge(db.session(), g.participant, actor=actor_of(g.researcher)):
        db.session.commit()
        flash("The purge was taken back; everything is as it was.", "good")
    else:
        db.session.rollback()
        flash("The purge has begun and can no longer be taken back.", "warn")
    return redirect(url_for("participants.detail", study_number=study_number, patient_id=patient_id))


@participants.get(f"{OF}/purge/progress")
@requires(Capability.PARTICIPANT_PURGE, is_polled=True)
def purge_state(study_number: int, patient_id: str) -> ResponseReturnValue:
    """What changes while the purge runs; the page asks for it until it is done."""
    page = url_for("participants.purge", study_number=study_number, patient_id=patient_id)
    progress = purge_progress(db.session(), g.participant)
    if progress is None:
        abort(404)
    return fragment_or_redirect("portal/participants/_purge.html", page, progress=progress, participant=g.participant)


def _page(problem: str = "") -> str:
    progress = purge_progress(db.session(), g.participant)
    return render_template(
        "portal/participants/purge.html", participant=g.participant, progress=progress, problem=problem
    )
