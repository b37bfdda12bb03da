"""Delivers messages that wait: each is claimed and committed before it is sent, so that a kill loses none (CLAR-58).

A message may arrive twice if its process was killed, or its answer lost, in the middle; both have the same id.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.config import Settings
from core.crypto.secrets import SecretUnreadable
from core.models import OutgoingMessage, Study
from core.models.audit_record import Action
from core.models.outgoing_message import Channel
from core.outgoing.time_limits import time_limit
from core.outgoing.transports import Letter, NotDelivered, send_mail, send_prefect_event, send_webhook

log = logging.getLogger(__name__)

AT_ONCE = 8
MOST_SECONDS = 25.0
"""How long one try may take from its connection to the last answer, however slowly the other side answers."""
LEASE = timedelta(minutes=1)
"""How long a process has for a message until another may try it: longer than a try can take."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(hours=1)
GIVEN_UP_AFTER = {
    Channel.MAIL: timedelta(days=3),
    Channel.WEBHOOK: timedelta(days=3),
    Channel.PREFECT: timedelta(hours=1),
}

UNREADABLE = "Not sent: its address cannot be read with this server's FLASK_SECRET_KEY."


@dataclass(frozen=True)
class Destination:
    """Where a message goes in place of its own address, and the keys that sign it."""

    address: str
    signing_keys: tuple[str, ...]


Refuse = Callable[[Session, OutgoingMessage], str | Destination | None]
"""Says why a message must not be sent now; or where it goes; None: to its own address."""

NoteResults = Callable[[Session, Sequence[tuple[int, NotDelivered | None]], datetime], None]
"""Told of the tries of a round: numbers of messages, and what went wrong. The results are committed by then."""


def deliver_waiting(
    engine: sa.Engine,
    settings: Settings,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    refuse: Refuse = lambda session, message: None,
    channels: Collection[Channel] = tuple(Channel),
    note_results: NoteResults = lambda session, results, now: None,
) -> int:
    """Tries the messages whose time has come, several at once, and returns how many it took; commits as it goes.

    Only those of `channels`: a mail server that hangs does not keep webhooks waiting if each channel has a thread. A
    message that `refuse` gives a reason against is given up. To be called again until it returns 0. Several processes
    may call it. Raises the database's errors.
    """
    with Session(engine) as session:
        claimed, refused = _claim(session, clock(), refuse, channels)
        session.commit()
    if not claimed:
        return refused
    with ThreadPoolExecutor(len(claimed), thread_name_prefix="outgoing") as threads:
        results = list(threads.map(lambda each: _try(settings, each[1], clock()), claimed))
    with Session(engine) as session:
        for (number, _), failure in zip(claimed, results, strict=True):
            _settle(session, number, failure, clock())
        session.commit()
        note_results(
            session, [(number, failure) for (number, _), failure in zip(claimed, results, strict=True)], clock()
        )
        session.commit()
    return len(claimed) + refused


def try_again(session: Session, message: OutgoingMessage, now: datetime, *, actor: Actor) -> None:
    """Gives a message that was given up its time again, with the same contents and id. The caller commits."""
    if message.given_up_at is not None:
        start_again(message, now)
        study = session.get(Study, message.study_id) if message.study_id else None
        record(session, actor, Action.OUTGOING_RETRY, study=study, message=str(message.uuid), about=message.about)


def start_again(message: OutgoingMessage, now: datetime) -> None:
    """Lets a message that was given up or delivered wait as if it were new, with the same contents and id."""
    message.given_up_at, message.delivered_at, message.next_try_at = None, None, now
    message.tries, message.created_at, message.problem = 0, now, None


def _claim(
    session: Session, now: datetime, refuse: Refuse, channels: Collection[Channel]
) -> tuple[list[tuple[int, Letter]], int]:
    """The messages that are to be tried, and how many were given up instead."""
    query = (
        sa.select(OutgoingMessage)
        .options(sa.orm.defer(OutgoingMessage.address), sa.orm.defer(OutgoingMessage.signing_key))
        .where(OutgoingMessage.next_try_at <= now, OutgoingMessage.channel.in_(sorted(channels)))
        .order_by(OutgoingMessage.next_try_at)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    claimed, refused = [], 0
    for row in session.scalars(query).all():
        try:
            answer = refuse(session, row)
            reason = answer if isinstance(answer, str) else None
            to = answer if isinstance(answer, Destination) else _own_destination(row)
            letter = Letter(str(row.uuid), row.channel, to.address, to.signing_keys, row.contents)
        except SecretUnreadable:
            log.error("outgoing: the address of a %s about %s cannot be read", row.channel, row.about)
            reason = UNREADABLE
        if reason:
            row.given_up_at, row.next_try_at, row.problem = now, None, reason
            refused += 1
            continue
        row.tries, row.next_try_at = row.tries + 1, now + LEASE
        claimed.append((row.id, letter))
    return claimed, refused


def _own_destination(row: OutgoingMessage) -> Destination:
    return Destination(row.address, (row.signing_key,) if row.signing_key is not None else ())


def _try(settings: Settings, letter: Letter, now: datetime) -> NotDelivered | None:
    """Sends it; returns what went wrong. What nobody foresaw is a failed try as well, not the end of all others."""
    try:
        with time_limit(MOST_SECONDS) as limit:
            match Channel(letter.channel):
                case Channel.MAIL:
                    send_mail(settings, letter)
                case Channel.WEBHOOK:
                    send_webhook(settings, letter, now)
                case Channel.PREFECT:
                    send_prefect_event(settings, letter)
    except NotDelivered as failure:
        return NotDelivered(f"There was no whole answer within {MOST_SECONDS:g} seconds.") if limit.is_over else failure
    except Exception as error:
        log.exception("outgoing: a try failed in an unforeseen way")
        return NotDelivered(f"The server could not send it ({type(error).__name__}).")
    return None


def _settle(session: Session, number: int, failure: NotDelivered | None, now: datetime) -> None:
    row = session.get(OutgoingMessage, number, with_for_update=True)
    if row is None or row.next_try_at is None:
        return
    if failure is None:
        row.delivered_at, row.next_try_at, row.problem = now, None, None
        return
    row.problem = str(failure)
    pause = min(FIRST_PAUSE * 2 ** min(row.tries - 1, 20), LONGEST_PAUSE)
    row.next_try_at = now + pause
    if failure.is_final or now + pause > row.created_at + GIVEN_UP_AFTER[Channel(row.channel)]:
        row.given_up_at, row.next_try_at = now, None
        log.error("outgoing: a %s about %s was given up: %s", row.channel, row.about, failure)
