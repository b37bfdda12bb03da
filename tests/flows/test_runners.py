"""One flow on threads, on processes and on a Dask cluster of two workers (OPS-20)."""

import pytest
from flask import Flask

import flows.infrastructure
from core.config import ConfigurationError, get_settings, load_settings
from core.database import db
from core.models import Chunk, QueuedUpload, UploadRecord
from flows.process_participants import process_participants
from flows.runners import runner_of
from tests.core.processing.test_batch import HEADER, queue
from tests.support.factories import Factory

PARTICIPANTS, FILES = 6, 5


@pytest.mark.parametrize("runner", ["threads", "processes", pytest.param("dask", marks=pytest.mark.long)])
def test_a_run_gives_the_same_wherever_its_tasks_work(
    prefect: None, app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch, runner: str
):
    """OPS-20, PROC-51: one setting; who works on whom is decided by claims in the database."""
    flows.infrastructure.get_store.cache_clear()
    monkeypatch.setenv("FILE_PROCESS_PAGE_SIZE", "2")
    monkeypatch.setenv("PROCESSING_RUNNER", runner)
    get_settings.cache_clear()
    for _ in range(PARTICIPANTS):
        participant = factory.participant()
        for number in range(FILES):
            ms = 1_700_002_800_000 + number * 3_600_000
            queue(factory, participant, f"accel/{ms}.csv", HEADER + f"{ms + 1000},3,1,1,1".encode())
    counts = process_participants.with_options(task_runner=runner_of(get_settings()))(linger_seconds=0)
    assert (counts["files"], counts["chunks_written"], counts["failed"]) == (30, 30, 0)
    assert counts["participants"] == PARTICIPANTS
    assert db.session.scalar(db.select(db.func.count(QueuedUpload.id))) == 0
    assert db.session.scalar(db.select(db.func.count(Chunk.id))) == PARTICIPANTS * FILES
    processed = db.select(db.func.count(UploadRecord.id)).where(UploadRecord.processed_at.is_not(None))
    assert db.session.scalar(processed) == PARTICIPANTS * FILES


def test_a_runner_nobody_knows_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch):
    """OPS-2."""
    monkeypatch.setenv("PROCESSING_RUNNER", "celery")
    with pytest.raises(ConfigurationError, match="PROCESSING_RUNNER"):
        load_settings()
