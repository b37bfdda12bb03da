"""Saving the schedules of a survey: all four kinds, their arms, and how long the survey can be answered (SURVEY-30).

A schedule that stays equal keeps its row, and so its events (SURVEY-31). Changes of random schedules and of arms take
effect from each participant's next local day (CLAR-52): a row that goes is given the moment after whose local day it
ends, a row that comes the moment after whose local day it begins. Other rows come and go at once (NOTIF-8).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.models import CustomField, Intervention, Schedule, Study, Survey
from core.models.audit_record import Action
from core.surveys.expiry import set_expiry
from core.surveys.locking import lock_survey
from core.surveys.rebuilding import update_events_of_study
from core.surveys.schedules import KIND_OF, Arm, Planned, Random, Relative, ScheduleKind, Timing
from core.surveys.timing_lists import TimingRefused, arm_problem, problem_of
from core.surveys.timing_rows import planned_of, row_of


@dataclass(frozen=True)
class ScheduleChanges:
    """What to save of a survey's schedules. None leaves what is there.

    `planned` are all schedules, of every kind and arm. `expiry_minutes` is for how long the survey can be answered; 0
    gives it the study's time (CLAR-51).
    """

    planned: Sequence[Planned] | None = None
    expiry_minutes: int | None = None


def save_schedules(session: Session, survey: Survey, changes: ScheduleChanges, now: datetime, *, actor: Actor) -> bool:
    """Saves them, one editor at a time; the caller commits. Tells whether events wait for `rebuild-schedules`.

    Raises TimingRefused, which names the entry, ExpiryRefused and SurveyDeleted, upon which the caller rolls back.
    """
    lock_survey(session, survey)
    apply_schedules(session, survey, changes, now)
    study = session.get_one(Study, survey.study_id)
    record(session, actor, Action.SURVEY_SCHEDULES, study=study, survey=survey.object_id)
    if changes.planned is None:
        return False
    return update_events_of_study(session, study, now, survey_id=survey.id)


def apply_schedules(session: Session, survey: Survey, changes: ScheduleChanges, now: datetime) -> None:
    """Writes the rows alone, for the functions that save, import and preview. Raises TimingRefused, ExpiryRefused."""
    if changes.planned is not None:
        _replace(session, survey, list(dict.fromkeys(changes.planned)), current_schedules(session, survey), now)
    if changes.expiry_minutes is not None:
        set_expiry(session, survey, changes.expiry_minutes or None)


def replace_timings(
    session: Session, survey: Survey, kind: ScheduleKind, timings: Sequence[Timing], now: datetime
) -> None:
    """Makes these the survey's schedules of that kind for everybody; those of arms stay (SURVEY-30, SURVEY-31).

    Events are brought into step by `rebuild_events`. Raises TimingRefused for an intervention of another study, and
    for a timing of another kind.
    """
    if not all(KIND_OF[type(timing)] is kind for timing in timings):
        raise TimingRefused(f"{kind} timings: one is of another kind")
    existing = [s for s in current_schedules(session, survey) if s.kind == kind and s.arm_field_id is None]
    _replace(session, survey, [Planned(timing) for timing in dict.fromkeys(timings)], existing, now)


def current_schedules(session: Session, survey: Survey) -> Sequence[Schedule]:
    """The schedules that the survey has; without those that were removed and still ask until a day is over."""
    query = sa.select(Schedule).where(Schedule.survey_id == survey.id, Schedule.ends_after.is_(None))
    return session.scalars(query.order_by(Schedule.id)).all()


def planned_schedules(session: Session, survey: Survey) -> list[Planned]:
    """What `current_schedules` mean, as `ScheduleChanges` take them."""
    return [planned_of(schedule) for schedule in current_schedules(session, survey)]


def _replace(
    session: Session, survey: Survey, wanted: Sequence[Planned], existing: Sequence[Schedule], now: datetime
) -> None:
    _check(session, survey, wanted)
    rows = {planned_of(schedule): schedule.id for schedule in existing}
    kept = set(wanted)
    gone = [planned for planned in rows if planned not in kept]
    new = [planned for planned in wanted if planned not in rows]
    # A timing that only changes its arm asks today as it did before.
    moved = {planned.timing for planned in gone} & {planned.timing for planned in new}
    if at_once := [rows[planned] for planned in gone if not _waits_for_a_day(planned, moved)]:
        session.execute(sa.delete(Schedule).where(Schedule.id.in_(at_once)))
    if later := [rows[planned] for planned in gone if _waits_for_a_day(planned, moved)]:
        session.execute(sa.update(Schedule).where(Schedule.id.in_(later)).values(ends_after=now))
    if new:
        session.execute(sa.insert(Schedule), [_new_row(survey, planned, moved, now) for planned in new])


def _waits_for_a_day(planned: Planned, moved: Collection[Timing]) -> bool:
    return planned.arm is not None or isinstance(planned.timing, Random) or planned.timing in moved


def _new_row(survey: Survey, planned: Planned, moved: Collection[Timing], now: datetime) -> Mapping[str, object]:
    begins_after = now if _waits_for_a_day(planned, moved) else None
    return row_of(survey.id, planned.timing, planned.arm) | {"begins_after": begins_after}


def _check(session: Session, survey: Survey, wanted: Sequence[Planned]) -> None:
    """Raises TimingRefused for interventions and fields of another study, and for random times that cannot be."""
    interventions = _numbers(session, survey, Intervention) if _has_relative(wanted) else set()
    fields = _numbers(session, survey, CustomField) if any(planned.arm for planned in wanted) else set()
    places: dict[ScheduleKind, int] = {}
    for planned in wanted:
        kind = KIND_OF[type(planned.timing)]
        places[kind] = places.get(kind, 0) + 1
        place = f"{kind} timings, entry {places[kind]}"
        if isinstance(planned.timing, Relative) and planned.timing.intervention not in interventions:
            raise TimingRefused(f"{place}: the study has no intervention {planned.timing.intervention}")
        if isinstance(planned.timing, Random) and (problem := problem_of(planned.timing)):
            raise TimingRefused(f"{place}: {problem}")
        if planned.arm:
            _check_arm(planned.arm, fields, place)


def _check_arm(arm: Arm, fields: Collection[int], place: str) -> None:
    if arm.field not in fields:
        raise TimingRefused(f"{place}: the study has no custom field {arm.field}")
    if problem := arm_problem(arm.value):
        raise TimingRefused(f"{place}: {problem}")


def _has_relative(wanted: Sequence[Planned]) -> bool:
    return any(isinstance(planned.timing, Relative) for planned in wanted)


def _numbers(session: Session, survey: Survey, kind: type[Intervention] | type[CustomField]) -> set[int]:
    return set(session.scalars(sa.select(kind.id).where(kind.study_id == survey.study_id)))
