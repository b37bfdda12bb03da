"""The watch over quiet failure: it finds troubles of sending, keeps one row for each, and logs it (CLAR-62).

It runs in the web process, so that it works also where no flow and no sender does.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import MessageKind, MessageState, PushMessage, PushToken, SenderState, SystemEvent, Trouble
from core.notifications.service_states import configured_services, service_states

log = logging.getLogger(__name__)

SILENT_AFTER = timedelta(minutes=5)
UNREACHABLE_AFTER = timedelta(minutes=10)
COMPARED = timedelta(hours=6)
BEFORE = timedelta(days=7)
LEAST_MESSAGES = 20
LOST_WITHIN = timedelta(hours=24)
LEAST_LOST = 10
LOST_SHARE = 0.1


@dataclass(frozen=True)
class Found:
    """A trouble that exists at this moment, in a sentence."""

    kind: Trouble
    subject: str
    text: str


Tell = Callable[[Session, SystemEvent, datetime], None]
"""Writes down whom to tell of a trouble that began or is over; called in the transaction that found it."""


def watch(session: Session, now: datetime, tell: Tell = lambda session, trouble, now: None) -> list[Found]:
    """Writes new troubles and ends those that are over; returns the new ones. The caller commits.

    At most nine queries, and what `tell` needs. Several processes may watch: a trouble is told once.
    """
    found = {(each.kind.value, each.subject): each for each in troubles(session, now)}
    # Locked, so that two processes do not both tell that a trouble is over.
    open_rows = {(row.kind, row.subject): row for row in session.scalars(_open().with_for_update(skip_locked=True))}
    for key, row in open_rows.items():
        if key not in found:
            row.ended_at = now
            tell(session, row, now)
            log.info("notifications: over: %s %s", row.kind, row.subject)
    new = []
    for key, each in found.items():
        if key in open_rows:
            continue
        row_of = insert(SystemEvent).values(kind=each.kind.value, subject=each.subject, text=each.text, began_at=now)
        if (begun := session.scalar(row_of.on_conflict_do_nothing().returning(SystemEvent))) is not None:
            tell(session, begun, now)
            log.error("notifications: %s", each.text)
            new.append(each)
    return new


def open_troubles(session: Session) -> list[SystemEvent]:
    """The troubles that pages show in a banner, oldest first; one query."""
    return list(session.scalars(_open().order_by(SystemEvent.began_at)))


def troubles(session: Session, now: datetime) -> list[Found]:
    """The troubles of this moment. A site without credentials has none: that is shown where they are uploaded."""
    configured = configured_services(session)
    if not configured:
        return []
    found = [*_silence(session, now, max(configured.values())), *_services(session, now)]
    return [*found, *_halved(session, now), *_lost(session, now)]


def _open() -> sa.Select[tuple[SystemEvent]]:
    return sa.select(SystemEvent).where(SystemEvent.ended_at.is_(None))


def _silence(session: Session, now: datetime, configured_at: datetime) -> list[Found]:
    looked_at = session.scalar(sa.select(SenderState.looked_at)) or configured_at
    if now - looked_at < SILENT_AFTER:
        return []
    text = f"No push notification has been sent or looked for since {looked_at:%Y-%m-%d %H:%M} UTC."
    return [Found(Trouble.SENDER_SILENT, "", text)]


def _services(session: Session, now: datetime) -> list[Found]:
    found = []
    for service, state in service_states(session).items():
        if state.refused_at:
            text = f"{service} refuses this server's credentials since {state.refused_at:%Y-%m-%d %H:%M} UTC."
            found.append(Found(Trouble.CREDENTIALS_REFUSED, service.value, text))
        elif state.unreachable_at and now - state.unreachable_at >= UNREACHABLE_AFTER:
            text = f"{service} has not answered since {state.unreachable_at:%Y-%m-%d %H:%M} UTC."
            found.append(Found(Trouble.SERVICE_UNREACHABLE, service.value, text))
    return found


def _halved(session: Session, now: datetime) -> list[Found]:
    """The share of accepted survey messages of the last hours against that of the week before, for each service."""
    lately, before = (
        _shares(session, since, until)
        for since, until in ((now - COMPARED, now), (now - COMPARED - BEFORE, now - COMPARED))
    )
    found = []
    for service, (accepted, total) in lately.items():
        accepted_before, total_before = before.get(service, (0, 0))
        if min(total, total_before) < LEAST_MESSAGES:
            continue
        share, share_before = accepted / total, accepted_before / total_before
        if share * 2 <= share_before:
            text = f"{service} took {share:.0%} of the messages of the last six hours, and {share_before:.0%} before."
            found.append(Found(Trouble.DELIVERY_HALVED, service, text))
    return found


def _shares(session: Session, since: datetime, until: datetime) -> Mapping[str, tuple[int, int]]:
    accepted = sa.func.count().filter(PushMessage.state == MessageState.ACCEPTED.value)
    query = (
        sa.select(PushMessage.service, accepted, sa.func.count())
        .where(
            PushMessage.written_at >= since,
            PushMessage.written_at < until,
            PushMessage.kind == MessageKind.SURVEYS.value,
            PushMessage.state != MessageState.PENDING.value,
        )
        .group_by(PushMessage.service)
    )
    return {service: (taken, total) for service, taken, total in session.execute(query)}


def _lost(session: Session, now: datetime) -> list[Found]:
    lost_query = sa.select(PushToken.service, sa.func.count()).where(
        PushToken.retired_because.is_not(None), PushToken.retired_at >= now - LOST_WITHIN
    )
    lost = dict(session.execute(lost_query.group_by(PushToken.service)).tuples().all())
    used_query = sa.select(PushToken.service, sa.func.count()).where(PushToken.retired_at.is_(None))
    in_use = dict(session.execute(used_query.group_by(PushToken.service)).tuples().all()) if lost else {}
    found = []
    for service, count in lost.items():
        total = count + in_use.get(service, 0)
        if count >= LEAST_LOST and count >= LOST_SHARE * total:
            text = f"{service} no longer knows {count:,} of {total:,} push tokens since yesterday."
            found.append(Found(Trouble.TOKENS_LOST, service, text))
    return found
