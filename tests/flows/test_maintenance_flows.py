"""Purges, audits, compression and pruning on a real, temporary Prefect server (OPS-20 to OPS-24)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from prefect import flow, get_client
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run

import flows.infrastructure
from core.audit import SERVER
from core.database import db
from core.models import Heartbeat, Participant, QueuedUpload, StoredObject
from core.participants import purging
from core.participants.purging import ask_for_purge
from core.storage import StoreUnavailable
from flows import audit_store as audit_flow
from flows import compress_store as compress_flow
from flows import prune_history as prune_flow
from flows import purge_participants as purge_flow
from flows.audit_store import audit_store
from flows.compress_store import compress_store
from flows.prune_history import prune_history
from flows.purge_participants import certify, purge_participants
from flows.sweeping import NoSuchStudy
from tests.core.processing.test_batch import HEADER, queue
from tests.core.storage.test_resealing import put_legacy, put_plain
from tests.support.factories import Factory
from webapp.stores import object_store


@pytest.fixture(autouse=True)
def fresh_store(app: Flask) -> None:
    flows.infrastructure.get_store.cache_clear()


def artifact(key: str) -> Any:
    """The newest artifact of that key."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
    return max(found, key=lambda artifact: artifact.created).data if found else None


def asked(factory: Factory, *, minutes_ago: int = 40) -> Participant:
    """A participant with data, whose purge was asked for so long ago."""
    participant = factory.participant()
    queue(factory, participant, "accel/1700002800000.csv", HEADER)
    ask_for_purge(db.session(), participant, actor=SERVER)
    participant.purge_asked_at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    db.session.commit()
    return participant


def is_purged(participant: Participant) -> bool:
    return bool(db.session.scalar(db.select(Participant.purged_at).filter_by(id=participant.id)))


def test_who_is_due_is_purged_and_leaves_a_certificate(prefect: None, factory: Factory):
    """STORE-9, OPS-20, OPS-21, OPS-24: ids, tables and counts only; who still waits does."""
    due, early = asked(factory), asked(factory, minutes_ago=10)
    state = purge_participants(return_state=True)
    assert "1 of 1 participants" in state.message
    assert (is_purged(due), is_purged(early)) == (True, False)
    text = artifact(f"purge-certificate-{due.patient_id}")
    assert "Verified empty at" in text
    assert f"`{due.study.object_id}/{due.patient_id}/…`" in text
    assert f"`{due.study.object_id}/keys/{due.patient_id}_private` with and without `.zst`" in text
    assert "| upload_queue | 1 |" in text
    assert early.patient_id not in text
    assert artifact("purges") == 100


def test_a_dry_run_lists_who_waits_and_an_empty_run_says_so(prefect: None, factory: Factory):
    """OPS-22, STORE-9."""
    assert purge_participants(return_state=True).name == "NothingWaiting"
    participant = asked(factory)
    assert purge_participants(dry_run=True, return_state=True).name == "DryRun"
    assert not is_purged(participant)
    assert participant.patient_id in artifact("waiting-purges")
    with purging._claimed(db.engine, datetime.now(UTC)) as claim:
        assert claim is not None
        assert purge_participants(return_state=True).name == "AnotherPurges"


def test_a_purge_that_fails_is_retried_only_for_the_store_and_holds_up_nobody(
    prefect: None, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """STORE-9, OPS-20: a failure to verify fails the run, by name; the next run ends it."""
    participants = [asked(factory), asked(factory)]
    monkeypatch.setattr(purge_flow.purge_participant, "retry_delay_seconds", [0.1])
    really, verify, calls = purge_flow.purge_next, purging._verify, []

    def purge_next(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise StoreUnavailable("down for a moment")
        return really(*arguments)

    def refuse(*arguments: Any) -> None:
        monkeypatch.setattr(purging, "_verify", verify)
        raise purging.PurgeIncomplete("still there: object x")

    monkeypatch.setattr(purge_flow, "purge_next", purge_next)
    monkeypatch.setattr(purging, "_verify", refuse)
    with pytest.raises(purging.PurgeIncomplete):
        purge_participants()
    assert [is_purged(p) for p in participants] == [False, True]
    assert len(calls) == 3
    purge_participants()
    assert is_purged(participants[0])


def test_an_audit_goes_range_by_range_and_shows_what_it_found(
    prefect: None, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """OPS-20, OPS-21, OPS-60."""
    monkeypatch.setattr(audit_flow, "PAGE_KEYS", 2)
    participant = factory.participant()
    study_id = participant.study.object_id
    for number in range(4):
        queue(factory, participant, f"accel/170000280000{number}.csv", HEADER)
    orphan = f"{study_id}/{participant.patient_id}/gps/1700002800000.csv"
    factory.store(participant.study).create(orphan, b"timestamp\n")
    counts = audit_store(study_id=study_id)
    assert (counts["objects_and_rows"], counts["object_without_row"], counts["requeued"]) == (7, 3, 0)
    assert orphan in artifact("store-audit-findings")
    assert '"what": "object_without_row", "count": 3' in artifact("store-audit")
    assert audit_store(requeue=True)["requeued"] == 1
    assert db.session.scalar(db.select(db.func.count(QueuedUpload.id))) == 5
    assert audit_store(study_id=study_id, after=orphan)["objects_and_rows"] == 1
    monkeypatch.setattr(audit_flow, "MOST_SECONDS", 0)
    assert audit_store(after=orphan)["go_on_after"] == orphan
    with pytest.raises(NoSuchStudy):
        audit_store(study_id="A" * 24)


def test_compression_goes_range_by_range_and_fails_where_an_object_does_not_open(
    prefect: None, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """STORE-2, STORE-4, OPS-21."""
    monkeypatch.setattr(compress_flow, "PAGE_KEYS", 2)
    participant = factory.participant()
    paths = [put_plain(participant, f"gps/{n}.csv") for n in range(3)] + [put_legacy(participant, "gps/3.csv")]
    study_id = participant.study.object_id
    assert "0 objects were sealed anew" in compress_store(study_id, dry_run=True, return_state=True).message
    assert object_store().read(paths[0])
    assert "4 objects were sealed anew" in compress_store(study_id, return_state=True).message
    assert '"what": "sealed anew", "objects": 4' in artifact("compressed-store")
    seals = db.session.scalars(db.select(StoredObject.seal))
    assert set(seals) == {"ours"}
    object_store().create(f"{study_id}/{participant.patient_id}/gps/9.csv.zst", b"damaged")
    state = compress_store(study_id, return_state=True)
    assert state.is_failed()
    assert "1 objects do not open" in state.message
    assert "gps/9.csv.zst" in artifact("compressed-store-troubles")


@pytest.mark.long
def test_old_runs_go_page_by_page_and_certificates_stay(
    prefect: None, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """OPS-22: runs after 30 days, failures after 180, with their artifacts."""
    kept: list[UUID] = []

    @flow
    def leaves_artifacts(is_good: bool) -> None:
        kept.append(UUID(str(flow_run.id)))
        create_table_artifact(key="some-table", table=[{"is good": is_good}])
        create_table_artifact(key=f"{purge_flow.CERTIFICATE}-abc", table=[])
        if not is_good:
            raise ValueError("bad")

    for is_good in (True, True, False):
        leaves_artifacts(is_good, return_state=True)
    monkeypatch.setattr(prune_flow, "PAGE_RUNS", 1)
    good, bad = prune_flow.KEPT_FOR.values()
    monkeypatch.setattr(prune_flow, "KEPT_FOR", {timedelta(0): good, timedelta(days=180): bad})
    would = prune_history(dry_run=True)
    assert would["flow runs, 0 days"] >= 2
    counts = prune_history()
    assert counts["flow runs, 0 days"] >= 3  # the dry run among them
    assert counts["flow runs, 180 days"] == 0
    with get_client(sync_client=True) as client:
        for gone in kept[:2]:
            with pytest.raises(ObjectNotFound):
                client.read_flow_run(gone)
        assert client.read_flow_run(kept[2]).state.is_failed()
        keys = ArtifactFilterKey(any_=["some-table", f"{purge_flow.CERTIFICATE}-abc"])
        left = client.read_artifacts(artifact_filter=ArtifactFilter(key=keys))
    assert sorted(a.key for a in left) == [f"{purge_flow.CERTIFICATE}-abc"] * 3 + ["some-table"]
    assert json.loads(artifact("pruned-history"))[0]["deleted"] == counts["flow runs, 0 days"]


def test_old_rows_go_where_the_settings_say_so(prefect: None, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """MODEL-107: through RETENTION_HEARTBEATS_MONTHS, and not without."""
    participant = factory.participant()
    db.session.add(Heartbeat(participant_id=participant.id, at=datetime.now(UTC) - timedelta(days=70)))
    db.session.commit()
    assert "heartbeats" not in prune_history()
    kept = prune_flow.get_settings().model_copy(update={"retention_heartbeats_months": 2})
    monkeypatch.setattr(prune_flow, "get_settings", lambda: kept)
    assert prune_history(dry_run=True)["heartbeats"] == 1
    assert db.session.scalar(db.select(db.func.count(Heartbeat.id))) == 1
    assert prune_history()["heartbeats"] == 1
    assert db.session.scalar(db.select(db.func.count(Heartbeat.id))) == 0


def test_a_certificate_holds_ids_and_counts_only(prefect: None):
    """STORE-9, OPS-21."""
    at = datetime(2025, 1, 1, tzinfo=UTC)
    belongings, rows = purging.belongings_of("s", "abc"), {"heartbeats": 3, "chunks": 1}
    flow(certify)(purging.PurgeCertificate("abc", "s", at, at, at, belongings, 12345, 7, rows))
    text = artifact("purge-certificate-abc")
    for said in ("12,345 objects and 7 older versions", "| chunks | 1 |", "`CHUNKED_DATA/s/abc/…`", "2025-01-01T00:00"):
        assert said in text
