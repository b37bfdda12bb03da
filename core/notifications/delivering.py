"""Sends messages through the ledger, batch by batch: written, sent, settled (NOTIF-45).

A run uses one client for each service. Each answer is written to a file at once, and settled in the database in small
groups while others are still on their way: a process that is killed leaves no answer unrecorded.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.models import PushService
from core.notifications.answer_log import AnswerLog
from core.notifications.credential_files import ApnsKey
from core.notifications.credentials import apns_key, service_account
from core.notifications.ledger import Entry, Settled, nonce_of, settle, withdraw_entries, write_entries
from core.notifications.outcomes import Fate, Outcome
from core.notifications.rechecking import still_wanted
from core.notifications.retiring_tokens import retire_unregistered
from core.notifications.rules.judging import blames_credential
from core.notifications.senders import Addressed, BulkSender
from core.notifications.senders.apns_bulk import ApnsBulkSender
from core.notifications.senders.apns_connection import gateway_at
from core.notifications.senders.fcm_bulk import FcmBulkSender
from core.notifications.service_states import configured_services, has_accepted, note_service

BATCH = 500
SETTLED_AT_ONCE = 100
SETTLE_SECONDS = 0.1

OpenSender = Callable[[Session, PushService], BulkSender | None]
"""Makes the sender of a service, or None where the site has no credentials for it."""


@dataclass
class Delivered:
    """What became of a run's messages: counts by service, platform and fate; those not tried; tokens lost."""

    outcomes: Counter[tuple[PushService, str, str]] = field(default_factory=Counter)
    not_tried: int = 0
    tokens_retired: int = 0

    @property
    def accepted(self) -> int:
        return sum(n for (_, _, fate), n in self.outcomes.items() if fate == Fate.DELIVERED)


def opener(fcm_url: str, apns_url: str | None = None) -> OpenSender:
    """The senders with the site's credentials, at these addresses; by default Apple's own."""

    def open_sender(session: Session, service: PushService) -> BulkSender | None:
        if service is PushService.FCM:
            account = service_account(session)
            return FcmBulkSender(account, fcm_url) if account else None
        key: ApnsKey | None = apns_key(session)
        return ApnsBulkSender(key, gateway_at(apns_url)) if key else None

    return open_sender


def deliver(
    engine: sa.Engine,
    open_sender: OpenSender,
    entries: Sequence[Entry],
    clock: Callable[[], datetime],
    log: AnswerLog | None = None,
) -> Delivered:
    """Sends the messages of a run, and draws the conclusions about tokens and services. Commits as it goes.

    Messages to tokens that failed before are sent last: after a token that Apple does not know, it allows a connection
    one message at a time. The sole sender gives a log of answers, for the case that it is killed. Raises the database's
    errors.
    """
    done = Delivered()
    by_service: dict[PushService, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.recipient.failures):
        by_service.setdefault(entry.recipient.service, []).append(entry)
    with Session(engine) as session:
        for service, some in by_service.items():
            _deliver_by(session, service, open_sender, some, clock, done, log)
    return done


def _deliver_by(
    session: Session,
    service: PushService,
    open_sender: OpenSender,
    entries: Sequence[Entry],
    clock: Callable[[], datetime],
    done: Delivered,
    log: AnswerLog | None,
) -> None:
    sender = open_sender(session, service)
    session.commit()
    if sender is None:
        done.not_tried += len(entries)
        return
    outcomes: list[Outcome] = []
    lost: set[int] = set()
    with ExitStack() as stack:
        stack.enter_context(sender)
        for start in range(0, len(entries), BATCH):
            batch = still_wanted(session, entries[start : start + BATCH], clock())
            tried = 0
            for settled in _send_batch(session, sender, batch, clock, log):
                tried += 1
                outcomes.append(settled.outcome)
                fate = "unknown" if settled.outcome.is_unknown else settled.outcome.fate.value
                done.outcomes[service, settled.recipient.platform.value, fate] += 1
                if settled.outcome.fate is Fate.UNREGISTERED:
                    lost.add(settled.recipient.token_id)
            if tried < len(batch):  # the service refuses, or does not answer
                done.not_tried += len(batch) - tried + len(entries[start + BATCH :])
                break
    done.tokens_retired += _conclude(session, service, outcomes, lost, clock())


def _send_batch(
    session: Session, sender: BulkSender, batch: Sequence[Entry], clock: Callable[[], datetime], log: AnswerLog | None
) -> Iterator[Settled]:
    """Sends a batch and yields what is settled; rows of messages that were not tried are deleted."""
    numbers = write_entries(session, batch, clock())
    session.commit()
    recipients = {number: entry.recipient for number, entry in zip(numbers, batch, strict=True)}
    nonces = {number: nonce_of(entry) for number, entry in zip(numbers, batch, strict=True)}
    messages = [
        Addressed(number, entry.recipient.token, entry.message) for number, entry in zip(numbers, batch, strict=True)
    ]
    group: list[Settled] = []
    settled_at = time.monotonic()
    answers = sender.send_all(messages)
    for number, outcome in answers:
        if log:
            log.note(number, nonces[number], outcome)
        group.append(Settled(number, recipients.pop(number), outcome))
        if len(group) >= SETTLED_AT_ONCE or time.monotonic() - settled_at >= SETTLE_SECONDS:
            try:
                _settle_group(session, group, clock())
            except SQLAlchemyError:  # the others are on their way: the next look settles them from the file
                if log:
                    _note_rest(log, answers, nonces)
                raise
            yield from group
            group, settled_at = [], time.monotonic()
    _settle_group(session, group, clock())
    yield from group
    withdraw_entries(session, list(recipients))
    session.commit()


def _note_rest(log: AnswerLog, answers: Iterator[tuple[int, Outcome]], nonces: Mapping[int, str]) -> None:
    for number, outcome in answers:
        log.note(number, nonces[number], outcome)


def _settle_group(session: Session, group: Sequence[Settled], now: datetime) -> None:
    settle(session, group, now)
    session.commit()


def _conclude(
    session: Session, service: PushService, outcomes: Sequence[Outcome], lost: set[int], now: datetime
) -> int:
    """Retires lost tokens, unless the credential is to blame, and notes the service's state; returns how many."""
    if not outcomes:
        return 0
    proven = has_accepted(session, service, configured_services(session).get(service))
    is_blamed = blames_credential((outcome.fate for outcome in outcomes), has_accepted=proven)
    retired = 0 if is_blamed else retire_unregistered(session, lost, now)
    note_service(session, service, outcomes, now, is_blamed=is_blamed)
    session.commit()
    return retired


def by_words(outcomes: Mapping[tuple[PushService, str, str], int]) -> dict[str, int]:
    """The counts with keys such as `fcm ANDROID delivered`, for rows and artifacts."""
    return {f"{service} {platform} {fate}": count for (service, platform, fate), count in sorted(outcomes.items())}


def utc_now() -> datetime:
    """The clock of real runs."""
    return datetime.now(UTC)
