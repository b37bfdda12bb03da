"""Answers that a killed sender had written are settled by the next look (NOTIF-45)."""

import json
import shutil
from datetime import time, timedelta
from pathlib import Path

import pytest

from core.config import get_settings
from core.database import db
from core.models import MessageState, ParticipantActivity, PushMessage
from core.notifications.answer_log import FOLDER, answer_log, settle_left_answers
from core.notifications.delivering import opener
from core.notifications.heartbeats import send_heartbeats
from core.notifications.outcomes import DELIVERED, Fate, Outcome
from core.surveys.schedules import Absolute
from tests.core.notifications.test_due import TODAY
from tests.support.pushing import Pushing, attempts, events

NOON = Absolute(TODAY, time(12))


@pytest.fixture
def pending(pushing: Pushing, monkeypatch: pytest.MonkeyPatch) -> PushMessage:
    """A message that was sent by a process which died before it settled the answer."""
    pushing.phone()
    pushing.asked(NOON)
    with monkeypatch.context() as dying:
        dying.setattr("core.notifications.delivering.settle", lambda *_: None)
        pushing.look()
    row = db.session.scalars(db.select(PushMessage)).one()
    assert row.state == MessageState.PENDING
    return row


def files() -> list[Path]:
    return list((get_settings().var_dir / FOLDER).glob("*.jsonl"))


def left(number: int, nonce: str, outcome: Outcome = DELIVERED) -> None:
    """A file as a process leaves it that is killed while it writes."""
    with pytest.raises(KeyboardInterrupt), answer_log() as log:
        log.note(number, nonce, outcome)
        raise KeyboardInterrupt
    with files()[0].open("a") as file:
        file.write('{"number": 1, "non')


def test_an_answer_that_was_written_is_settled_and_nothing_is_sent_again(pushing: Pushing, pending: PushMessage):
    """NOTIF-45: the event is done, the attempt is in the history, the file is gone."""
    sent = len(pushing.google.messages)
    left(pending.id, pending.nonce)
    assert pushing.later(minutes=5).messages == 0
    assert ([row.status for row in attempts()], events()[0].state, files()) == (["success"], "done", [])
    assert len(pushing.google.messages) == sent


def test_an_answer_to_a_row_of_another_database_is_left_alone(pushing: Pushing, pending: PushMessage):
    """NOTIF-45: the row's number is equal, its nonce is not; the message is sent again, as its answer is not known."""
    left(pending.id, "of another database")
    assert pushing.later(minutes=5).messages == 1
    assert files() == []


def test_a_row_that_was_settled_stays_as_it_is(pushing: Pushing):
    """NOTIF-45: the process died after it had settled and before it deleted the file."""
    pushing.phone()
    pushing.asked(NOON)
    pushing.look()
    row = db.session.scalars(db.select(PushMessage)).one()
    left(row.id, row.nonce, Outcome(Fate.FAILED, "another answer"))
    pushing.later(minutes=5)
    assert [row.status for row in attempts()] == ["success"]


def test_settling_twice_writes_nothing_twice(pushing: Pushing):
    """NOTIF-45: two processes may hold one answer, as when a sender has lost the lock without knowing it."""
    pushing.phone()
    pushing.asked(NOON)
    pushing.look()
    row = db.session.scalars(db.select(PushMessage)).one()
    left(row.id, row.nonce)
    assert settle_left_answers(db.session(), pushing.now) == 1
    assert len(attempts()) == 1


def test_a_line_that_cannot_be_read_stops_nothing(pushing: Pushing, pending: PushMessage):
    """Such as one of another release."""
    folder = get_settings().var_dir / FOLDER
    for name, text in (("a", "5"), ("b", f'{{"number": {pending.id}, "nonce": "{pending.nonce}", "fate": "gone"}}')):
        (folder / f"{name}.jsonl").write_text(text)
    assert pushing.later(minutes=5).messages == 1
    assert files() == []


def test_a_folder_that_takes_no_file_does_not_stop_the_sending(pushing: Pushing):
    """NOTIF-45: a full disk of this machine is no reason to keep surveys back."""
    folder = get_settings().var_dir / FOLDER
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("a file where a folder belongs")
    try:
        pushing.phone()
        pushing.asked(NOON)
        assert pushing.look().accepted == 1
    finally:
        folder.unlink()


def test_a_heartbeat_of_a_run_that_was_killed_is_noted_and_not_repeated(
    pushing: Pushing, monkeypatch: pytest.MonkeyPatch
):
    """NOTIF-60, NOTIF-45: sent and accepted, and killed before that was noted."""
    someone = pushing.phone(last_surveys_at=pushing.now - timedelta(hours=3))
    opened, clock = opener(pushing.google.url), lambda: pushing.now
    with monkeypatch.context() as dying:
        dying.setattr("core.notifications.heartbeats._note_accepted", lambda *_: None)
        assert send_heartbeats(db.engine, opened, clock=clock).accepted == 1
    pushing.now += timedelta(minutes=5)
    assert send_heartbeats(db.engine, opened, clock=clock).silent == 0
    db.session.expire_all()
    activity = db.session.get_one(ParticipantActivity, someone.id)
    assert activity.last_heartbeat_push_at == pushing.now


def test_the_file_holds_no_token_and_no_outcome_that_is_unknown(pushing: Pushing):
    """Rule of secrets: a number, a nonce and an outcome."""
    with answer_log() as log:
        log.note(1, "n", Outcome(Fate.UNREACHABLE, "silence", is_unknown=True))
        log.note(2, "m", Outcome(Fate.FAILED, "no"))
        lines = [json.loads(line) for line in files()[0].read_text().splitlines()]
    assert lines == [{"number": 2, "nonce": "m", "fate": "failed", "reason": "no"}]
    assert files() == []
