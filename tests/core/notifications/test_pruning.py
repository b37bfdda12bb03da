"""Old rows of the ledger go; what pages show of a participant stays."""

from datetime import time, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.database import db
from core.models import MessageState, PushMessage, PushMessageEvent, SenderPass
from core.notifications import pruning
from core.notifications.pruning import count_old_messages, prune_messages
from core.streams import Platform
from core.surveys.schedules import Absolute
from tests.core.notifications.test_due import TODAY
from tests.support.pushing import NEW_IOS, Pushing, attempts, messages

KEPT = 14


def prune(pushing: Pushing) -> dict[str, int]:
    counts: dict[str, int] = {}
    for table, count in prune_messages(db.session(), KEPT, pushing.now):
        counts[table] = counts.get(table, 0) + count
    return counts


@pytest.fixture
def sent(app: Flask, pushing: Pushing, monkeypatch: pytest.MonkeyPatch) -> Pushing:
    """Messages of three days; a batch is of two rows. The database has another clock."""
    monkeypatch.setattr(pruning, "BATCH_ROWS", 2)
    monkeypatch.setattr(pruning, "check_clock", lambda _: None)
    pushing.phone(Platform.IOS, **NEW_IOS)
    pushing.phone()
    pushing.asked(*(Absolute(TODAY + timedelta(days=n), time(12)) for n in range(3)))
    for _ in range(3):
        assert pushing.look().accepted == 2
        pushing.now += timedelta(days=1)
    return pushing


def test_old_messages_and_looks_go_in_batches_and_the_history_stays(sent: Pushing):
    """NOTIF-45: the newest of the three days is kept, and so is every attempt."""
    before = attempts()
    sent.now += timedelta(days=KEPT - 2, hours=1)
    expected = {"push_messages": 4, "sender_passes": 2}
    assert count_old_messages(db.session(), KEPT, sent.now) == expected | {"used_forms": 0}
    assert prune(sent) == expected
    assert len(messages()) == 2
    assert db.session.scalar(sa.select(sa.func.count()).select_from(PushMessageEvent)) == 2
    assert db.session.scalar(sa.select(sa.func.count()).select_from(SenderPass)) == 1
    assert [row.id for row in attempts()] == [row.id for row in before]
    assert prune(sent) == {}


def test_what_is_on_its_way_stays(sent: Pushing):
    """CLAR-61."""
    db.session.execute(sa.update(PushMessage).values(state=MessageState.PENDING.value))
    sent.now += timedelta(days=100)
    assert prune(sent) == {"sender_passes": 3}


def test_nothing_is_sent_again_once_its_messages_are_gone(sent: Pushing):
    """NOTIF-7, NOTIF-51: by the attempts, also after a rebuild."""
    sent.now += timedelta(days=100)
    prune(sent)

    db.session.execute(sa.text("DELETE FROM scheduled_events"))
    sent.rebuild()
    assert sent.look().messages == 0


def test_a_wrong_clock_deletes_nothing(sent: Pushing, monkeypatch: pytest.MonkeyPatch):
    """OPS-1."""

    def wrong(_: object) -> None:
        raise RuntimeError("the clock looks wrong")

    monkeypatch.setattr(pruning, "check_clock", wrong)
    with pytest.raises(RuntimeError):
        prune(sent)
    assert len(messages()) == 6
