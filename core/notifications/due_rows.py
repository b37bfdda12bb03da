"""The rows of the database from which due notifications follow, in a fixed number of queries (NOTIF-20, NOTIF-51)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from core.bulk import value_table
from core.models import (
    Departure,
    EventState,
    MessageState,
    NotificationAttempt,
    Participant,
    ParticipantActivity,
    Pause,
    PushMessage,
    PushMessageEvent,
    PushReceipt,
    PushService,
    PushToken,
    Schedule,
    ScheduledEvent,
    Survey,
    SurveyExpiry,
)
from core.models.schedule import SUCCESS
from core.models.survey import offered_surveys
from core.notifications.rules.due_times import Bracket
from core.notifications.rules.resends import LONGEST
from core.streams import Platform

ACTIVE_FOR = timedelta(days=7)


def due_rows(
    session: Session,
    found: Mapping[tuple[int, str], Bracket],
    services: Collection[PushService],
    now: datetime,
) -> Sequence[sa.Row[Any]]:
    """Pending events that are due or may be, of participants with a token in use; one query.

    A participant with tokens of two services has two rows for each event.
    """
    if not found or not services:
        return []
    of = _bracket_table(found)
    latest = max(each.perhaps for each in found.values())
    event = aliased(ScheduledEvent, waiting_events(latest))
    query = (
        sa.select(*_columns(event))
        .join(Participant, Participant.id == event.participant_id)
        .join(of, _is_of_pair(of))
        .where(event.scheduled_at <= of.c.perhaps, ~_is_in_ledger(event))
    )
    return session.execute(_with_the_rest(query, event, services, now)).all()


def waiting_events(latest: datetime) -> sa.CTE:
    """The pending events scheduled up to then, by their index; else all events of all phones are read."""
    is_waiting = (ScheduledEvent.state == EventState.PENDING.value, ScheduledEvent.scheduled_at <= latest)
    waiting = sa.select(ScheduledEvent).where(*is_waiting).cte("waiting")
    return waiting.prefix_with("MATERIALIZED")


def unconfirmed_rows(
    session: Session, study_ids: Collection[int], services: Collection[PushService], since: datetime, now: datetime
) -> Sequence[sa.Row[Any]]:
    """Events that were sent to active iOS apps, without a receipt, at most a week ago; two queries.

    Attempts before `since` count for nothing. Rows end with the times of the first and newest success, and their
    number.
    """
    if not study_ids or not services:
        return []
    recent = (
        sa.select(
            NotificationAttempt.uuid,
            sa.func.min(NotificationAttempt.attempted_at),
            sa.func.max(NotificationAttempt.attempted_at),
            sa.func.count(),
        )
        .where(
            NotificationAttempt.uuid.is_not(None),
            NotificationAttempt.is_confirmed.is_(False),
            NotificationAttempt.status == SUCCESS,
            NotificationAttempt.attempted_at >= max(since, now - LONGEST),
        )
        .group_by(NotificationAttempt.uuid)
    )
    found = session.execute(recent).all()
    if not found:
        return []
    # As an array of uuids: the database would otherwise read all events to join them.
    sent = value_table("sent", _SENT, found)
    uuids = sa.cast([row[0] for row in found], ARRAY(sa.Uuid()))
    is_waiting = sa.exists().where(
        PushMessageEvent.uuid == ScheduledEvent.uuid,
        PushMessageEvent.participant_id == ScheduledEvent.participant_id,
        PushMessage.id == PushMessageEvent.message_id,
        PushMessage.state == MessageState.PENDING.value,
    )
    is_received = sa.exists().where(
        PushReceipt.participant_id == ScheduledEvent.participant_id, PushReceipt.uuid == ScheduledEvent.uuid
    )
    query = (
        sa.select(*_columns(ScheduledEvent), sent.c.first_at, sent.c.last_at, sent.c.tries)
        .join(sent, sent.c.uuid == ScheduledEvent.uuid)
        .join(Participant, Participant.id == ScheduledEvent.participant_id)
        .where(
            ScheduledEvent.uuid == sa.any_(uuids),
            Participant.study_id.in_(study_ids),
            Participant.os_type == Platform.IOS.value,
            ParticipantActivity.last_activity_at >= now - ACTIVE_FOR,
            ScheduledEvent.is_never_resent.is_(False),
            ~is_received,
            ~is_waiting,
        )
    )
    return session.execute(_with_the_rest(query, ScheduledEvent, services, now)).all()


_SENT: dict[str, sa.types.TypeEngine[Any]] = {
    "uuid": sa.Uuid(),
    "first_at": sa.DateTime(timezone=True),
    "last_at": sa.DateTime(timezone=True),
    "tries": sa.BigInteger(),
}


def _columns(event: type[ScheduledEvent]) -> tuple[Any, ...]:
    return (
        event.id.label("event_id"),
        event.survey_id,
        event.scheduled_at,
        event.uuid,
        _next_event(event).label("next_at"),
        Schedule.kind,
        Survey.object_id.label("survey_object_id"),
        SurveyExpiry.minutes.label("expiry_minutes"),
        Participant.id.label("participant_id"),
        Participant.patient_id,
        Participant.study_id,
        Participant.os_type,
        Participant.timezone_name,
        ParticipantActivity.last_version_code,
        ParticipantActivity.last_version_name,
        PushToken.id.label("token_id"),
        PushToken.service,
        PushToken.token,
        PushToken.failures,
        PushToken.next_try_at,
    )


def _with_the_rest(
    query: sa.Select[Any], event: type[ScheduledEvent], services: Collection[PushService], now: datetime
) -> sa.Select[Any]:
    """Joins what every message needs, and leaves out who gets none: retired, departed, paused, without token."""
    has_token = sa.and_(
        PushToken.participant_id == Participant.id,
        PushToken.retired_at.is_(None),
        PushToken.service.in_([service.value for service in services]),
    )
    is_paused = sa.exists().where(
        Pause.participant_id == Participant.id,
        Pause.starts_at <= now,
        sa.or_(Pause.ends_at.is_(None), Pause.ends_at > now),
    )
    has_left = sa.exists().where(Departure.participant_id == Participant.id, Departure.ends_at <= now)
    return (
        query.join(ParticipantActivity, ParticipantActivity.participant_id == Participant.id)
        .join(PushToken, has_token)
        .join(Survey, Survey.id == event.survey_id)
        .outerjoin(SurveyExpiry, SurveyExpiry.survey_id == event.survey_id)
        .outerjoin(Schedule, Schedule.id == event.schedule_id)
        .where(
            Participant.retired_at.is_(None),
            Participant.purge_asked_at.is_(None),
            Participant.os_type.is_not(None),
            offered_surveys(),
            ~is_paused,
            ~has_left,
        )
    )


def _next_event(event: type[ScheduledEvent]) -> sa.ScalarSelect[Any]:
    later = aliased(ScheduledEvent)
    return (
        sa.select(sa.func.min(later.scheduled_at))
        .where(
            later.participant_id == event.participant_id,
            later.survey_id == event.survey_id,
            later.scheduled_at > event.scheduled_at,
        )
        .correlate(event)
        .scalar_subquery()
    )


def _is_in_ledger(event: type[ScheduledEvent]) -> sa.Exists:
    """A message about this survey and time is on its way, or was accepted (NOTIF-7, NOTIF-45)."""
    return sa.exists().where(
        PushMessageEvent.participant_id == event.participant_id,
        PushMessageEvent.survey_id == event.survey_id,
        PushMessageEvent.scheduled_at == event.scheduled_at,
        PushMessage.id == PushMessageEvent.message_id,
        PushMessage.state.in_([MessageState.PENDING.value, MessageState.ACCEPTED.value]),
    )


def _bracket_table(found: Mapping[tuple[int, str], Bracket]) -> sa.TableValuedAlias:
    at = sa.DateTime(timezone=True)
    columns: dict[str, sa.types.TypeEngine[Any]] = {
        "study_id": sa.BigInteger(),
        "zone": sa.Text(),
        "surely": at,
        "perhaps": at,
    }
    rows = [(number, name, each.surely, each.perhaps) for (number, name), each in found.items()]
    return value_table("brackets", columns, rows)


def _is_of_pair(of: sa.TableValuedAlias) -> sa.ColumnElement[bool]:
    zone = sa.func.coalesce(Participant.timezone_name, "")
    return sa.and_(of.c.study_id == Participant.study_id, of.c.zone == zone)
