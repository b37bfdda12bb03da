"""Looks again at what was selected, right before it is written into the ledger (NOTIF-45, CLAR-61).

A run of many messages takes minutes. Meanwhile phones send other tokens, people retire, surveys are deleted, and a
second sender may be at work whose database has forgotten the first one's lock.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.bulk import is_one_of
from core.models import MessageState, Participant, PushMessage, PushMessageEvent, PushToken, ScheduledEvent
from core.notifications.ledger import Entry

JUST_SENT = timedelta(minutes=5)


def still_wanted(session: Session, entries: Sequence[Entry], now: datetime) -> list[Entry]:
    """The entries whose token is in use, whose participant takes part, and whose events are there and not sent yet.

    What is left out is looked at anew by the next look. Locks the events until the caller's commit, so that no other
    sender writes a message about them meanwhile. At most three queries.
    """
    if not entries:
        return []
    reachable = _reachable(session, {entry.recipient.token_id for entry in entries})
    kept = [entry for entry in entries if entry.recipient.token_id in reachable]
    numbers = sorted({event.event_id for entry in kept for event in entry.events if event.event_id})
    if not numbers:
        return kept
    locked = sa.select(ScheduledEvent.id).where(is_one_of(ScheduledEvent.id, numbers)).order_by(ScheduledEvent.id)
    there = set(session.scalars(locked.with_for_update(key_share=True)))
    on_their_way = _on_their_way(session, numbers, now)

    def is_whole(entry: Entry) -> bool:
        theirs = {event.event_id for event in entry.events if event.event_id}
        return theirs <= there and not theirs & on_their_way

    return [entry for entry in kept if is_whole(entry)]


def _reachable(session: Session, token_ids: set[int]) -> set[int]:
    query = (
        sa.select(PushToken.id)
        .join(Participant, Participant.id == PushToken.participant_id)
        .where(
            is_one_of(PushToken.id, sorted(token_ids)),
            PushToken.retired_at.is_(None),
            Participant.retired_at.is_(None),
            Participant.purge_asked_at.is_(None),
        )
    )
    return set(session.scalars(query))


def _on_their_way(session: Session, event_ids: Sequence[int], now: datetime) -> set[int]:
    """Events of messages without an answer, and of those that were accepted a moment ago."""
    just_sent = sa.and_(PushMessage.state == MessageState.ACCEPTED.value, PushMessage.written_at >= now - JUST_SENT)
    query = (
        sa.select(PushMessageEvent.event_id)
        .join(PushMessage, PushMessage.id == PushMessageEvent.message_id)
        .where(
            is_one_of(PushMessageEvent.event_id, event_ids),
            sa.or_(PushMessage.state == MessageState.PENDING.value, just_sent),
        )
    )
    return {number for number in session.scalars(query) if number is not None}
