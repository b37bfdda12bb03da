"""Which messages are to be sent now (NOTIF-20 to NOTIF-23, NOTIF-51, CLAR-51 to CLAR-54).

Seven queries, whatever the number of participants; what they return is decided here by the rules, row by row.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain, repeat
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import AttemptKind, PushService, SenderState
from core.notifications.answered import newest_answers
from core.notifications.clocks import Clock, clock_of
from core.notifications.due_rows import due_rows, unconfirmed_rows
from core.notifications.rules.bundling import AskedEvent, Bundle, bundles
from core.notifications.rules.receipts import reports_receipts
from core.notifications.rules.resends import Sent, is_resend_due, may_be_sent_again
from core.notifications.running_studies import brackets, running_studies
from core.streams import Platform
from core.surveys.rules.answerable import answerable_until
from core.surveys.schedules import ScheduleKind

LATEST_FIRST_TRY = timedelta(hours=24)
PROMPT = timedelta(minutes=2)
"""An event that is sent within this time cannot have been answered and uploaded before."""
LONG_AGO = timedelta(days=3)


class Waits(StrEnum):
    """Why events that are due are not sent yet."""

    QUIET = "quiet hours"
    RESEND_REST = "resends rest at night"
    TOKEN = "the token failed a moment ago"  # noqa: S105
    SERVICE = "the push service is left alone for a while"
    CREDENTIALS = "no push service is set up"


class Ended(StrEnum):
    """How events end that are not sent; also the status in the history."""

    EXPIRED = "expired"
    ANSWERED = "answered before it was sent"


class Recipient(NamedTuple):
    """Who gets a message, and by which token, which is not shown."""

    participant_id: int
    patient_id: str
    platform: Platform
    app_version: str | None
    service: PushService
    token_id: int
    token: str
    failures: int = 0
    reports_receipts: bool = False

    def __repr__(self) -> str:
        return f"Recipient({self.patient_id}, {self.service}, token {self.token_id})"


@dataclass(frozen=True)
class DueMessage:
    """One message that is to be sent now."""

    recipient: Recipient
    bundle: Bundle


@dataclass
class Selection:
    """What is to be sent, which events end without being sent (with their participant), and how many wait, and why."""

    messages: list[DueMessage] = field(default_factory=list)
    ended: list[tuple[int, AskedEvent, Ended]] = field(default_factory=list)
    waiting: Counter[Waits] = field(default_factory=Counter)

    @property
    def due(self) -> int:
        """Events that are due now, whether sent or waiting."""
        return sum(sum(event.is_due for event in m.bundle.events) for m in self.messages) + self.waiting.total()


def due_notifications(
    session: Session, configured: Collection[PushService], resting: Collection[PushService], now: datetime
) -> Selection:
    """The messages of this moment; reads only.

    `configured` services have credentials; without any, all that is due waits. `resting` ones are left alone for now.
    """
    selection = Selection()
    services = configured or list(PushService)
    if not configured:
        resting = services
    studies = running_studies(session, now)
    ready = {number: study for number, study in studies.items() if not study.waits_for_rebuild}
    found = brackets(session, ready, now)
    first = due_rows(session, found, services, now)
    since = session.scalar(sa.select(SenderState.resends_begin_at)) or datetime.fromtimestamp(0, now.tzinfo)
    resending = [number for number, study in ready.items() if study.resend_period_minutes > 0]
    again = unconfirmed_rows(session, resending, services, since, now)
    asked: dict[int, dict[int, _Candidate]] = defaultdict(dict)
    clocks: dict[tuple[int, str | None], Clock] = {}
    for row, sent in chain(
        zip(first, repeat(None)), ((row, Sent(row.first_at, row.last_at, row.tries)) for row in again)
    ):
        pair = row.study_id, row.timezone_name
        clock = clocks.get(pair)
        if clock is None:
            clock = clocks[pair] = clock_of(ready[row.study_id], row.timezone_name, found, now)
        candidate = _candidate(row, sent, clock, now)
        known = asked[row.participant_id].get(row.event_id)
        if candidate and (known is None or candidate.recipient.service is PushService.APNS):
            asked[row.participant_id][row.event_id] = candidate
    _drop_answered(session, asked, selection, now)
    for candidates in asked.values():
        _decide(list(candidates.values()), resting, selection, now)
    if not configured and (count := selection.waiting.pop(Waits.SERVICE, 0)):
        selection.waiting[Waits.CREDENTIALS] = count
    return selection


class _Candidate(NamedTuple):
    """An event that may be sent, with all that decides whether it is."""

    event: AskedEvent
    recipient: Recipient
    row: Any
    sent: Sent | None
    clock: Clock


def _candidate(row: Any, sent: Sent | None, clock: Clock, now: datetime) -> _Candidate | None:
    """The row as an event of the participant's clock; None where it is not due yet, or no longer worth resending."""
    counts_at = clock.counts_at(row.scheduled_at)
    if counts_at > now:
        return None
    study = clock.study
    minutes = row.expiry_minutes or study.study.survey_expiry_minutes
    until = answerable_until(counts_at, clock.next_at(row.scheduled_at, row.next_at, minutes), minutes)
    reports = reports_receipts(row.os_type, row.last_version_code, row.last_version_name)
    if sent and (not reports or until <= now or not may_be_sent_again(sent, now)):
        return None
    event = AskedEvent(
        row.event_id,
        row.survey_id,
        row.survey_object_id,
        attempt_kind(row.kind),
        row.scheduled_at,
        row.uuid,
        counts_at,
        until,
        is_due=sent is None or is_resend_due(sent, study.resend_period_minutes, now),
        was_sent=sent is not None,
    )
    return _Candidate(event, _recipient(row, reports), row, sent, clock)


def attempt_kind(schedule_kind: str | None) -> str:
    """The kind of attempts of a schedule; random ones are absolute (CLAR-52), without a schedule it is by hand."""
    if schedule_kind is None:
        return AttemptKind.MANUAL.value
    return AttemptKind.ABSOLUTE.value if schedule_kind == ScheduleKind.RANDOM else schedule_kind


def _recipient(row: Any, reports: bool) -> Recipient:
    return Recipient(
        row.participant_id,
        row.patient_id,
        Platform(row.os_type),
        row.last_version_name or row.last_version_code,
        PushService(row.service),
        row.token_id,
        row.token,
        row.failures,
        reports,
    )


def _drop_answered(
    session: Session, asked: Mapping[int, dict[int, _Candidate]], selection: Selection, now: datetime
) -> None:
    """Takes out the events that a submission has answered; one query."""
    late = {
        number: [c for c in some.values() if c.sent or now - c.event.counts_at > PROMPT]
        for number, some in asked.items()
    }
    numbers = [number for number, some in late.items() if some]
    if not numbers:
        return
    oldest = min(c.event.counts_at for some in late.values() for c in some)
    answers = newest_answers(session, numbers, max(oldest, now - LONG_AGO - LATEST_FIRST_TRY), now)
    for number in numbers:
        for candidate in late[number]:
            answered_at = answers.get((number, candidate.event.survey_object_id))
            if answered_at is None or answered_at < candidate.event.counts_at:
                continue
            del asked[number][candidate.event.event_id]
            if candidate.sent is None:
                selection.ended.append((number, candidate.event, Ended.ANSWERED))


def _decide(
    candidates: Sequence[_Candidate],
    resting: Collection[PushService],
    selection: Selection,
    now: datetime,
) -> None:
    """What becomes of one participant's events."""
    alive = []
    for candidate in candidates:
        if candidate.sent is None and _is_too_late(candidate, now):
            selection.ended.append((candidate.row.participant_id, candidate.event, Ended.EXPIRED))
        else:
            alive.append(candidate)
    if not any(candidate.event.is_due for candidate in alive):
        return
    clock = alive[0].clock
    reason = _why_it_waits(alive[0], resting, now)
    if reason is None and clock.resends_rest and all(c.sent for c in alive if c.event.is_due):
        reason = Waits.RESEND_REST
    if reason:
        selection.waiting[reason] += sum(candidate.event.is_due for candidate in alive)
        return
    recipient = alive[0].recipient
    carries_all = recipient.reports_receipts and clock.study.resend_period_minutes > 0
    for bundle in bundles(
        recipient.platform,
        recipient.patient_id,
        [candidate.event for candidate in alive],
        now,
        carries_unconfirmed=carries_all,
    ):
        selection.messages.append(DueMessage(recipient, bundle))


def _is_too_late(candidate: _Candidate, now: datetime) -> bool:
    """Whether a first try comes later than 24 hours, or than the survey can be answered (NOTIF-23, CLAR-51)."""
    minutes = candidate.row.expiry_minutes or candidate.clock.study.study.survey_expiry_minutes
    expiry = timedelta(minutes=minutes)
    return now - candidate.event.counts_at > min(LATEST_FIRST_TRY, expiry)


def _why_it_waits(candidate: _Candidate, resting: Collection[PushService], now: datetime) -> Waits | None:
    if candidate.clock.is_quiet:
        return Waits.QUIET
    if candidate.recipient.service in resting:
        return Waits.SERVICE
    if candidate.row.next_try_at and candidate.row.next_try_at > now:
        return Waits.TOKEN
    return None
