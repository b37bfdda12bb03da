"""The notifications of the coming 24 hours of a study, hour by hour of the participants' clocks."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import EventState, Participant, PushToken, ScheduledEvent, Study, Survey
from core.models.survey import offered_surveys
from core.surveys.schedules import counts_as
from core.zones import known_zone

SPAN = timedelta(hours=24)
MOST_BETWEEN_ZONES = timedelta(hours=26)


@dataclass(frozen=True)
class ComingHour:
    """Events of one survey that count within an hour from `begins_at` (UTC); `reachable` ones have a token."""

    begins_at: datetime
    survey_id: str
    survey_name: str
    events: int
    reachable: int


def coming_day(session: Session, study: Study, now: datetime) -> list[ComingHour]:
    """The events that come due within 24 hours, by hour and survey; none of a stopped study. One query."""
    if study.is_stopped(now):
        return []
    has_token = sa.exists().where(PushToken.participant_id == Participant.id, PushToken.retired_at.is_(None))
    columns = (ScheduledEvent.scheduled_at, Participant.timezone_name, Survey.object_id, Survey.name)
    query = (
        sa.select(*columns, sa.func.count(), sa.func.count().filter(has_token))
        .join(Participant, Participant.id == ScheduledEvent.participant_id)
        .join(Survey, Survey.id == ScheduledEvent.survey_id)
        .where(
            Participant.study_id == study.id,
            ScheduledEvent.state == EventState.PENDING.value,
            ScheduledEvent.scheduled_at > now - MOST_BETWEEN_ZONES,
            ScheduledEvent.scheduled_at <= now + SPAN + MOST_BETWEEN_ZONES,
            offered_surveys(),
        )
        .group_by(*columns)
    )
    events: Counter[tuple[datetime, str, str]] = Counter()
    reachable: Counter[tuple[datetime, str, str]] = Counter()
    for scheduled_at, zone_name, survey_id, name, count, with_token in session.execute(query):
        at = counts_as(scheduled_at, study.zone, known_zone(zone_name) or study.zone)
        if now < at <= now + SPAN:
            key = at.replace(minute=0, second=0, microsecond=0), survey_id, name
            events[key] += count
            reachable[key] += with_token
    return [ComingHour(*key, events[key], reachable[key]) for key in sorted(events)]
