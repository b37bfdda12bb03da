"""Ends events that nobody can be sent any more, such as those of participants without a token (NOTIF-23)."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import (
    EventState,
    NotificationAttempt,
    Participant,
    Schedule,
    ScheduledEvent,
    Study,
    SurveyExpiry,
    SurveyVersion,
)
from core.notifications.due import LATEST_FIRST_TRY, Ended
from core.surveys.schedules import ScheduleKind

# Clocks of two zones differ by less: later than this an event is too late in every zone.
MOST_BETWEEN_ZONES = timedelta(hours=26)
MOST_AT_ONCE = 5_000


def expire_old_events(session: Session, now: datetime) -> int:
    """Ends pending events that are too late in every zone, with a row in the history; returns how many.

    At most five thousand, in one statement; the rest follows the next time. The caller commits.
    """
    minutes = sa.func.coalesce(SurveyExpiry.minutes, Study.survey_expiry_minutes)
    limit = sa.func.least(sa.func.make_interval(0, 0, 0, 0, 0, minutes), sa.literal(LATEST_FIRST_TRY, sa.Interval()))
    old = (
        sa.select(ScheduledEvent.id)
        .join(Participant, Participant.id == ScheduledEvent.participant_id)
        .join(Study, Study.id == Participant.study_id)
        .outerjoin(SurveyExpiry, SurveyExpiry.survey_id == ScheduledEvent.survey_id)
        .where(
            ScheduledEvent.state == EventState.PENDING.value,
            ScheduledEvent.scheduled_at < now - MOST_BETWEEN_ZONES,
            ScheduledEvent.scheduled_at < now - MOST_BETWEEN_ZONES - limit,
        )
        .order_by(ScheduledEvent.id)
        .limit(MOST_AT_ONCE)
        .with_for_update(of=ScheduledEvent, skip_locked=True)
    )
    gone = (
        sa.update(ScheduledEvent)
        .where(ScheduledEvent.id.in_(old))
        .values(state=EventState.EXPIRED.value)
        .returning(
            ScheduledEvent.survey_id,
            ScheduledEvent.participant_id,
            ScheduledEvent.schedule_id,
            ScheduledEvent.scheduled_at,
        )
        .cte("gone")
    )
    version = (
        sa.select(SurveyVersion.id)
        .where(SurveyVersion.survey_id == gone.c.survey_id)
        .order_by(SurveyVersion.started_at.desc(), SurveyVersion.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    kind = sa.case(
        (Schedule.kind.is_(None), "manual"),
        (Schedule.kind == ScheduleKind.RANDOM.value, "absolute"),
        else_=Schedule.kind,
    )
    columns = {
        "survey_version_id": version,
        "participant_id": gone.c.participant_id,
        "kind": kind,
        "scheduled_at": gone.c.scheduled_at,
        "status": sa.literal(Ended.EXPIRED.value),
        "attempted_at": sa.literal(now, sa.DateTime(timezone=True)),
    }
    rows = sa.select(*columns.values()).select_from(gone).outerjoin(Schedule, Schedule.id == gone.c.schedule_id)
    written = session.execute(
        sa.insert(NotificationAttempt).from_select(list(columns), rows.where(version.is_not(None)))
    )
    return written.rowcount  # type: ignore[attr-defined,no-any-return]
