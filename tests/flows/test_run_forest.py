"""The flow of Forest's tasks, under a real Prefect server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from core.audit import COMMAND_LINE
from core.config import get_settings
from core.database import db
from core.models import ForestDay, ForestTask, Participant, Study
from core.streams import DataStream
from core.studies.changing import set_forest, set_nightly_forest
from flows import queue_forest as nights
from flows.infrastructure import get_store
from flows.queue_forest import queue_forest
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


@pytest.mark.long
def test_a_run_works_on_several_tasks_at_once(
    prefect: None, factory: Factory, participant: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FOREST-22: `FOREST_TASKS` of them, of different participants."""
    other = factory.participant(participant.study, "second22")
    add_chunks(factory, other, DataStream.CALLS)
    make(participant, "willow")
    make(other, "willow")
    monkeypatch.setenv("FOREST_TASKS", "2")
    get_settings.cache_clear()
    assert run_forest(return_state=True).message == "2 tasks; 0 failed."
    first, second = db.session.scalars(sa.select(ForestTask).order_by(ForestTask.started_at))
    assert first.ended_at and second.started_at and second.started_at < first.ended_at


@pytest.mark.long
def test_nights_are_queued_where_it_is_night(prefect: None, participant: Participant) -> None:
    """CLAR-81: only studies that are switched on, at their hour."""
    assert queue_forest(return_state=True).name == "NothingToQueue"
    study = participant.study
    set_nightly_forest(db.session(), study, True, actor=COMMAND_LINE)
    db.session.commit()
    assert queue_forest(return_state=True).name == "NothingToQueue"  # the first night is the next
    assert study.last_night_on is not None
    study.last_night_on -= timedelta(days=1)
    db.session.commit()
    assert queue_forest(return_state=True).message == "1 tasks of 1 studies."
    assert queue_forest(return_state=True).name == "NothingToQueue"


@pytest.mark.long
def test_a_study_whose_night_fails_keeps_no_other_back(
    prefect: None, factory: Factory, participant: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLAR-81: the others are queued, and the run fails."""
    other = factory.study()
    for study in (other, participant.study):
        study.has_forest = study.has_nightly_forest = True
    db.session.commit()
    queue_night = nights.queue_night

    def queue(session: Session, study: Study, *given: Any) -> int:
        if study.id == other.id:
            raise IndexError
        return queue_night(session, study, *given)

    monkeypatch.setattr(nights, "queue_night", queue)
    state = queue_forest(return_state=True)
    assert state.is_failed()
    assert state.message == "The nights of 1 studies could not be queued; the others were: 1 tasks."
