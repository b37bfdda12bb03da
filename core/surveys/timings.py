"""The weekly timings that phones get with each survey (PHONE-47, PHONE-48)."""

from collections.abc import Collection
from datetime import datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Participant, Schedule, ScheduledEvent
from core.surveys.schedules import ScheduleKind, local_date, wall_clock
from core.surveys.timing_lists import seconds_of_day

DAYS_BACK = 4
DAYS_AHEAD = 3

Week = list[list[int]]
"""Seven ascending lists of seconds after midnight, Sunday's first."""


def timings_for_phones(
    session: Session, participant: Participant, survey_ids: Collection[int], now: datetime
) -> dict[int, Week]:
    """The week of each of these surveys (PHONE-47), in two queries; the participant's study must be loaded.

    The participant's events near today are folded into it, but those of weekly schedules, which are there already;
    also the events that are done (PHONE-48).
    """
    weeks = {survey_id: [set[int]() for _ in range(7)] for survey_id in survey_ids}
    if not weeks:
        return {}
    weekly = sa.select(Schedule.survey_id, Schedule.weekday, Schedule.time_of_day).where(
        Schedule.survey_id.in_(weeks), Schedule.kind == ScheduleKind.WEEKLY.value
    )
    for survey_id, weekday, time_of_day in session.execute(weekly):
        weeks[survey_id][weekday].add(seconds_of_day(time_of_day))
    zone = participant.study.zone
    for survey_id, scheduled_at in session.execute(_events_near_today(participant, weeks, now)):
        wall = scheduled_at.astimezone(zone)
        weeks[survey_id][wall.isoweekday() % 7].add(seconds_of_day(wall.time()))
    return {survey_id: [sorted(day) for day in week] for survey_id, week in weeks.items()}


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
