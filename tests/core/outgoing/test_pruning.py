"""Messages that were delivered long ago go; what was not delivered stays."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from core.database import db
from core.models import OutgoingMessage
from core.outgoing import pruning
from core.outgoing.pruning import count_old_outgoing, prune_outgoing
from core.outgoing.queueing import queue_mail

pytestmark = pytest.mark.usefixtures("app")
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_old_delivered_messages_go_in_batches_and_others_stay(monkeypatch: pytest.MonkeyPatch):
    """CLAR-58: what was given up, or waits, is kept."""
    monkeypatch.setattr(pruning, "BATCH_ROWS", 2)
    monkeypatch.setattr(pruning, "check_clock", lambda _: None)
    for number, days in enumerate((400, 399, 398, 100)):
        queue_mail(db.session(), "a@x.example", "S", "T", about=f"{number}", now=NOW - timedelta(days=days))
    db.session.execute(sa.update(OutgoingMessage).values(delivered_at=NOW, next_try_at=None))
    for about, state in (("waits", {}), ("given up", {"given_up_at": NOW, "next_try_at": None})):
        queue_mail(db.session(), "a@x.example", "S", "T", about=about, now=NOW - timedelta(days=900))
        if state:
            db.session.execute(sa.update(OutgoingMessage).where(OutgoingMessage.about == about).values(**state))
    assert count_old_outgoing(db.session(), 365, NOW) == {"outgoing_messages": 3}
    assert [count for _, count in prune_outgoing(db.session(), 365, NOW)] == [2, 1]
    assert sorted(db.session.scalars(sa.select(OutgoingMessage.about))) == ["3", "given up", "waits"]
