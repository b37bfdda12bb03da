"""What changes between the selection of messages and their sending, and services that answer badly (NOTIF-45)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import db
from core.models import PushService, PushToken
from core.notifications.delivering import opener
from core.notifications.senders import BulkSender
from core.notifications.sending import Look, send_due
from core.streams import Platform
from tests.core.notifications.test_sending import NOON
from tests.support.fakes.google import Answer
from tests.support.pushing import NEW_IOS, Pushing, attempts, events, messages, tokens

STATEMENTS = {
    "another token": "UPDATE push_tokens SET retired_at = now()",
    "the participant retires": "UPDATE participants SET retired_at = now()",
    "a purge is asked for": "UPDATE participants SET retired_at = now(), purge_asked_at = now()",
    "the events are removed": "DELETE FROM scheduled_events",
}


def look_with(pushing: Pushing, between: Callable[[], object]) -> Look:
    """One look; something happens after the selection and before the first message is written."""
    opened = opener(pushing.google.url)

    def open_sender(session: Session, service: PushService) -> BulkSender | None:
        between()
        return opened(session, service)

    db.session.commit()
    looked = send_due(db.engine, open_sender, 720, clock=lambda: pushing.now)
    db.session.rollback()
    return looked


def run(statement: str) -> None:
    with db.engine.begin() as connection:
        connection.execute(sa.text(statement))


@pytest.mark.parametrize("change", STATEMENTS)
def test_what_was_selected_is_looked_at_again_before_it_is_sent(pushing: Pushing, change: str):
    """NOTIF-20: token, participant and event are as they are now; nobody else's message is lost."""
    pushing.phone()
    pushing.asked(NOON)
    look = look_with(pushing, lambda: run(STATEMENTS[change]))
    assert (look.messages, look.accepted, look.not_tried) == (1, 0, 0)
    assert (pushing.google.messages, messages()) == ([], [])


def test_a_new_token_gets_the_message_at_the_next_look(pushing: Pushing):
    """NOTIF-44."""
    someone = pushing.phone()
    pushing.asked(NOON)

    def renew() -> None:
        run("UPDATE push_tokens SET retired_at = now()")
        run(f"INSERT INTO push_tokens (participant_id, service, token) VALUES ({someone.id}, 'fcm', 'new')")  # noqa: S608

    look_with(pushing, renew)
    assert pushing.later(seconds=5).accepted == 1
    assert [message["token"] for message in pushing.google.messages] == ["new"]


@pytest.mark.parametrize("ios", [False, True], ids=["android", "ios"])
def test_a_second_sender_whose_lock_was_lost_sends_nothing_twice(pushing: Pushing, ios: bool):
    """CLAR-61: both have selected the same events."""
    for _ in range(3):
        pushing.phone(*([Platform.IOS] if ios else []), **(NEW_IOS if ios else {}))
    pushing.asked(NOON)
    look = look_with(pushing, lambda: send_due(db.engine, opener(pushing.google.url), 720, clock=lambda: pushing.now))
    assert look.accepted == 0
    assert len({message["token"] for message in pushing.google.messages}) == len(pushing.google.messages) == 3
    assert [row.status for row in attempts()] == ["success"] * 3


def test_a_message_on_its_way_of_another_sender_is_not_sent_again(pushing: Pushing):
    """CLAR-61, NOTIF-45: its answer is not known yet."""
    pushing.phone()
    pushing.asked(NOON)
    pushing.google.hangs_up_after = {1}
    look_with(pushing, lambda: send_due(db.engine, opener(pushing.google.url), 720, clock=lambda: pushing.now))
    assert len(pushing.google.messages) == 1
    assert pushing.later(minutes=3).accepted == 1


@pytest.mark.parametrize(
    "answer_given",
    [
        Answer(200, "<html><body>Welcome to the hotel</body></html>"),
        Answer(200, "[]"),
        Answer(200, "{}"),
        Answer(500, ""),
        Answer(418, "\x00\x01 garbage"),
        Answer(302, "", {"Location": "http://127.0.0.1:9/"}),
        Answer(400, '{"error": {"status": 5, "message": null, "details": "x"}}'),
        Answer(503, "later", {"Retry-After": "soon"}),
        Answer(429, "{}", {"Retry-After": "-5"}),
    ],
)
def test_an_answer_that_makes_no_sense_loses_no_token_and_no_event(pushing: Pushing, answer_given: Answer):
    """NOTIF-42: the event is sent once the service answers as it should."""
    someone = pushing.phone()
    pushing.asked(NOON)
    pushing.google.answers = [answer_given]
    assert pushing.look().accepted == 0
    assert (tokens(someone)[0].retired_at, events()[0].state) == (None, "pending")
    assert pushing.later(minutes=7).accepted == 1


@pytest.mark.parametrize("seconds", [-60, -3600])
def test_a_clock_that_is_set_back_sends_nothing_twice(pushing: Pushing, seconds: int):
    """NOTIF-45: also where the answer was not known."""
    pushing.phone()
    pushing.asked(NOON)
    pushing.google.hangs_up_after = {1}
    pushing.look()
    begins = pushing.now
    assert pushing.look(begins + timedelta(seconds=seconds)).messages == 0
    assert pushing.look(begins + timedelta(minutes=3)).accepted == 1
    assert pushing.look(begins + timedelta(seconds=seconds)).messages == 0
    assert len(pushing.google.messages) == 2


def test_a_database_that_restarts_in_a_pass_leaves_nobody_out(pushing: Pushing, monkeypatch: pytest.MonkeyPatch):
    """NOTIF-45: the answers are in the file, and settled by the next look."""
    import core.notifications.delivering as delivering

    for _ in range(4):
        pushing.phone()
    pushing.asked(NOON)
    settle: Any = delivering.settle

    def cut(*arguments: Any) -> None:
        settle(*arguments)
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")  # noqa: S608

    with monkeypatch.context() as restarting:
        restarting.setattr(delivering, "settle", cut)
        with pytest.raises(sa.exc.OperationalError):
            pushing.look()
    db.session.remove()
    db.engine.dispose()
    taken = len(pushing.google.messages)
    pushing.later(seconds=10)
    pushing.later(minutes=3)
    sent = [message["token"] for message in pushing.google.messages]
    assert len(set(sent)) == 4 and taken >= 1
    assert len(sent) == 4, "answers that were in the file were sent again"
    assert db.session.scalar(sa.select(sa.func.count()).select_from(PushToken)) == 4
