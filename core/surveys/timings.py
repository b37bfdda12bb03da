"""The weekly timings that phones get with each survey (PHONE-47, PHONE-48)."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Departure, Participant, Pause, Schedule, ScheduledEvent
from core.streams import Platform
from core.surveys.asking import Standing, is_asked, is_for_some, standings_of, zone_of
from core.surveys.schedules import ScheduleKind, local_date, wall_clock
from core.surveys.timing_lists import seconds_of_day

DAYS_BACK = 4
DAYS_AHEAD = 3

Week = list[list[int]]
"""Seven ascending lists of seconds after midnight, Sunday's first."""


def timings_for_phones(
    session: Session, participant: Participant, survey_ids: Collection[int], now: datetime
) -> dict[int, Week]:
    """The week of each of these surveys (PHONE-47), in two to five queries; the participant's study must be loaded.

    The participant's events near today are folded into it, but those of weekly schedules, which are there already;
    also the events that are done (PHONE-48). An Android phone that is asked nothing gets empty weeks: it fires by these
    alone, and without its surveys it would delete unfinished answers (CLAR-36, PHONE-45).

    Weekly schedules of another arm are left out: each day of the week stands for its next date (CLAR-53). An iOS phone
    asks by pushes alone, and shows some surveys again when anything about them differs (PHONE-52), so it gets weekly
    schedules without an arm and nothing else.
    """
    weeks = {survey_id: [set[int]() for _ in range(7)] for survey_id in survey_ids}
    if not weeks:
        return {}
    if participant.os_type == Platform.ANDROID and is_asked_nothing(session, participant.id, now):
        return {survey_id: [[] for _ in range(7)] for survey_id in survey_ids}
    weekly = sa.select(Schedule).where(Schedule.survey_id.in_(weeks), Schedule.kind == ScheduleKind.WEEKLY.value)
    is_ios = participant.os_type == Platform.IOS
    for schedule in _asked(session, participant, session.scalars(weekly).all(), now):
        if schedule.weekday is not None and not (is_ios and schedule.arm_field_id is not None):
            weeks[schedule.survey_id][schedule.weekday].add(seconds_of_day(schedule.time_of_day))
    if is_ios:
        return {survey_id: [sorted(day) for day in week] for survey_id, week in weeks.items()}
    zone = participant.study.zone
    for survey_id, scheduled_at in session.execute(_events_near_today(participant, weeks, now)):
        wall = scheduled_at.astimezone(zone)
        weeks[survey_id][wall.isoweekday() % 7].add(seconds_of_day(wall.time()))
    return {survey_id: [sorted(day) for day in week] for survey_id, week in weeks.items()}


def _asked(session: Session, participant: Participant, weekly: Sequence[Schedule], now: datetime) -> Iterator[Schedule]:
    """Those weekly schedules that ask the participant on their next date, which may be today."""
    some = [schedule for schedule in weekly if is_for_some(schedule)]
    none = Standing(zone_of(participant.timezone_name, participant.study))
    standings = standings_of(session, participant.study, [participant.id], some) if some else {}
    standing = standings.get(participant.id, none)
    today = local_date(now, standing.zone)
    for schedule in weekly:
        next_date = today + timedelta(days=((schedule.weekday or 0) - today.isoweekday()) % 7)
        if is_asked(schedule, next_date, standing):
            yield schedule


def is_asked_nothing(session: Session, participant_id: int, now: datetime) -> bool:
    """Whether a pause lasts, or the time of taking part is over (CLAR-35, CLAR-36)."""
    lasts = sa.and_(Pause.starts_at <= now, sa.or_(Pause.ends_at.is_(None), Pause.ends_at > now))
    is_paused = sa.exists().where(Pause.participant_id == participant_id, lasts)
    has_left = sa.exists().where(Departure.participant_id == participant_id, Departure.ends_at <= now)
    return bool(session.scalar(sa.select(sa.or_(is_paused, has_left))))


def _events_near_today(
    participant: Participant, survey_ids: Collection[int], now: datetime
) -> sa.Select[tuple[int, datetime]]:
    """Events that come from no weekly schedule, within seven days of the study's zone: survey and moment."""
    zone = participant.study.zone
    today = local_date(now, zone)
    start = wall_clock(today - timedelta(days=DAYS_BACK), time(), zone)
    end = wall_clock(today + timedelta(days=DAYS_AHEAD), time(), zone)
    return (
        sa.select(ScheduledEvent.survey_id, ScheduledEvent.scheduled_at)
        .outerjoin(Schedule, Schedule.id == ScheduledEvent.schedule_id)
        .where(
            ScheduledEvent.participant_id == participant.id,
            ScheduledEvent.survey_id.in_(survey_ids),
            ScheduledEvent.scheduled_at >= start,
            ScheduledEvent.scheduled_at < end,
            sa.func.coalesce(Schedule.kind, "") != ScheduleKind.WEEKLY.value,
        )
    )
