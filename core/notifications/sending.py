"""One look of the sender: what is due is sent, what is too late ends, and what waits is counted (NOTIF-20, CLAR-61).

One process sends at a time, by a lock of the database, which ends with the connection of a process that was killed.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.clock import check_clock
from core.locks import LockSpace, held_alone, lock_key
from core.models import MessageKind, PushService, SenderPass, SenderState
from core.notifications.answer_log import answer_log, settle_left_answers
from core.notifications.delivering import Delivered, OpenSender, by_words, deliver, utc_now
from core.notifications.due import DueMessage, Selection, due_notifications
from core.notifications.expiring import expire_old_events
from core.notifications.ledger import Entry, end_events, give_up_pending
from core.notifications.messages import BUILT_IN, Wording, survey_message
from core.notifications.retiring_tokens import retire_failing
from core.notifications.service_states import configured_services, resting_services
from core.notifications.wording import wording_of
from core.operations.tallies import Counted, add_tallies

log = logging.getLogger(__name__)
_SOLE = lock_key(LockSpace.SENDER)


@dataclass(frozen=True)
class Look:
    """What one look did. Counts are events for `due`, `ended` and `waiting`, messages for the others."""

    began_at: datetime
    due: int
    messages: int
    accepted: int
    outcomes: dict[str, int] = field(default_factory=dict)
    not_tried: int = 0
    tokens_retired: int = 0
    ended: int = 0
    waiting: dict[str, int] = field(default_factory=dict)
    given_up: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to do and nothing waits."""
        return not (self.due or self.messages or self.ended or self.given_up)


def sole_sender(engine: sa.Engine) -> AbstractContextManager[bool]:
    """Takes the lock to send for the block; yields False if another process holds it."""
    return held_alone(engine, _SOLE)


def send_due(
    engine: sa.Engine, open_sender: OpenSender, most_failures: int, *, clock: Callable[[], datetime] = utc_now
) -> Look:
    """Sends what is due at this moment; commits as it goes. To be called by the sole sender.

    A token is given up after `most_failures` in a row. Raises the database's errors and ClockLooksWrong, after which
    the next look goes on where this one ended.
    """
    now = clock()
    with Session(engine) as session:
        if clock is utc_now:
            check_clock(session)
        settle_left_answers(session, now)
        given_up = give_up_pending(session, now)
        ended = expire_old_events(session, now)
        session.commit()
        selection = _selection(session, now)
        end_events(session, selection.ended, now)
        session.commit()
        wording = wording_of(session, [message.recipient.participant_id for message in selection.messages])
        session.commit()
    entries = [_worded(message, now, wording) for message in selection.messages]
    with answer_log() if entries else nullcontext() as answers:
        done = deliver(engine, open_sender, entries, clock, answers)
    look = _look(now, selection, done, ended, given_up)
    with Session(engine) as session:
        retired = retire_failing(session, most_failures, now)
        _note_look(session, look, clock())
        session.commit()
    if not look.is_empty:
        log.info("notifications: %d due, %d accepted, %s", look.due, look.accepted, look.outcomes | look.waiting)
    return look if not retired else _with_retired(look, retired)


def look_at_due(session: Session, now: datetime) -> Selection:
    """What would be sent at this moment; nothing is sent or written."""
    return _selection(session, now)


def entry_of(due: DueMessage, now: datetime, wording: Wording = BUILT_IN) -> Entry:
    """The message as the ledger and the senders take it (NOTIF-30, NOTIF-35)."""
    bundle = due.bundle
    message = survey_message(due.recipient.platform, bundle.uuids, bundle.earliest, wording)
    message = message.until(bundle.expires_at, bundle.collapse_key, now)
    return Entry(due.recipient, MessageKind.SURVEYS, message, bundle.due_at, bundle.events)


def _worded(due: DueMessage, now: datetime, wording: Mapping[int, Wording]) -> Entry:
    return entry_of(due, now, wording.get(due.recipient.participant_id, BUILT_IN))


def _selection(session: Session, now: datetime) -> Selection:
    configured = configured_services(session)
    resting: list[PushService] = resting_services(session, configured, now)
    return due_notifications(session, list(configured), resting, now)


def _look(now: datetime, selection: Selection, done: Delivered, ended: int, given_up: int) -> Look:
    return Look(
        began_at=now,
        due=selection.due,
        messages=len(selection.messages),
        accepted=done.accepted,
        outcomes=by_words(done.outcomes),
        not_tried=done.not_tried,
        tokens_retired=done.tokens_retired,
        ended=ended + len(selection.ended),
        waiting={reason.value: count for reason, count in selection.waiting.items()},
        given_up=given_up,
    )


def _with_retired(look: Look, retired: int) -> Look:
    return Look(**{**look.__dict__, "tokens_retired": look.tokens_retired + retired})


def _note_look(session: Session, look: Look, ended_at: datetime) -> None:
    session.execute(sa.update(SenderState).values(looked_at=ended_at))
    if look.messages:
        session.add(
            SenderPass(
                began_at=look.began_at,
                ended_at=ended_at,
                due=look.due,
                outcomes=look.outcomes,
                waiting=look.waiting,
            )
        )
        by_fate: dict[str, int] = {}
        for words, count in look.outcomes.items():
            fate = words.split(" ", 2)[2]
            by_fate[fate] = by_fate.get(fate, 0) + count
        add_tallies(session, {Counted.NOTIFICATIONS: by_fate})
