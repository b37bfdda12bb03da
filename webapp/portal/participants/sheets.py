"""Enrolment sheets to print, and the guided step for a new phone; a password is shown once, in the answer itself.

The QR code holds the address of the app, never an id or a password (CLAR-33).
"""

import segno
from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import BatchState, Participant
from core.participants import NewParticipant
from core.participants.batches import batch_of_study, renewed_passwords
from core.participants.changing import prepare_new_phone, reset_password
from core.participants.refusals import ParticipantRefused
from core.streams import Platform
from webapp.portal.access.rules import requires
from webapp.portal.participants.section import participants

OF = "/view_study/<number:study_number>/participant/<patient_id>"
SHEETS = "portal/participants/sheets.html"


@participants.get(f"{OF}/new_phone")
@requires(Capability.PARTICIPANT_NEW_PHONE)
def new_phone(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Says what a new phone means, and asks of which kind it is."""
    return render_template("portal/participants/new_phone.html", participant=g.participant, chosen="")


@participants.post(f"{OF}/new_phone", endpoint="prepare_phone")
@requires(Capability.PARTICIPANT_NEW_PHONE)
def prepare_phone(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Forgets the old phone, makes a new password and shows the sheet; warns first where the platform changes."""
    platform = request.form.get("platform", "")
    is_known = platform in list(Platform)
    is_other = is_known and g.participant.os_type not in (None, platform)
    if not is_known or (is_other and request.form.get("confirmed") != "true"):
        page = render_template(
            "portal/participants/new_phone.html",
            participant=g.participant,
            chosen=platform,
            warns=is_other,
            problem="" if is_known else "Choose what kind of phone it is.",
        )
        return page, 200 if is_known else 422
    try:
        password = prepare_new_phone(db.session(), g.participant, actor=actor_of(g.researcher))
        db.session.commit()
    except ParticipantRefused as refused:
        db.session.rollback()
        flash(str(refused), "warn")
        return redirect(url_for("participants.manage", study_number=study_number, patient_id=patient_id))
    return sheets_page([NewParticipant(patient_id, password)], platform)


@participants.post("/reset_participant_password")
@requires(Capability.PARTICIPANT_RESET_PASSWORD, is_about_participant=True)
def new_password() -> ResponseReturnValue:
    """Makes a new password and shows it on a sheet; the old one no longer registers a phone."""
    try:
        password = reset_password(db.session(), g.participant, actor=actor_of(g.researcher))
        db.session.commit()
    except ParticipantRefused as refused:
        db.session.rollback()
        flash(str(refused), "warn")
        path = {"study_number": g.study.id, "patient_id": g.participant.patient_id}
        return redirect(url_for("participants.manage", **path))
    return sheets_page([NewParticipant(g.participant.patient_id, password)], g.participant.os_type or "")


@participants.post("/view_study/<number:study_number>/batches/<number:batch_number>/sheets")
@requires(Capability.PARTICIPANT_CREATE)
def batch_sheets(study_number: int, batch_number: int) -> ResponseReturnValue:
    """Sheets for everybody of the batch who never registered, with new passwords (CLAR-32)."""
    batch = batch_of_study(db.session(), study_number, batch_number)
    if batch is None:
        abort(404)
    if batch.state != BatchState.DONE.value:
        return redirect(url_for("participants.batch", study_number=study_number, batch_number=batch_number))
    new = renewed_passwords(db.session(), batch, actor=actor_of(g.researcher))
    db.session.commit()
    return sheets_page(new)


def sheets_page(new: list[NewParticipant], platform: str = "") -> ResponseReturnValue:
    """One sheet to print for each; steps of one platform where it is known, else of both."""
    ids = [one.patient_id for one in new]
    query = db.select(Participant.patient_id, Participant.external_id).where(Participant.patient_id.in_(ids))
    return render_template(
        SHEETS,
        new=new,
        external_ids={row.patient_id: row.external_id for row in db.session.execute(query)},
        platform=platform,
        code=Markup(segno.make(url_for("phone_pages.download", _external=True), micro=False).svg_inline(scale=4)),
    )
