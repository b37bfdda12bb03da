"""The flow of Forest's tasks, under a real Prefect server."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.audit import COMMAND_LINE
from core.database import db
from core.models import ForestDay, ForestTask, Participant
from core.streams import DataStream
from core.studies.changing import set_forest
from flows.infrastructure import get_store
from flows.run_forest import run_forest
from tests.core.forest.test_tasks import add_chunks, make
from tests.support.factories import Factory


@pytest.fixture(autouse=True)
def fresh_store(app: Flask) -> None:
    get_store.cache_clear()


@pytest.fixture
def participant(factory: Factory) -> Participant:
    participant = factory.participant(factory.study(), "fv2abcde")
    set_forest(db.session(), participant.study, True, actor=COMMAND_LINE)
    add_chunks(factory, participant, DataStream.CALLS)
    return participant


@pytest.mark.long
def test_queued_tasks_are_run_and_lost_ones_taken_up(prefect: None, participant: Participant) -> None:
    """FOREST-20, FOREST-22, OPS-20: one that waits, and one whose process died."""
    _, lost = make(participant, "willow", "oak")
    lost.state, lost.claimed_until, lost.tries = "running", datetime.now(UTC) - timedelta(minutes=1), 1
    db.session.commit()
    state = run_forest(return_state=True)
    db.session.expire_all()
    assert state.message == "1 tasks; 0 failed."
    states = db.session.scalars(sa.select(ForestTask.state).order_by(ForestTask.id)).all()
    assert states == ["success", "queued"]
    assert len(db.session.scalars(sa.select(ForestDay)).all()) == 3
    assert run_forest(return_state=True).name == "NothingWaiting"
