"""What can be done to one participant: the page of actions, and the actions (PORTAL-133 to PORTAL-136).

Each action says what it does before it is done. The old addresses of the existing platform are kept.
"""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import Actor, actor_of
from core.database import db
from core.models import Departure, Pause, WithdrawalReason
from core.participants.changing import (
    may_undo_retirement,
    reset_device,
    retire_participant,
    set_easy_enrollment_of,
    set_external_id,
    set_test,
    unretire_participant,
)
from core.participants.departures import end_participation, take_back_departure
from core.participants.editing import read_date
from core.participants.pausing import current_pause, pause_participant, resume_participant
from core.participants.refusals import ParticipantRefused
from webapp.portal.access.rules import requires
from webapp.portal.frame.navigation import can
from webapp.portal.frame.pages import wanted_switch
from webapp.portal.participants.section import participants
from webapp.portal.participants.shown_states import DEPARTURES

OF = "/view_study/<number:study_number>/participant/<patient_id>"
PAGE = "portal/participants/manage.html"
REASONS = {
    WithdrawalReason.OWN_WISH: "Own wish",
    WithdrawalReason.BURDEN: "Too much effort",
    WithdrawalReason.PRIVACY: "Privacy concerns",
    WithdrawalReason.HEALTH: "Health",
    WithdrawalReason.PHONE: "Phone or technical trouble",
    WithdrawalReason.MOVED: "Moved away",
    WithdrawalReason.LOST_CONTACT: "Lost contact",
    WithdrawalReason.INVESTIGATOR: "Decision of the study team",
    WithdrawalReason.OTHER: "Other",
}


@participants.get(f"{OF}/manage")
@requires(Capability.PARTICIPANT_VIEW)
def manage(study_number: int, patient_id: str) -> ResponseReturnValue:
    """The page of everything that can be done to this participant."""
    return manage_page()


def manage_page(problem: str = "", at: str = "", **typed: str) -> ResponseReturnValue:
    """The page; with a problem, it says so beside the form `at` that it belongs to, and keeps what was typed."""
    departure = db.session.get(Departure, g.participant.id)
    may_undo = g.participant.retired_at and (
        can("participant.unretire") or may_undo_retirement(g.participant, g.researcher.id, g.now)
    )
    page = render_template(
        PAGE,
        participant=g.participant,
        departure=departure,
        departures=DEPARTURES,
        pause=current_pause(db.session(), g.participant.id, g.now),
        reasons=REASONS,
        may_undo_retirement=may_undo,
        today=g.now.astimezone(g.study.zone).date(),
        problem=problem,
        at=at,
        typed=typed,
    )
    return page, 422 if problem else 200


@participants.post("/clear_device_id")
@requires(Capability.PARTICIPANT_RESET_DEVICE, is_about_participant=True)
def clear_device_id() -> ResponseReturnValue:
    """Forgets which phone this is."""
    return _changed(
        "The phone was forgotten. The next one that registers takes its place.",
        lambda: reset_device(db.session(), g.participant, actor=_me()),
    )


@participants.post("/toggle_easy_enrollment")
@requires(Capability.PARTICIPANT_EASY_ENROLLMENT, is_about_participant=True)
def toggle_easy_enrollment() -> ResponseReturnValue:
    """Turns easy enrolment of this participant on or off."""
    is_on = wanted_switch(g.participant.has_easy_enrollment)
    text = "Easy enrolment is on: any password registers a phone." if is_on else "Easy enrolment is off."
    if not is_on and g.study.has_easy_enrollment:
        text += " The study's own is on, so any password still does."
    return _changed(text, lambda: set_easy_enrollment_of(db.session(), g.participant, is_on, actor=_me()))


@participants.post(f"{OF}/test")
@requires(Capability.PARTICIPANT_TEST)
def toggle_test(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Marks or unmarks a phone of the study team (CLAR-37)."""
    is_test = wanted_switch(g.participant.is_test)
    text = "Now a test participant, left out of lists and counts." if is_test else "No longer a test participant."
    return _changed(text, lambda: set_test(db.session(), g.participant, is_test, actor=_me()))


@participants.post(f"{OF}/external_id")
@requires(Capability.PARTICIPANT_FIELDS)
def save_external_id(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Keeps the clinic's own id."""
    typed = request.form.get("external_id", "")
    return _changed(
        "The external id was saved.",
        lambda: set_external_id(db.session(), g.participant, typed, actor=_me()),
        at="external",
        external_id=typed,
    )


@participants.post("/retire_participant")
@requires(Capability.PARTICIPANT_RETIRE, is_about_participant=True)
def retire() -> ResponseReturnValue:
    """Retires the participant, which can be undone for ten minutes (PORTAL-135)."""
    if g.participant.retired_at:
        flash("This participant is retired already.", "warn")
        return _to_page()
    text = "Retired. Uploads are no longer kept; you can undo it for ten minutes."
    return _changed(text, lambda: retire_participant(db.session(), g.participant, g.now, actor=_me()))


@participants.post(f"{OF}/unretire")
@requires(Capability.PARTICIPANT_RETIRE)
def unretire(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Undoes a retirement: within ten minutes by the person who retired, later by site administrators."""
    if not can("participant.unretire") and not may_undo_retirement(g.participant, g.researcher.id, g.now):
        flash("Retiring can be undone for ten minutes by the person who did it, later by a site administrator.", "warn")
        return _to_page()
    text = "The participant takes part again. Uploads that were held back are processed."
    return _changed(text, lambda: unretire_participant(db.session(), g.participant, g.now, actor=_me()))


@participants.post(f"{OF}/leave")
@requires(Capability.PARTICIPANT_WITHDRAW)
def leave(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Records the last day of taking part: withdrawn with a reason, or completed (CLAR-35)."""
    form = request.form
    how, typed_day, reason = form.get("how", ""), form.get("left_on", ""), form.get("reason", "")
    typed = {"how": how, "left_on": typed_day, "reason": reason}
    if how not in DEPARTURES:
        return manage_page("Choose whether the participant completed the study or withdrew.", "leave", **typed)
    if how == "withdrawn" and reason not in list(WithdrawalReason):
        return manage_page("Choose the reason of the withdrawal.", "leave", **typed)
    why = WithdrawalReason(reason) if how == "withdrawn" else None

    def change() -> None:
        day = read_date(typed_day)
        if day is None:
            raise ParticipantRefused("Give the last day of taking part.")
        end_participation(db.session(), g.participant, day, why, g.now, actor=_me())

    return _changed(f"{DEPARTURES[how]}. Uploads are taken for 14 days more.", change, at="leave", **typed)


@participants.post(f"{OF}/leave/take_back")
@requires(Capability.PARTICIPANT_WITHDRAW)
def take_back_leave(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Lets the participant take part again."""
    text = "The last day was removed; surveys are asked again."
    return _changed(text, lambda: take_back_departure(db.session(), g.participant, g.now, actor=_me()))


@participants.post(f"{OF}/pause")
@requires(Capability.PARTICIPANT_PAUSE)
def pause(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Asks no survey until a day, or until the pause is ended (CLAR-36)."""
    typed = request.form.get("until", "")

    def change() -> Pause:
        day = read_date(typed)
        until = datetime.combine(day + timedelta(days=1), time(), g.study.zone).astimezone(UTC) if day else None
        return pause_participant(db.session(), g.participant, until, g.now, actor=_me())

    return _changed("Paused. No survey is asked meanwhile.", change, at="pause", until=typed)


@participants.post(f"{OF}/resume")
@requires(Capability.PARTICIPANT_PAUSE)
def resume(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Ends the pause."""
    text = "The pause is over; surveys are asked again."
    return _changed(text, lambda: resume_participant(db.session(), g.participant, g.now, actor=_me()))


def _changed(text: str, change: Callable[[], object], *, at: str = "", **typed: str) -> ResponseReturnValue:
    """Makes the change of core, commits, and says so; a refusal is shown beside its form, and nothing changes."""
    try:
        change()
        db.session.commit()
    except ParticipantRefused as refused:
        db.session.rollback()
        if at:
            return manage_page(str(refused), at, **typed)
        flash(str(refused), "warn")
        return _to_page()
    flash(text, "good")
    return _to_page()


def _me() -> Actor:
    return actor_of(g.researcher)


def _to_page() -> ResponseReturnValue:
    path = {"study_number": g.study.id, "patient_id": g.participant.patient_id}
    return redirect(url_for("participants.manage", **path))
