"""Tabs of a participant's page: fields and phones, problem uploads, notes, history (PORTAL-130, PORTAL-143)."""

from typing import Any

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.crypto.seal import SealBroken
from core.database import db
from core.models import Departure
from core.models.participant import participant_with_study
from core.participants.arrivals import problems_of
from core.participants.columns import columns_of_study
from core.participants.consents import consents_of
from core.participants.editing import edit_participant, read_date, values_of
from core.participants.history import history_of, phone_states
from core.participants.notes import add_note, notes_of
from core.participants.pausing import current_pause
from core.participants.refusals import ParticipantRefused
from core.phones.trying_again import STORED, CannotBeTried, problem_of, try_again
from core.phones.uploads import UploadContext
from core.storage import ObjectMissing, StoreUnavailable
from webapp.portal.access.rules import requires
from webapp.portal.participants.history_words import words_of
from webapp.portal.participants.section import participants
from webapp.portal.participants.shown_states import DEPARTURES
from webapp.stores import private_keys, sealed_store

OF = "/view_study/<number:study_number>/participant/<patient_id>"


@participants.get(f"{OF}/about")
@requires(Capability.PARTICIPANT_VIEW)
def about(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Fields, interventions, phones over time, and the consent texts that were sent."""
    return _about(values_of(db.session(), g.participant.id))


@participants.post(OF, endpoint="save_fields")
@requires(Capability.PARTICIPANT_FIELDS)
def save_fields(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Saves all fields and dates of the form together, or none (PORTAL-133); one that is not sent is left alone."""
    columns = [c for c in columns_of_study(db.session(), study_number) if c.is_value]
    sent = {c.name: request.form[c.name.replace(":", "")] for c in columns if c.name.replace(":", "") in request.form}
    changes: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, typed in sent.items():
        try:
            changes[name] = typed if name.startswith("field:") else read_date(typed)
        except ParticipantRefused as refused:
            problems[name] = str(refused)
    if not problems:
        try:
            edit_participant(db.session(), g.participant, changes, g.now, actor=actor_of(g.researcher))
            db.session.commit()
        except ParticipantRefused as refused:
            db.session.rollback()
            problems[""] = str(refused)
    if problems:
        return _about(sent, problems), 422
    flash(f"The fields of {patient_id} were saved.", "good")
    return redirect(url_for("participants.about", study_number=study_number, patient_id=patient_id))


def _about(values: dict[str, str], problems: dict[str, str] | None = None) -> str:
    return render_template(
        "portal/participants/about.html",
        participant=g.participant,
        columns=[c for c in columns_of_study(db.session(), g.study.id) if c.is_value],
        values=values,
        problems=problems or {},
        phones=phone_states(db.session(), g.participant.id),
        consents=consents_of(db.session(), g.participant.id),
        departure=db.session.get(Departure, g.participant.id),
        departures=DEPARTURES,
        pause=current_pause(db.session(), g.participant.id, g.now),
    )


@participants.get(f"{OF}/problems")
@requires(Capability.PARTICIPANT_VIEW)
def problems(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Uploads that could not be read, with reasons."""
    return render_template(
        "portal/participants/problems.html",
        participant=g.participant,
        problems=problems_of(db.session(), g.participant.id),
    )


@participants.post(f"{OF}/problems/<number:problem_number>/try_again")
@requires(Capability.PROCESSING_RETRY)
def try_problem_again(study_number: int, patient_id: str, problem_number: int) -> ResponseReturnValue:
    """Reads one of them again, after its cause was mended."""
    found = problem_of(db.session(), g.participant.id, problem_number)
    if found is None:
        abort(404)
    session = db.session()
    participant = participant_with_study(session, patient_id) or abort(404)
    context = UploadContext(session, sealed_store(participant.study), private_keys())
    try:
        outcome = try_again(context, participant, found, g.now, actor=actor_of(g.researcher))
    except (CannotBeTried, StoreUnavailable, ObjectMissing, SealBroken) as error:
        session.rollback()
        flash(f"It was not tried: {error}", "warn")
    else:
        if outcome == STORED:
            flash("It could be read, and waits to be processed.", "good")
        else:
            flash(f"It still cannot be read: {outcome}.", "warn")
    return redirect(url_for("participants.problems", study_number=study_number, patient_id=patient_id))


@participants.get(f"{OF}/notes")
@requires(Capability.PARTICIPANT_VIEW)
def notes(study_number: int, patient_id: str) -> ResponseReturnValue:
    """What the study team wrote about this participant."""
    return _notes()


@participants.post(f"{OF}/notes", endpoint="write_note")
@requires(Capability.NOTES_EDIT)
def write_note(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Adds a note."""
    typed = request.form.get("text", "")
    try:
        add_note(db.session(), g.participant, typed, actor=actor_of(g.researcher))
        db.session.commit()
    except ParticipantRefused as refused:
        db.session.rollback()
        return _notes(typed, str(refused)), 422
    return redirect(url_for("participants.notes", study_number=study_number, patient_id=patient_id))


def _notes(typed: str = "", problem: str = "") -> str:
    return render_template(
        "portal/participants/notes.html",
        participant=g.participant,
        notes=notes_of(db.session(), g.participant.id),
        typed=typed,
        problem=problem,
    )


@participants.get(f"{OF}/history")
@requires(Capability.PARTICIPANT_VIEW)
def history(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Everything that was done to this participant, and what its phones did."""
    text = request.args.get("page", "1")
    page = max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 7 else 1
    entries, has_more = history_of(db.session(), g.study, g.participant, page)
    return render_template(
        "portal/participants/history.html",
        participant=g.participant,
        entries=entries,
        has_more=has_more,
        page=page,
        words_of=words_of,
    )
