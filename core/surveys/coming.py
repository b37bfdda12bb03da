"""The surveys of the coming weeks, as a calendar: for one participant, or for nobody in particular.

Reads the same schedules by the same rules as the events of NOTIF-5, and looks further ahead than they do.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Departure, InterventionDate, Participant, Pause, Schedule, Study, Survey
from core.models.survey import offered_surveys
from core.surveys.asking import Standing, is_asked, standings_of
from core.surveys.moments import random_moments
from core.surveys.previewing import undone
from core.surveys.rules.calendar import ClockChange, Close, FullWeek, clock_change, close_pairs, full_weeks
from core.surveys.schedules import Arm, Random, ScheduleKind, counts_as, days_between, local_date, moments_of
from core.surveys.scheduling import ScheduleChanges, apply_schedules
from core.surveys.timing_rows import fixed_timing_of, timing_of

DAYS = 28
NOBODY = 0
"""In place of a participant's number, where random times are drawn as an example."""


@dataclass(frozen=True)
class ComingSurvey:
    """A survey to be asked. `at` (UTC) is when the clock of the zone shows `wall`.

    `nth` counts the times of one schedule within its day; `is_example`: drawn at random for nobody in particular.
    """

    at: datetime
    wall: datetime
    survey_id: int
    survey_object_id: str
    name: str
    kind: ScheduleKind
    schedule_id: int
    nth: int
    is_example: bool


@dataclass(frozen=True)
class CalendarDay:
    """A day of the zone's calendar with its surveys, ascending, and its clock change."""

    day: date
    surveys: list[ComingSurvey]
    change: ClockChange | None


@dataclass(frozen=True)
class Calendar:
    """The coming days, all of them in order, and what piles up in them."""

    days: list[CalendarDay]
    close: list[Close]
    full_weeks: list[FullWeek]

    @property
    def surveys(self) -> list[ComingSurvey]:
        return [each for day in self.days for each in day.surveys]


def coming_events(
    session: Session,
    study: Study,
    participant: Participant | None,
    zone: ZoneInfo,
    now: datetime,
    *,
    days: int = DAYS,
    arm: Arm | None = None,
    changes: tuple[Survey, ScheduleChanges] | None = None,
) -> Calendar:
    """The surveys from now on to the end of the last of so many days of the zone, where the participant is taken to be.

    Without a participant there are no dates of interventions, and random times are examples; `arm` is then that of
    which schedules are shown. With `changes` the calendar is that after saving them, also of a survey that is not
    published yet; nothing is saved. A study that is stopped, and a participant who does not take part, has no surveys.
    At most ten queries. Raises TimingRefused.
    """
    with ExitStack() as stack:
        if changes:
            stack.enter_context(undone(session))
            apply_schedules(session, *changes, now)
        also = changes[0].id if changes else 0
        coming = _coming(session, study, participant, zone, now, days, arm, also)
        asked = sorted(coming, key=lambda each: (each.at, each.nth))
    today = local_date(now, zone)
    dates = [today + timedelta(days=n) for n in range(days)]
    by_day: dict[date, list[ComingSurvey]] = {day: [] for day in dates}
    for each in asked:
        by_day[each.wall.date()].append(each)
    moments = [(each.at, each.survey_id) for each in asked]
    return Calendar(
        [CalendarDay(day, by_day[day], clock_change(day, zone)) for day in dates],
        close_pairs(moments),
        full_weeks(moments, zone),
    )


def _coming(
    session: Session,
    study: Study,
    participant: Participant | None,
    zone: ZoneInfo,
    now: datetime,
    days: int,
    arm: Arm | None,
    also: int,
) -> Iterator[ComingSurvey]:
    """Of surveys that are asked, and of the one with the number `also`, which need not be published yet."""
    if study.is_stopped(now):
        return
    shown = sa.or_(offered_surveys(), Survey.id == also)
    query = sa.select(Schedule, Survey.object_id, Survey.name).join(Survey, Survey.id == Schedule.survey_id)
    rows = session.execute(query.where(Survey.study_id == study.id, shown).order_by(Schedule.id)).all()
    standing = _standing(session, study, participant, zone, arm, [row.Schedule for row in rows])
    if standing is None:
        return
    dates = _dates(session, participant)
    pauses, ends_at = _absences(session, participant)
    first = local_date(now, zone)
    last = first + timedelta(days=days - 1)
    for schedule, object_id, name in rows:
        timing = timing_of(schedule)
        for day in days_between(timing, first, last, dates.get(schedule.intervention_id or 0)):
            if not is_asked(schedule, day, standing):
                continue
            for nth, scheduled_at in enumerate(_moments(schedule, participant, day, zone, study.zone)):
                at = counts_as(scheduled_at, study.zone, zone)
                is_away = any(start <= scheduled_at and (end is None or scheduled_at < end) for start, end in pauses)
                is_over = ends_at is not None and scheduled_at >= ends_at
                is_over = is_over or (study.end_on is not None and at >= study.end_of(study.end_on))
                wall = at.astimezone(zone).replace(tzinfo=None)
                if at > now and not is_away and not is_over and wall.date() <= last:
                    is_example = participant is None and isinstance(timing, Random)
                    kind = ScheduleKind(schedule.kind)
                    yield ComingSurvey(
                        at, wall, schedule.survey_id, object_id, name, kind, schedule.id, nth, is_example
                    )


def _moments(
    schedule: Schedule, participant: Participant | None, day: date, zone: ZoneInfo, study_zone: ZoneInfo
) -> list[datetime]:
    timing = timing_of(schedule)
    if isinstance(timing, Random):
        number = participant.id if participant else NOBODY
        return random_moments(schedule, timing, number, day, zone, study_zone)
    return [at for _, at in moments_of(fixed_timing_of(schedule), [day], study_zone)]


def _standing(
    session: Session,
    study: Study,
    participant: Participant | None,
    zone: ZoneInfo,
    arm: Arm | None,
    schedules: list[Schedule],
) -> Standing | None:
    """That of the participant, in this zone; None of one who does not take part."""
    if participant is None:
        return Standing(zone, ((int(arm.field), (arm.value, ())),) if arm else ())
    found = standings_of(session, study, [participant.id], schedules).get(participant.id)
    return Standing(zone, found.fields) if found else None


def _dates(session: Session, participant: Participant | None) -> dict[int, date]:
    if participant is None:
        return {}
    query = sa.select(InterventionDate.intervention_id, InterventionDate.happens_on)
    rows = session.execute(query.where(InterventionDate.participant_id == participant.id))
    return dict(rows.tuples().all())


def _absences(
    session: Session, participant: Participant | None
) -> tuple[list[tuple[datetime, datetime | None]], datetime | None]:
    """Pauses, and the end of taking part (CLAR-35, CLAR-36)."""
    if participant is None:
        return [], None
    pauses = sa.select(Pause.starts_at, Pause.ends_at).where(Pause.participant_id == participant.id)
    left = sa.select(Departure.ends_at).where(Departure.participant_id == participant.id)
    return list(session.execute(pauses).tuples().all()), session.scalar(left)
