"""Work that a page or command asked for: runs of deployments, and the dispatcher that starts what was left."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from prefect import get_client
from prefect.settings import PREFECT_API_URL

import flows.infrastructure
from core.audit import SERVER
from core.database import db
from core.exports.standing import sole_builder
from core.models import EventRebuild, ForestTask, Participant
from core.participants.batches import ask_for_batch
from flows import process_uploads as dispatcher
from flows.build_exports import build_exports
from flows.create_participants import create_participants
from flows.process_uploads import process_uploads
from flows.prune_history import prune_history
from tests.core.exports.test_building import ask
from tests.flows.test_maintenance_flows import artifact
from tests.support.factories import Factory
from webapp import flow_runs
from webapp.flow_runs import REBUILD_SCHEDULES, start_run


@pytest.fixture
def deployment(prefect: None) -> UUID:
    """A deployment of the name that pages ask for."""
    with get_client(sync_client=True) as client:
        flow = client.create_flow_from_name(REBUILD_SCHEDULES)
        return client.create_deployment(
            flow, REBUILD_SCHEDULES, entrypoint="x", path=".", enforce_parameter_schema=False
        )


def test_a_page_asks_the_prefect_server_for_a_run(app: Flask, deployment: UUID, monkeypatch: pytest.MonkeyPatch):
    """CLAR-14, CLAR-32: over its REST API; whatever keeps it from answering is no error of the page."""
    at = app.extensions["beiwe_settings"].model_copy(update={"prefect_api_url": PREFECT_API_URL.value()})
    monkeypatch.setitem(app.extensions, "beiwe_settings", at)
    assert start_run(REBUILD_SCHEDULES, only_asked=True)
    with get_client(sync_client=True) as client:
        runs = [run for run in client.read_flow_runs() if run.deployment_id == deployment]
    assert [run.parameters for run in runs] == [{"only_asked": True}]
    assert not start_run("no-such-deployment")
    nobody = at.model_copy(update={"prefect_api_url": "http://127.0.0.1:9/api"})
    monkeypatch.setitem(app.extensions, "beiwe_settings", nobody)
    assert not start_run(REBUILD_SCHEDULES)
    assert flow_runs.TIMEOUT.total is None or flow_runs.TIMEOUT.total < 10


def test_the_dispatcher_starts_runs_for_what_was_asked_while_no_server_answered(
    prefect: None, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """CLAR-14, CLAR-32."""
    started: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        dispatcher, "run_deployment", lambda name, **more: started.append((name, more.get("parameters")))
    )
    process_uploads(watch_seconds=0)
    assert started == []
    study = factory.study()
    db.session.add(EventRebuild(study_id=study.id))
    ask_for_batch(db.session(), study, 2, "two", actor=SERVER)
    ask(study, factory.researcher())
    study.has_forest = True
    participant = factory.participant(study)
    about = {"study_id": study.id, "participant_id": participant.id, "tree": "oak"}
    task, after = (ForestTask(**about, start_on=date(2024, 6, 1), end_on=date(2024, 6, 1)) for _ in range(2))
    db.session.add_all([task, after])
    db.session.commit()
    process_uploads(watch_seconds=0)
    assert started == [
        ("rebuild-schedules/rebuild-schedules", {"only_asked": True}),
        ("create-participants/create-participants", None),
        ("build-exports/build-exports", None),
        ("run-forest/run-forest", None),
    ]
    task.state, task.claimed_until = "running", datetime.now(UTC) + timedelta(minutes=3)
    db.session.commit()
    process_uploads(watch_seconds=0)
    assert "run-forest/run-forest" not in dict(started[4:])  # the other one waits for it


def test_a_run_makes_the_batches_that_wait(prefect: None, factory: Factory):
    """CLAR-32, OPS-21, OPS-22: and an empty run says so."""
    assert create_participants(return_state=True).name == "NothingWaiting"
    ask_for_batch(db.session(), factory.study(), 3, "three", actor=SERVER)
    db.session.commit()
    assert create_participants(return_state=True).message == "1 batches, 3 participants."
    assert db.session.scalar(db.select(db.func.count(Participant.id))) == 3


def test_a_run_builds_the_exports_that_wait(prefect: None, factory: Factory):
    """CLAR-74, OPS-20, OPS-21: one at a time; one that fails does not keep the others; then the pruning ends them."""
    flows.infrastructure.get_store.cache_clear()
    study, researcher = factory.study(), factory.researcher()
    assert build_exports(return_state=True).name == "NothingWaiting"
    wrong, right = ask(study, researcher, "answers", "csv", survey_id=7), ask(study, researcher, "events", "parquet")
    with sole_builder(db.engine):
        assert build_exports(return_state=True).name == "AnotherBuilds"
    assert build_exports(return_state=True).message == "2 exports, 1 failed."
    db.session.expire_all()
    assert (wrong.state, right.state) == ("failed", "done")
    assert "events" in artifact("built-exports")
    right.expires_at = datetime.now(UTC)
    db.session.commit()
    assert prune_history()["objects of exports"] == 1
    db.session.expire_all()
    assert right.state == "expired" and not right.has_objects
