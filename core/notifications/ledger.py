"""The ledger: a row for each message, committed before it is sent and settled after the answer (NOTIF-45, CLAR-61).

A row that stays pending for two minutes belongs to a process that died, or to a service that never answered. It is then
given up as unknown, and its events come due again: with the same uuids, and after everything was looked at anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from core.bulk import value_table
from core.models import (
    EventState,
    MessageKind,
    MessageState,
    NotificationAttempt,
    PushMessage,
    PushMessageEvent,
    PushReceipt,
    PushToken,
    ScheduledEvent,
    SurveyVersion,
)
from core.models.schedule import SUCCESS
from core.notifications.due import Ended, Recipient
from core.notifications.messages import Message
from core.notifications.outcomes import Fate, Outcome
from core.notifications.rules.bundling import AskedEvent
from core.notifications.rules.judging import TOKEN_PAUSE

GIVEN_UP_AFTER = timedelta(minutes=2)
NO_ANSWER = "No answer was recorded."
SETTLED_AS: Mapping[Fate, MessageState] = {
    Fate.DELIVERED: MessageState.ACCEPTED,
    Fate.UNREGISTERED: MessageState.UNREGISTERED,
}
"""All other fates are failures."""
WITHOUT_OUTCOME = (MessageState.PENDING.value, MessageState.UNKNOWN.value)
"""States of rows whose answer is not recorded; a late one still counts."""
WITHOUT_ATTEMPT = frozenset((Fate.UNREGISTERED, Fate.QUOTA))
"""Fates that leave no row in the history of attempts (NOTIF-41, NOTIF-43)."""


@dataclass(frozen=True)
class Entry:
    """A message to be written into the ledger. `events` may be none, for messages about no survey.

    `researcher_name` is who sends it by hand.
    """

    recipient: Recipient
    kind: MessageKind
    message: Message
    due_at: datetime
    events: tuple[AskedEvent, ...] = ()
    researcher_name: str | None = None


@dataclass(frozen=True)
class Settled:
    """The outcome of a row of the ledger."""

    number: int
    recipient: Recipient
    outcome: Outcome


def give_up_pending(session: Session, now: datetime) -> int:
    """Ends rows that have been pending for two minutes; returns how many. The caller commits.

    Scheduled events come due again. Surveys that were sent by hand do not, and get a row in the history.
    """
    old = sa.and_(PushMessage.state == MessageState.PENDING.value, PushMessage.written_at < now - GIVEN_UP_AFTER)
    unknown = {"state": MessageState.UNKNOWN.value, "settled_at": now, "reason": NO_ANSWER}
    given_up = sa.update(PushMessage).where(old).values(unknown).returning(PushMessage.id, PushMessage.kind)
    rows = session.execute(given_up).all()
    if by_hand := [(row.id, NO_ANSWER) for row in rows if row.kind == MessageKind.MANUAL]:
        _write_attempts(session, value_table("given", {"number": sa.BigInteger(), "status": sa.Text()}, by_hand), now)
    return len(rows)


def write_entries(session: Session, entries: Sequence[Entry], now: datetime) -> list[int]:
    """Writes them as pending and returns their numbers in the same order; the caller commits before it sends.

    Three statements, whatever the number.
    """
    if not entries:
        return []
    rows = [_row(entry, now) for entry in entries]
    insert = sa.insert(PushMessage).returning(PushMessage.id, sort_by_parameter_order=True)
    numbers = list(session.scalars(insert, rows))
    versions = newest_versions(session, {event.survey_id for entry in entries for event in entry.events})
    parts = [
        _part(number, entry, event, versions[event.survey_id])
        for number, entry in zip(numbers, entries, strict=True)
        for event in entry.events
    ]
    if parts:
        session.execute(sa.insert(PushMessageEvent), parts)
    return numbers


def withdraw_entries(session: Session, numbers: Sequence[int]) -> None:
    """Deletes rows of messages that were not tried after all. The caller commits."""
    if numbers:
        session.execute(sa.delete(PushMessage).where(PushMessage.id.in_(numbers)))


def settle(session: Session, settled: Sequence[Settled], now: datetime) -> None:
    """Writes what became of messages: their rows, attempts, events, and their tokens' failures. The caller commits.

    Outcomes that are unknown leave their rows pending. Rows that have their outcome stay as they are, so that settling
    twice writes nothing twice. At most six statements, whatever the number.
    """
    known = [each for each in settled if not each.outcome.is_unknown]
    if not known:
        return
    given = _given(known)
    written = set(
        session.scalars(
            sa.update(PushMessage)
            .where(PushMessage.id == given.c.number, PushMessage.state.in_(WITHOUT_OUTCOME))
            .values(state=given.c.state, fate=given.c.fate, reason=given.c.reason, settled_at=now)
            .returning(PushMessage.id)
        )
    )
    known = [each for each in known if each.number in written]
    if not known:
        return
    _write_attempts(session, _given(known), now)
    if accepted := [each.number for each in known if each.outcome.fate is Fate.DELIVERED]:
        session.execute(_events_done(accepted))
    _note_tokens(session, known, now)


def end_events(session: Session, ended: Sequence[tuple[int, AskedEvent, Ended]], now: datetime) -> None:
    """Ends events that are not sent, with a row in the history. Rows are locked in one order. The caller commits."""
    if not ended:
        return
    versions = newest_versions(session, {event.survey_id for _, event, _ in ended})
    for how in Ended:
        if numbers := sorted(event.event_id for _, event, why in ended if why is how):
            state = EventState.EXPIRED if how is Ended.EXPIRED else EventState.DONE
            is_theirs = ScheduledEvent.id == sa.any_(sa.cast(numbers, ARRAY(sa.BigInteger())))
            session.execute(sa.update(ScheduledEvent).where(is_theirs).values(state=state.value))
    rows = [
        {
            "survey_version_id": versions[event.survey_id],
            "participant_id": participant_id,
            "kind": event.kind,
            "scheduled_at": event.scheduled_at,
            "status": how.value,
            "attempted_at": now,
        }
        for participant_id, event, how in ended
    ]
    session.execute(sa.insert(NotificationAttempt), rows)


def nonce_of(entry: Entry) -> str:
    """The random text that tells this message from all others (NOTIF-30)."""
    return entry.message.data.get("nonce", "")


def _row(entry: Entry, now: datetime) -> dict[str, Any]:
    to = entry.recipient
    return {
        "participant_id": to.participant_id,
        "token_id": to.token_id,
        "service": to.service.value,
        "platform": to.platform.value,
        "kind": entry.kind.value,
        "nonce": nonce_of(entry),
        "app_version": to.app_version,
        "due_at": entry.due_at,
        "expires_at": entry.message.expires_at,
        "written_at": now,
    }


def _part(number: int, entry: Entry, event: AskedEvent, version_id: int) -> dict[str, Any]:
    to = entry.recipient
    return {
        "message_id": number,
        "participant_id": to.participant_id,
        "event_id": event.event_id or None,
        "survey_id": event.survey_id,
        "survey_version_id": version_id,
        "kind": event.kind,
        "scheduled_at": event.scheduled_at,
        "uuid": event.uuid,
        "is_reported": to.reports_receipts,
        "was_resend": event.was_sent,
        "researcher_name": entry.researcher_name,
    }


def newest_versions(session: Session, survey_ids: set[int]) -> dict[int, int]:
    """The newest version of each survey, to which attempts refer (SURVEY-3)."""
    query = sa.select(SurveyVersion.survey_id, SurveyVersion.id).distinct(SurveyVersion.survey_id)
    query = query.where(SurveyVersion.survey_id.in_(survey_ids))
    order = (SurveyVersion.survey_id, SurveyVersion.started_at.desc(), SurveyVersion.id.desc())
    return dict(session.execute(query.order_by(*order)).tuples().all()) if survey_ids else {}


def _given(known: Sequence[Settled]) -> sa.TableValuedAlias:
    """The outcomes as a table of a statement; `status` is that of attempts, null where there is none."""
    rows = []
    for each in known:
        fate, reason = each.outcome.fate, each.outcome.reason
        status = None if fate in WITHOUT_ATTEMPT else SUCCESS if fate is Fate.DELIVERED else reason or fate.value
        state = SETTLED_AS.get(fate, MessageState.FAILED)
        rows.append((each.number, state.value, fate.value, reason or None, status))
    texts = dict.fromkeys(("state", "fate", "reason", "status"), sa.Text())
    return value_table("given", {"number": sa.BigInteger(), **texts}, rows)


def _write_attempts(session: Session, given: sa.TableValuedAlias, now: datetime) -> None:
    """An attempt for each event of a message; a receipt may have come before its message was settled."""
    part = PushMessageEvent
    uuid = sa.case((part.is_reported, part.uuid))
    is_received = sa.exists().where(PushReceipt.participant_id == part.participant_id, PushReceipt.uuid == part.uuid)
    columns = {
        "survey_version_id": part.survey_version_id,
        "participant_id": part.participant_id,
        "kind": part.kind,
        "scheduled_at": part.scheduled_at,
        "status": given.c.status,
        "uuid": uuid,
        "is_confirmed": sa.and_(part.is_reported, given.c.status == SUCCESS, is_received),
        "was_resend": part.was_resend,
        "researcher_name": part.researcher_name,
        "attempted_at": sa.literal(now, sa.DateTime(timezone=True)),
    }
    rows = sa.select(*columns.values()).join(given, given.c.number == part.message_id)
    rows = rows.where(given.c.status.is_not(None)).order_by(part.id)
    session.execute(sa.insert(NotificationAttempt).from_select(list(columns), rows))


def _events_done(accepted: Sequence[int]) -> sa.Update:
    """Events of accepted messages, also those that a rebuild made anew meanwhile, are done (NOTIF-7)."""
    part = PushMessageEvent
    of_message = part.message_id == sa.any_(sa.cast(sorted(accepted), ARRAY(sa.BigInteger())))
    event = aliased(ScheduledEvent)
    same = sa.and_(
        event.participant_id == part.participant_id,
        event.survey_id == part.survey_id,
        event.scheduled_at == part.scheduled_at,
    )
    locked = (
        sa.select(event.id)
        .where(same, of_message, event.state == EventState.PENDING.value)
        .order_by(event.id)
        .with_for_update(of=event)
    )
    done = sa.update(ScheduledEvent).where(ScheduledEvent.id.in_(locked)).values(state=EventState.DONE.value)
    return done.execution_options(synchronize_session=False)


def _note_tokens(session: Session, known: Sequence[Settled], now: datetime) -> None:
    """Failures of a very token count, at most one in six minutes; a success ends the count (NOTIF-40, NOTIF-42)."""
    well = {
        each.recipient.token_id for each in known if each.outcome.fate is Fate.DELIVERED and each.recipient.failures
    }
    ill = {each.recipient.token_id for each in known if each.outcome.fate is Fate.FAILED}
    if well:
        session.execute(
            sa.update(PushToken).where(PushToken.id.in_(sorted(well - ill))).values(failures=0, next_try_at=None)
        )
    if ill:
        is_counted = sa.or_(PushToken.next_try_at.is_(None), PushToken.next_try_at <= now)
        failed = sa.update(PushToken).where(PushToken.id.in_(sorted(ill)), is_counted)
        session.execute(failed.values(failures=PushToken.failures + 1, next_try_at=now + TOKEN_PAUSE))
