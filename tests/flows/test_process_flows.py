"""The processing flows on a real, temporary Prefect server (OPS-20 to OPS-24)."""

from typing import Any

import pytest
from flask import Flask
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from sqlalchemy.exc import IntegrityError, OperationalError

import flows.infrastructure
from core.config import get_settings
from core.database import db
from core.models import Chunk, ProcessingStatus, QueuedUpload
from core.operations.tallies import all_tallies
from core.processing import run
from core.processing.presence import counted_run, runs_present, sole_dispatcher
from core.processing.report import ProcessingReport, StoreLooksWrong
from core.storage import StoreUnavailable
from core.streams import Platform
from flows import process_participants as participants_flow
from flows import process_uploads as uploads_flow
from flows.process_participants import process_participants
from flows.process_uploads import process_uploads, runs_wanted
from tests.core.processing.test_batch import (
    CASES,
    HEADER,
    assert_golden,
    forget_rows,
    manifest,
    queue,
    queue_golden_batch,
)
from tests.support.factories import Factory


@pytest.fixture(autouse=True)
def fresh_store(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    flows.infrastructure.get_store.cache_clear()
    monkeypatch.setattr(participants_flow, "LOOK_SECONDS", 0.05)


@pytest.fixture
def uploads(factory: Factory) -> list[str]:
    """Two participants with two files each, and one file that no stream is named in."""
    paths = []
    for participant in (factory.participant(), factory.participant()):
        for ms in (1700002800000, 1700006400000):
            row = f"{ms + 1000},3,1,1,1".encode()
            paths.append(queue(factory, participant, f"accel/{ms}.csv", HEADER + row))
    return paths


def artifact(key: str) -> Any:
    """The newest artifact of that key."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
    return max(found, key=lambda artifact: artifact.created).data if found else None


def test_a_run_turns_all_waiting_uploads_into_chunks_and_says_how_many(prefect: None, uploads: list[str]):
    """OPS-20, OPS-21, and OPS-32: the run and what it did are counted."""
    counts = process_participants(linger_seconds=0)
    assert (counts["files"], counts["chunks_written"], counts["failed"]) == (4, 4, 0)
    assert db.session.scalar(db.select(db.func.count(QueuedUpload.id))) == 0
    assert db.session.scalar(db.select(db.func.count(Chunk.id))) == 4
    assert '"what": "files", "count": 4' in artifact("processed-uploads")
    tallies = all_tallies(db.session())
    assert tallies["flow_runs", "process-participants/completed"] == 1
    assert tallies["chunks_written", ""] == tallies["files_processed", ""] == 4


def test_golden_cases_come_out_byte_for_byte_through_the_flow(prefect: None, app: Flask, factory: Factory):
    """PROC-20 to PROC-39: all cases at once, a participant each."""
    participants = {case: factory.participant(platform=Platform(manifest(case)["os"])) for case in CASES}
    for number in range(1, 1 + max(len(manifest(case)["batches"]) for case in CASES)):
        for case, participant in participants.items():
            queue_golden_batch(factory, participant, case, number)
        assert process_participants(linger_seconds=0)["failed"] == 0
        forget_rows()
    for case, participant in participants.items():
        assert_golden(factory, participant, case)


def test_the_store_failing_once_is_a_retry_and_nobodys_failed_upload(
    prefect: None, uploads: list[str], monkeypatch: pytest.MonkeyPatch
):
    """OPS-20: retries for infrastructure errors only."""
    really, calls = run.process_next, []

    def process_next(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise StoreUnavailable("down for a moment")
        return really(*arguments)

    monkeypatch.setattr(run, "process_next", process_next)
    monkeypatch.setattr(participants_flow.process_batches, "retry_delay_seconds", [0.1])
    assert process_participants(linger_seconds=0)["files"] == 4
    assert len(calls) >= 3


def test_a_defect_is_not_retried_fails_the_run_and_stops_nobody_else(
    prefect: None, uploads: list[str], monkeypatch: pytest.MonkeyPatch
):
    """OPS-20, PROC-53: one participant's files make trouble, the other's are processed."""
    really, calls = run.process_next, []

    def process_next(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise IntegrityError("a defect", {}, Exception())
        return really(*arguments)

    monkeypatch.setattr(run, "process_next", process_next)
    with pytest.raises(IntegrityError):
        process_participants(linger_seconds=0)
    assert db.session.scalar(db.select(db.func.count(QueuedUpload.id))) == 0
    assert '"what": "files", "count": 4' in artifact("processed-uploads")


def test_a_run_gives_up_when_nothing_works(prefect: None, uploads: list[str], monkeypatch: pytest.MonkeyPatch):
    """OPS-20, and OPS-32: counted as failed."""
    calls = []

    def process_next(*arguments: Any) -> Any:
        calls.append(arguments)
        raise ValueError("a defect")

    monkeypatch.setattr(run, "process_next", process_next)
    with pytest.raises(ValueError, match="a defect"):
        process_participants(linger_seconds=0)
    assert participants_flow.MOST_DEFECTS <= len(calls) <= participants_flow.MOST_DEFECTS + 1
    assert db.session.scalar(db.select(db.func.count(QueuedUpload.id))) == 4
    assert all_tallies(db.session()) == {("flow_runs", "process-participants/failed"): 1}


def test_a_store_that_looks_wrong_stops_the_run_at_once(
    prefect: None, uploads: list[str], monkeypatch: pytest.MonkeyPatch
):
    """PROC-52, CLAR-13: files of three participants are missing; the run still shows what it did."""
    calls = []

    def process_next(*arguments: Any) -> ProcessingReport:
        calls.append(arguments)
        return ProcessingReport({len(calls)}, {len(calls)}, batches=1, files=6, missing=6)

    monkeypatch.setattr(run, "process_next", process_next)
    monkeypatch.setattr(participants_flow, "WORK_SECONDS", 0)
    with pytest.raises(StoreLooksWrong):
        process_participants(linger_seconds=0)
    assert 3 <= len(calls) <= get_settings().processing_tasks + 2  # those begun before the third one was known
    assert '"what": "missing", "count": ' in artifact("processed-uploads")


def test_a_run_that_loses_the_database_still_shows_what_it_did(
    prefect: None, uploads: list[str], monkeypatch: pytest.MonkeyPatch
):
    """OPS-21: the run fails, and its table has what was done until then."""
    looks = iter([True])

    def anything_waits() -> bool:
        if next(looks, False):
            return True
        raise OperationalError("the database is away", {}, Exception())

    monkeypatch.setattr(participants_flow, "anything_waits", anything_waits)
    with pytest.raises(OperationalError):
        process_participants(linger_seconds=0)
    assert db.session.scalar(db.select(db.func.count(QueuedUpload.id))) == 0
    assert '"what": "files", "count": 4' in artifact("processed-uploads")


def test_an_empty_look_is_marked_so_and_counts_as_a_run(prefect: None, app: Flask):
    """OPS-22, OPS-31."""
    assert app.test_client().get("/background_processing_status").status_code == 500
    state = process_uploads(watch_seconds=0, return_state=True)
    assert state.name == "NothingWaiting"
    assert all_tallies(db.session()) == {("flow_runs", "process-uploads/completed"): 1}
    assert db.session.scalar(db.select(ProcessingStatus.last_run_at)) is not None
    assert app.test_client().get("/background_processing_status").status_code == 200


def test_the_dispatcher_starts_a_run_when_none_is_alive_and_none_when_one_is(
    prefect: None, uploads: list[str], monkeypatch: pytest.MonkeyPatch
):
    """OPS-20: as many as the work warrants, counting those that run."""
    started: list[str] = []
    monkeypatch.setattr(uploads_flow, "run_deployment", lambda name, **_: started.append(name))
    process_uploads(watch_seconds=0)
    assert started == ["process-participants/process-participants"]
    with counted_run(db.engine):
        process_uploads(watch_seconds=0)
    assert len(started) == 1
    process_uploads(watch_seconds=0)
    assert len(started) == 2  # the one that was counted is gone, however it ended


def test_a_second_dispatcher_steps_back(prefect: None, app: Flask):
    """OPS-20: one at a time, also when two are started by hand."""
    with sole_dispatcher(db.engine) as is_sole:
        assert is_sole
        assert process_uploads(watch_seconds=0, return_state=True).name == "AnotherLooks"
    assert process_uploads(watch_seconds=0, return_state=True).name == "NothingWaiting"


def test_runs_are_counted_by_the_locks_they_hold(app: Flask):
    """OPS-20: on all machines, and gone with their process."""
    assert runs_present(db.session()) == 0
    with counted_run(db.engine), counted_run(db.engine):
        assert runs_present(db.session()) == 2
    assert runs_present(db.session()) == 0


def test_more_waiting_files_warrant_more_runs_up_to_the_limit(app: Flask):
    """OPS-20."""
    page = get_settings().file_process_page_size
    assert [runs_wanted(n) for n in (0, 1, 20 * page, 20 * page + 1, 10**6)] == [0, 1, 1, 2, 2]
