"""When a survey is asked: its schedules, what saving them would change, and the calendar of the coming weeks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import Participant, Survey
from core.notifications.described import can_push
from core.studies.changing import set_survey_expiry
from core.studies.interventions import interventions_of
from core.surveys.arms import arms_of
from core.surveys.calendar_file import calendar_file
from core.surveys.coming import Calendar, coming_events
from core.surveys.expiry import ExpiryRefused, own_expiry
from core.surveys.for_phones import asks_on_arrival
from core.surveys.previewing import preview_schedule_change
from core.surveys.schedules import Arm, ScheduleKind, local_date
from core.surveys.scheduling import ScheduleChanges, planned_schedules, save_schedules
from core.surveys.timing_lists import TimingRefused
from core.zones import known_zones
from webapp.flow_runs import REBUILD_SCHEDULES, start_run
from webapp.portal.access.rules import requires
from webapp.portal.frame.navigation import can
from webapp.portal.surveys import wording
from webapp.portal.surveys.quiet import quiet_times
from webapp.portal.surveys.schedule_form import (
    NEW_ROWS,
    UNITS,
    Row,
    RowsRefused,
    arm_of,
    expiry_in_units,
    expiry_minutes,
    expiry_of,
    planned_of_rows,
    rows_of,
    typed_rows,
)
from webapp.portal.surveys.section import surveys
from webapp.portal.surveys.views import SURVEY, list_page, the_survey

CALENDAR = "/view_study/<number:study_number>/surveys/calendar"
PAGE = "portal/surveys/schedule.html"


@dataclass(frozen=True)
class Seen:
    """For whom a calendar is shown, as chosen: `problem` says why it is for nobody in particular all the same."""

    participant: Participant | None
    zone: ZoneInfo
    arm: Arm | None
    typed: dict[str, str]
    problem: str = ""

    @property
    def whose(self) -> str:
        """The participant's id, or a text for nobody in particular."""
        return self.participant.patient_id if self.participant else "anybody"


@surveys.get(f"{SURVEY}/schedule")
@requires(Capability.STUDY_VIEW, is_return_page=True)
def schedule(study_number: int, survey_number: int) -> ResponseReturnValue:
    """The survey's schedules, and the calendar of the coming weeks."""
    survey = the_survey(survey_number)
    minutes = own_expiry(db.session(), survey)
    return _page(survey, rows_of(planned_schedules(db.session(), survey)), own_minutes=minutes or 0)


@surveys.post(f"{SURVEY}/schedule")
@requires(Capability.SURVEY_EDIT)
def change_schedule(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Adds or removes a row of the form, shows what saving would change, or saves."""
    survey, rows, form = the_survey(survey_number), typed_rows(request.form), request.form
    if (kind := form.get("add")) in set(ScheduleKind):
        return _page(survey, [*rows, NEW_ROWS[ScheduleKind(kind)]], typed=True)
    if "remove" in form:
        return _page(survey, typed_rows(form, without=form["remove"]), typed=True)
    if "save" not in form:
        return _page(survey, rows, typed=True)
    try:
        changes = ScheduleChanges(planned_of_rows(rows), expiry_of(form))
        waits = save_schedules(db.session(), survey, changes, g.now, actor=actor_of(g.researcher))
        db.session.commit()
    except (RowsRefused, TimingRefused, ExpiryRefused, ValueError):
        db.session.rollback()
        return _page(survey, rows, typed=True, status=422)
    if waits:
        start_run(REBUILD_SCHEDULES, only_asked=True)
    flash("The times were saved." + (" Notifications follow within minutes." if waits else ""), "good")
    return redirect(url_for("surveys.schedule", study_number=study_number, survey_number=survey_number))


def _page(
    survey: Survey, rows: Sequence[Row], *, own_minutes: int = 0, typed: bool = False, status: int = 200
) -> ResponseReturnValue:
    """The page, with what the rows would change if they were `typed`; problems stand at their rows."""
    session, seen = db.session(), _seen()
    problem = expiry_problem = ""
    preview, changes = None, ScheduleChanges()
    try:
        minutes = expiry_of(request.form) if typed else own_minutes
    except ValueError as wrong:
        minutes, expiry_problem = 0, str(wrong)
    if typed and not expiry_problem:
        try:
            changes = ScheduleChanges(planned_of_rows(rows), minutes)
            preview = preview_schedule_change(session, survey, changes, g.now)
        except RowsRefused as refused:
            rows, changes = refused.rows, ScheduleChanges()
        except ExpiryRefused as refused:
            expiry_problem, changes = str(refused), ScheduleChanges()
        except TimingRefused as refused:
            problem, changes = f"{refused}.", ScheduleChanges()
    return (
        render_template(
            PAGE,
            survey=survey,
            rows=list(enumerate(rows)),
            kinds=list(ScheduleKind),
            interventions=interventions_of(session, g.study.id),
            expiry=expiry_in_units(minutes) if minutes else None,
            units=UNITS,
            study_expiry=wording.duration(g.study.survey_expiry_minutes),
            expiry_problem=expiry_problem,
            problem=problem,
            row_problems=list(dict.fromkeys(row.problem for row in rows if row.problem)),
            preview=preview,
            has_credentials=can_push(session),
            quiet_times=quiet_times(rows, g.study),
            asks_again=survey.published_at is not None and asks_on_arrival(survey),
            wording=wording,
            **_calendar_parts(seen, changes=(survey, changes)),
        ),
        status,
    )


@surveys.post("/view_study/<number:study_number>/surveys/time_to_answer")
@requires(Capability.SURVEY_EDIT)
def change_time_to_answer(study_number: int) -> ResponseReturnValue:
    """Sets for how long surveys without a time of their own can be answered (CLAR-51)."""
    try:
        set_survey_expiry(db.session(), g.study, expiry_minutes(request.form), actor=actor_of(g.researcher))
        db.session.commit()
    except (ExpiryRefused, ValueError) as refused:
        db.session.rollback()
        return list_page(problem=str(refused), typed=request.form.get("expiry_count", ""))
    flash(f"Surveys can be answered for {wording.duration(g.study.survey_expiry_minutes)}.", "good")
    return redirect(url_for("surveys.list", study_number=study_number))


@surveys.get(CALENDAR)
@requires(Capability.STUDY_VIEW, is_return_page=True)
def calendar(study_number: int) -> ResponseReturnValue:
    """All surveys of the study in the coming four weeks."""
    return render_template("portal/surveys/calendar.html", wording=wording, **_calendar_parts(_seen()))


@surveys.get(f"{CALENDAR}.ics")
@requires(Capability.STUDY_VIEW)
def calendar_download(study_number: int) -> ResponseReturnValue:
    """The calendar as a file for calendar programs. 404 for a participant whom the person may not see."""
    seen = _seen()
    if seen.problem:
        abort(404, seen.problem)
    found = coming_events(db.session(), g.study, seen.participant, seen.zone, g.now, arm=seen.arm)
    data = calendar_file(found, f"{g.study.name}: surveys", seen.whose, g.now)
    headers = {"Content-Disposition": f"attachment; filename=surveys_{seen.whose}.ics"}
    return Response(data, mimetype="text/calendar", headers=headers)


def _seen() -> Seen:
    """For whom the calendar is, from the form or the address."""
    typed = {name: (request.values.get(name) or "").strip() for name in ("participant", "zone", "for")}
    participant, problem = None, ""
    if typed["participant"]:
        found = db.session.scalar(
            db.select(Participant).filter_by(patient_id=typed["participant"], study_id=g.study.id)
        )
        participant = found if found and can(Capability.PARTICIPANT_VIEW) else None
        problem = "" if participant else f"There is no participant {typed['participant']} here."
    zone = g.study.zone
    if typed["zone"] in known_zones():
        zone = ZoneInfo(typed["zone"])
    elif typed["zone"]:
        problem = f"There is no time zone {typed['zone']}."
    elif participant and participant.timezone_name in known_zones():
        zone = ZoneInfo(participant.timezone_name)
    try:
        arm = arm_of(typed["for"])
    except ValueError:
        arm = None
    return Seen(participant, zone, arm, typed, problem)


def _calendar_parts(seen: Seen, changes: tuple[Survey, ScheduleChanges] | None = None) -> dict[str, Any]:
    """What the template of the calendar needs; everything is shown for nobody in particular after a wrong choice."""
    session = db.session()
    found = coming_events(session, g.study, seen.participant, seen.zone, g.now, arm=seen.arm, changes=changes)
    names = {each.survey_id: each.name or "A survey without a name" for each in found.surveys}
    return {
        "calendar": found,
        "weeks": _weeks(found),
        "today": local_date(g.now, seen.zone),
        "piles": wording.piles(found, names, seen.zone),
        "seen": seen,
        "zones": sorted(known_zones()),
        "arms": arms_of(session, g.study.id),
    }


def _weeks(found: Calendar) -> list[list[Any]]:
    """The days in rows of seven, Sunday's first; None where the first and the last week lack a day."""
    days: list[Any] = list(found.days)
    before = days[0].day.isoweekday() % 7
    padded: list[Any] = [None] * before + days
    padded += [None] * (-len(padded) % 7)
    return [padded[at : at + 7] for at in range(0, len(padded), 7)]
