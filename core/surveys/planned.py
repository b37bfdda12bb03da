"""How many events are still to come."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import EventState, Participant, ScheduledEvent


def planned_events(session: Session, study_id: int, now: datetime) -> int:
    """Scheduled events of the study's participants that have not been sent; one query."""
    is_to_come = (ScheduledEvent.scheduled_at > now, ScheduledEvent.state == EventState.PENDING.value)
    query = sa.select(sa.func.count()).select_from(ScheduledEvent)
    query = query.join(Participant, Participant.id == ScheduledEvent.participant_id)
    return session.scalar(query.where(Participant.study_id == study_id, *is_to_come)) or 0
