"""What changes of participants left open is ended by a flow, on a real, temporary Prefect server (OPS-20)."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

import flows.infrastructure
import flows.settle_changes as flow_module
from core.audit import COMMAND_LINE
from core.database import db
from core.models import Departure, Participant, QueuedUpload, WithdrawalReason
from core.participants.departures import end_participation
from flows.settle_changes import settle_changes
from tests.core.processing.test_batch import HEADER, queue
from tests.flows.test_maintenance_flows import artifact
from tests.support.factories import Factory


@pytest.fixture(autouse=True)
def fresh_store(app: Flask) -> None:
    flows.infrastructure.get_store.cache_clear()


def left(factory: Factory) -> Participant:
    """A participant who withdrew, whose two weeks are over, with a file that was held for an undo."""
    participant = factory.participant(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    now = datetime.now(UTC)
    queue(factory, participant, "accel/1700002800000.csv", HEADER)
    reason = WithdrawalReason.BURDEN
    departure = end_participation(db.session(), participant, date(2026, 1, 2), reason, now, actor=COMMAND_LINE)
    departure.retire_at = now
    db.session.commit()
    return participant


@pytest.mark.usefixtures("prefect")
def test_a_run_ends_what_is_open_and_the_next_finds_nothing(factory: Factory):
    """CLAR-12, CLAR-35."""
    participant = left(factory)
    assert settle_changes(return_state=True).is_completed()
    db.session.expire_all()
    assert db.session.get_one(Participant, participant.id).retired_at
    assert db.session.get_one(Departure, participant.id).trimmed_at
    assert '"participants retired"' in artifact("settled-changes")
    assert settle_changes(return_state=True).name == "NothingToDo"
    held = db.session.scalars(db.select(QueuedUpload)).one()
    held.state = "held"
    db.session.get_one(Participant, participant.id).retired_at = datetime.now(UTC) - timedelta(minutes=11)
    db.session.commit()
    assert "1 held uploads deleted" in str(settle_changes(return_state=True).message)


@pytest.mark.usefixtures("prefect")
def test_a_part_that_fails_leaves_the_others_done(factory: Factory, monkeypatch: pytest.MonkeyPatch):
    participant = left(factory)

    def fail(*_: Any) -> int:
        raise ValueError("of a test")

    monkeypatch.setitem(flow_module.PARTS, "hours removed", fail)
    assert settle_changes(return_state=True).is_failed()
    db.session.expire_all()
    assert db.session.get_one(Participant, participant.id).retired_at
