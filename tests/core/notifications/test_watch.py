"""Quiet failure is impossible: troubles are found, told once, and end (CLAR-62)."""

import logging
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core.audit import SERVER
from core.config import load_settings
from core.database import db
from core.models import CredentialKind, PushMessage, PushToken, Trouble
from core.notifications.credentials import remove_credential
from core.notifications.watch import open_troubles, watch
from tests.core.notifications.test_sending import NOON
from tests.support.fakes.google import fcm_error
from tests.support.pushing import Pushing
from webapp.watching import Repeated, watcher


def found(pushing: Pushing, **later: float) -> list[Trouble]:
    pushing.now += timedelta(**later)
    new = [each.kind for each in watch(db.session(), pushing.now)]
    db.session.commit()
    return new


def test_a_sender_that_is_silent_for_five_minutes_is_told_of_once(pushing: Pushing, caplog: pytest.LogCaptureFixture):
    """CLAR-62: a row, a log line, and an end when it looks again."""
    pushing.look()
    assert found(pushing, minutes=4) == []
    caplog.set_level(logging.ERROR)
    assert found(pushing, minutes=1) == [Trouble.SENDER_SILENT]
    assert found(pushing, minutes=1) == []
    assert caplog.text.count("No push notification has been sent") == 1
    assert [row.kind for row in open_troubles(db.session())] == ["sender silent"]
    pushing.look()
    assert (found(pushing), open_troubles(db.session())) == ([], [])


def test_refused_credentials_and_a_service_that_does_not_answer(pushing: Pushing):
    """CLAR-62, NOTIF-42: one alert, however many messages."""
    pushing.phone()
    pushing.asked(NOON)
    pushing.google.answers = [fcm_error(403, "PERMISSION_DENIED", "The API is disabled")]
    pushing.look()
    assert found(pushing) == [Trouble.CREDENTIALS_REFUSED]
    pushing.google.answers = [fcm_error(503, "UNAVAILABLE", "Overloaded", "UNAVAILABLE")] * 2
    pushing.later(minutes=5)
    assert found(pushing) == [], "the refusal is over, the silence too short"
    for _ in range(3):
        pushing.google.answers = [fcm_error(503, "UNAVAILABLE", "Overloaded", "UNAVAILABLE")]
        pushing.later(minutes=4)
    assert found(pushing) == [Trouble.SERVICE_UNREACHABLE]


def test_delivery_that_is_halved(pushing: Pushing):
    """CLAR-62: the last six hours against the week before."""
    someone = pushing.phone()
    for hours, state, count in ((30, "accepted", 40), (2, "accepted", 10), (2, "failed", 15)):
        row: dict[str, Any] = {
            "participant_id": someone.id,
            "service": "fcm",
            "platform": "ANDROID",
            "kind": "surveys",
            "state": state,
            "nonce": "",
            "due_at": pushing.now,
            "expires_at": pushing.now,
            "written_at": pushing.now - timedelta(hours=hours),
        }
        db.session.execute(sa.insert(PushMessage), [row] * count)
    pushing.look()
    assert found(pushing) == [Trouble.DELIVERY_HALVED]


def test_tokens_that_are_lost_in_bulk(pushing: Pushing):
    """CLAR-62."""
    for _ in range(12):
        pushing.phone()
    db.session.execute(sa.update(PushToken).values(retired_at=pushing.now, retired_because="gone"))
    pushing.look()
    assert found(pushing) == [Trouble.TOKENS_LOST]
    assert found(pushing, hours=25) == [Trouble.SENDER_SILENT]


def test_a_site_without_credentials_has_no_trouble(pushing: Pushing):
    """NOTIF-33: that nothing is set up is shown where credentials are uploaded."""
    remove_credential(db.session(), CredentialKind.BACKEND, actor=SERVER)
    assert found(pushing, hours=1) == []


def test_the_web_process_watches(pushing: Pushing):
    """CLAR-62: with Prefect and the sender stopped."""
    thread = watcher(db.engine, load_settings(), seconds=0.01)
    thread.start()
    try:
        for _ in range(500):
            db.session.rollback()
            if open_troubles(db.session()):
                break
            thread.join(0.01)
        assert [row.kind for row in open_troubles(db.session())] == ["sender silent"]
    finally:
        thread.stopping.set()
        thread.join(10)


def test_a_round_that_fails_does_not_end_the_thread(caplog: pytest.LogCaptureFixture):
    """CLAR-62: a thread that ends would be a quiet failure."""
    rounds: list[int] = []

    def work() -> None:
        rounds.append(1)
        raise ValueError(len(rounds))

    thread = Repeated("a thread", work, 0.001)
    thread.start()
    for _ in range(1_000):
        if len(rounds) >= 3:
            break
        thread.join(0.01)
    thread.stopping.set()
    thread.join(10)
    assert len(rounds) >= 3 and "unforeseen" in caplog.text
