"""Chunks made anew and data audited on a real, temporary Prefect server (OPS-20 to OPS-24)."""

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

import flows.infrastructure
from core.database import db
from core.models import Chunk, ReprocessingJob
from core.processing import holding
from core.processing.holding import held_participant
from core.reprocessing.jobs import JobRefused
from core.storage import StoreUnavailable
from flows import audit_data as audit_flow
from flows import reprocess_study as reprocess_flow
from flows.audit_data import audit_data
from flows.reprocess_study import reprocess_study
from flows.sweeping import NoSuchStudy
from tests.core.operations.test_data_audit import add_chunk
from tests.core.processing.test_batch import HEADER, process, queue
from tests.support.factories import Factory


@pytest.fixture(autouse=True)
def fresh_store(app: Flask) -> None:
    flows.infrastructure.get_store.cache_clear()


def artifact(key: str) -> Any:
    """The newest artifact of that key."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
    return max(found, key=lambda artifact: artifact.created).data if found else None


def test_a_study_is_made_anew_participant_by_participant(
    prefect: None, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """OPS-20, OPS-21, OPS-24: a store that is down is tried again; who is held is left; the same job goes on."""
    monkeypatch.setattr(holding, "PATIENCE", "50ms")
    monkeypatch.setattr(reprocess_flow.reprocess, "retry_delay_seconds", [0.1])
    study = factory.study()
    free, held = factory.participant(study), factory.participant(study)
    for participant in (free, held):
        queue(factory, participant, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")
    process()
    assert "2 participants are done" in reprocess_study(study.object_id, dry_run=True, return_state=True).message

    really, calls = reprocess_flow.reprocess_participant, []

    def reprocess_participant(*arguments: Any) -> bool:
        calls.append(arguments)
        if len(calls) == 1:
            raise StoreUnavailable("down for a moment")
        return really(*arguments)

    monkeypatch.setattr(reprocess_flow, "reprocess_participant", reprocess_participant)
    with held_participant(db.engine, held.id):
        state = reprocess_study(study.object_id, return_state=True)
    assert state.name == "NotFinished"
    assert "1 participants are left, 1 of them" in state.message
    assert "1 participants are done" in reprocess_study(study.object_id, return_state=True).message
    assert len(calls) == 4
    assert '"stream": "accelerometer"' in artifact("reprocessed-streams")
    assert '"equal": 2' in artifact("reprocessed-streams")
    assert db.session.scalar(db.select(db.func.count()).where(ReprocessingJob.ended_at.is_not(None))) == 2
    with pytest.raises(JobRefused):
        reprocess_study(study.object_id, stream="nonsense")


def test_data_is_audited_range_by_range(prefect: None, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """OPS-20, OPS-21, OPS-60."""
    monkeypatch.setattr(audit_flow, "PAGE_PARTICIPANTS", 1)
    participant, other = factory.participant(), factory.participant()
    queue(factory, participant, "accel/1700002800000.csv", HEADER)
    process()
    queue(factory, other, "accel/1700002800000.csv", HEADER)
    add_chunk(other, datetime(1990, 1, 1, tzinfo=UTC))
    assert "2 participants. Everybody" in audit_data(return_state=True).message
    assert '"header_only": 1' in artifact("data-audit")
    assert '"impossible_rows": 1' in artifact("data-audit")
    assert other.study.object_id in artifact("upload-queue-audit")
    assert "gps/1990-01-01T00:00:00.csv" in artifact("data-audit-findings")
    assert db.session.scalar(db.select(db.func.count(Chunk.id))) == 1
    assert "1 participants" in audit_data(study_id=other.study.object_id, fix=True, return_state=True).message
    assert db.session.scalar(db.select(db.func.count(Chunk.id))) == 0
    monkeypatch.setattr(audit_flow, "MOST_SECONDS", 0)
    assert (
        f"go on after {participant.patient_id}" in audit_data(after=participant.patient_id, return_state=True).message
    )
    with pytest.raises(NoSuchStudy):
        audit_data(study_id="A" * 24)
