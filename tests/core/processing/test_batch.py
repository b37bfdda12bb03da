"""Uploads to chunks through queue, store and registry (PROC-30 to PROC-54, STORE-7, STORE-11)."""

import hashlib
import json
from base64 import b64encode
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.dialects.postgresql import insert

from core.crypto.seal import seal_legacy
from core.database import db
from core.models import (
    Chunk,
    DailyStatistics,
    Participant,
    ParticipantActivity,
    QueuedUpload,
    StoredObject,
    Study,
    UploadRecord,
)
from core.phones.key_cache import PrivateKeyCache
from core.phones.uploads import UploadContext, place_raw_object, rows_of_upload
from core.processing import chunk_writing, claims
from core.processing.claims import Scope, claimed_participant
from core.processing.daily_quantities import recompute_days
from core.processing.report import StoreLooksWrong
from core.processing.run import ProcessingReport, process_everything, process_next
from core.storage import SealedStore, StoreUnavailable
from core.streams import Platform, chunk_path, stream_by_number
from tests.support.commands import command
from tests.support.factories import Factory
from tests.support.paths import REPOSITORY, VECTORS
from webapp.stores import object_store, settings

CASES = sorted(p.name for p in (VECTORS / "chunks").iterdir())
HOUR = "2023-11-14T23:00:00.csv"
HEADER = b"timestamp,accuracy,x,y,z\n"


def queue(factory: Factory, participant: Participant, path: str, contents: bytes) -> str:
    """Stores and queues a raw file as an accepted upload does."""
    context = UploadContext(db.session(), factory.store(participant.study), PrivateKeyCache())
    stored = place_raw_object(context, f"{participant.study.object_id}/{participant.patient_id}/{path}", contents)
    platform = Platform(participant.os_type) if participant.os_type else None
    db.session.execute(*rows_of_upload(participant, stored, platform))
    db.session.commit()
    return stored.path.removesuffix(".zst")


def process() -> ProcessingReport:
    report = process_everything(db.engine, object_store(), settings(), Scope())
    forget_rows()
    return report


def forget_rows() -> None:
    """Lets what processing has changed be read anew."""
    for row in list(db.session):
        if not isinstance(row, Participant | ParticipantActivity | Study):
            db.session.expunge(row)


def chunk(factory: Factory, participant: Participant, name: str) -> bytes:
    path = f"CHUNKED_DATA/{participant.study.object_id}/{participant.patient_id}/{name}"
    return factory.store(participant.study).read(path)[0]


def registry_path(row: Chunk, participant: Participant, survey: str | None) -> str:
    if row.path:
        return row.path
    study, patient = participant.study.object_id, participant.patient_id
    return chunk_path(study, patient, stream_by_number(row.stream), row.time_bin, survey)


def manifest(case: str) -> dict[str, Any]:
    """A golden case's platform, batches and registry."""
    return json.loads((VECTORS / "chunks" / case / "manifest.json").read_text())


def queue_golden_batch(factory: Factory, participant: Participant, case: str, number: int) -> None:
    """Queues the raw files of a case's batch; a case with fewer batches has none."""
    batch = VECTORS / "chunks" / case / "input" / f"batch{number}"
    for file in sorted(batch.rglob("*.*")):
        queue(factory, participant, str(file.relative_to(batch)), file.read_bytes())


def assert_golden(factory: Factory, participant: Participant, case: str) -> None:
    """Chunks byte for byte, registry, stored objects, upload log, queue."""
    mine = {"participant_id": participant.id}
    raw_folder = f"{participant.study.object_id}/{participant.patient_id}/"
    store = factory.store(participant.study)
    got: dict[str, Any] = {}
    for row in db.session.scalars(db.select(Chunk).filter_by(**mine)):
        path = registry_path(row, participant, None)
        name = path.removeprefix(f"CHUNKED_DATA/{raw_folder}").replace(raw_folder, "raw/")
        got[name] = (stream_by_number(row.stream).value, _md5(row.md5), row.size_bytes)
        contents = store.read(path)[0]
        stored = db.session.get(StoredObject, path + ".zst")
        assert (stored.size_bytes, stored.sha1) == (len(contents), hashlib.sha1(contents).digest())
        if row.md5:
            assert contents == (VECTORS / "chunks" / case / "expected" / name).read_bytes()
    assert got == {r["path"]: (r["stream"], r["hash"], r["size"]) for r in manifest(case)["registry"]}
    assert all(record.processed_at for record in db.session.scalars(db.select(UploadRecord).filter_by(**mine)))
    assert not db.session.scalars(db.select(QueuedUpload).filter_by(**mine)).all()


@pytest.mark.parametrize("case", CASES)
def test_golden_cases_come_out_byte_for_byte_through_the_database(app: Flask, factory: Factory, case: str):
    """PROC-20 to PROC-39: chunks, registry rows, stored objects and an empty queue."""
    participant = factory.participant(platform=Platform(manifest(case)["os"]))
    for number, _ in enumerate(manifest(case)["batches"], start=1):
        queue_golden_batch(factory, participant, case, number)
        assert not process().failures
    assert_golden(factory, participant, case)


def _md5(digest: bytes | None) -> str:
    return b64encode(digest).decode() if digest else ""


def test_a_survey_known_to_the_study_is_named_in_the_registry(app: Flask, factory: Factory):
    """PROC-38, MODEL-104: the path is derived then."""
    participant = factory.participant(platform=Platform.IOS)
    survey = factory.survey(participant.study)
    line = b"timestamp,question id,question type,question text,question answer options,answer,event\n"
    path = f"surveyTimings/{survey.object_id}/1700002800000.csv"
    queue(factory, participant, path, line + b"1700002801000,q,radio_button,text,a;b,a,present")
    process()
    row = db.session.scalars(db.select(Chunk)).one()
    assert (row.survey_id, row.path) == (survey.id, None)
    assert chunk(factory, participant, f"survey_timings/{survey.object_id}/{HOUR}").count(b"\n") == 1


def test_a_late_file_is_merged_into_a_chunk_of_the_existing_platform(app: Flask, factory: Factory):
    """PROC-32, STORE-2, STORE-3: legacy seal, under the compressed key and under the plain one."""
    for suffix in (".zst", ""):
        participant = factory.participant(factory.study(encryption_key="k" * 32))
        path = f"CHUNKED_DATA/{participant.study.object_id}/{participant.patient_id}/accelerometer/{HOUR}"
        old = b"timestamp,UTC time,accuracy,x,y,z\n1700002800000,2023-11-14T23:00:00.000,3,1,1,1"
        object_store().create(path + suffix, _legacy(old, participant.study.storage_key, is_compressed=bool(suffix)))
        queue(factory, participant, "accel/1700002900000.csv", HEADER + b"1700002900000,3,2,2,2")
        assert not process().failures
        assert chunk(factory, participant, f"accelerometer/{HOUR}") == old + (
            b"\n1700002900000,2023-11-14T23:01:40.000,3,2,2,2"
        )


def _legacy(contents: bytes, key: bytes, *, is_compressed: bool) -> bytes:
    if is_compressed:
        return seal_legacy(contents, key, 2)
    from cryptography.hazmat.decrepit.ciphers.modes import CFB8
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

    return bytes(16) + Cipher(algorithms.AES256(key), CFB8(bytes(16))).encryptor().update(contents)


def test_processing_again_after_a_crash_before_the_commit_changes_nothing(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """Design rule 1: chunks were written, rows were not; the second run ends in the same place."""
    participant = factory.participant()
    queue(factory, participant, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1\n1700006401000,3,2,2,2")
    with monkeypatch.context() as patch:
        patch.setattr("core.processing.batch.Recorder.finish", _die)
        with pytest.raises(KeyboardInterrupt):
            process()
    db.session.rollback()
    assert db.session.scalar(db.select(db.func.count(Chunk.id))) == 0
    before = chunk(factory, participant, f"accelerometer/{HOUR}")
    report = process()
    assert (report.chunks_written, report.files) == (2, 1)  # their rows had to be written
    assert chunk(factory, participant, f"accelerometer/{HOUR}") == before
    assert db.session.scalar(db.select(db.func.count(Chunk.id))) == 2
    assert db.session.scalar(db.select(db.func.count(QueuedUpload.id))) == 0


def _die(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_new_chunk_is_written_without_a_look_for_an_old_one(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """PROC-32: half the requests to the store; one that is there without its rows is merged all the same."""
    participant = factory.participant()
    looked_for = []
    read = SealedStore.read
    monkeypatch.setattr(
        SealedStore, "read", lambda self, path, *more: looked_for.append(path) or read(self, path, *more)
    )
    queue(factory, participant, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")
    process()
    assert not [path for path in looked_for if path.startswith("CHUNKED_DATA/")]

    for model in (Chunk, StoredObject):
        db.session.execute(db.delete(model))
    queue(factory, participant, "accel/1700002802000.csv", HEADER + b"1700002803000,3,1,1,1")
    assert not process().failures
    assert chunk(factory, participant, f"accelerometer/{HOUR}").count(b"\n") == 2


def test_a_chunk_that_the_registry_knows_and_the_store_lacks_is_never_started_anew(app: Flask, factory: Factory):
    """PROC-32: starting empty would lose the hour; the file stays queued with the reason."""
    participant = factory.participant()
    queue(factory, participant, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")
    process()
    path = f"CHUNKED_DATA/{participant.study.object_id}/{participant.patient_id}/accelerometer/{HOUR}.zst"
    object_store().delete(path)
    queue(factory, participant, "accel/1700002900000.csv", HEADER + b"1700002901000,3,1,1,1")
    queue(factory, participant, "gps/1700002900000.csv", b"timestamp,latitude\n1700002901000,42")
    report = process()
    assert list(report.failures.values()) == [f"{path.removesuffix('.zst')}: in the registry, missing in the store"]
    waiting = db.session.scalars(db.select(QueuedUpload)).one()
    assert (waiting.attempts, waiting.state) == (1, "waiting")
    assert waiting.next_try_at > waiting.received_at
    assert chunk(factory, participant, f"gps/{HOUR}")


def test_a_damaged_chunk_fails_its_own_files_only(app: Flask, factory: Factory):
    """PROC-32, STORE-4."""
    participant = factory.participant()
    queue(factory, participant, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")
    process()
    path = f"CHUNKED_DATA/{participant.study.object_id}/{participant.patient_id}/accelerometer/{HOUR}.zst"
    pieces, etag = object_store().read(path)
    sealed = bytearray(b"".join(pieces))
    sealed[-1] ^= 1
    object_store().replace(path, bytes(sealed), etag)
    queue(factory, participant, "accel/1700002900000.csv", HEADER + b"1700002901000,3,1,1,1\n1700006401000,3,1,1,1")
    (reason,) = process().failures.values()
    assert "altered" in reason


def test_a_file_of_no_known_stream_is_kept_and_set_aside_after_ten_tries(app: Flask, factory: Factory):
    """PROC-1, PROC-53."""
    participant = factory.participant()
    study, patient = participant.study.object_id, participant.patient_id
    path = f"{study}/{patient}/mystery/1700002800000.csv"
    factory.store(participant.study).create(path, b"a\nb")
    db.session.execute(
        insert(QueuedUpload).values(
            path=path, study_id=participant.study_id, participant_id=participant.id, size_bytes=3, os_type="ANDROID"
        )
    )
    db.session.commit()
    for _ in range(10):
        db.session.execute(db.update(QueuedUpload).values(next_try_at=db.func.now()))
        db.session.commit()
        assert list(process().failures) == [path]
    row = db.session.scalars(db.select(QueuedUpload)).one()
    assert (row.state, row.attempts) == ("failed", 10)
    assert "mystery" in row.reason
    assert process().files == 0


def test_an_unchunked_file_with_a_bad_time_stays_visible(app: Flask, factory: Factory):
    """PROC-39."""
    participant = factory.participant()
    path = queue(factory, participant, f"surveyAnswers/{'a' * 24}/12.csv", b"question id\nq")
    assert list(process().failures) == [path]
    assert db.session.scalar(db.select(db.func.count(Chunk.id))) == 0


def test_rows_that_are_dropped_are_counted_by_reason_in_the_upload_log(app: Flask, factory: Factory):
    """PROC-14, MODEL-105."""
    participant = factory.participant()
    rows = b"1700002801000,3,1,1,1\nnonsense,1\n1300000000000,3,1,1,1\n1700006401000,3,1,1,1"
    queue(factory, participant, "accel/1700002800000.csv", HEADER + rows)
    assert process().rows_dropped.total() == 2
    record = db.session.scalars(db.select(UploadRecord)).one()
    assert sum(record.dropped_rows.values()) == 2
    assert len(record.dropped_rows) == 2
    assert record.first_bin.isoformat() == "2023-11-14T23:00:00+00:00"
    assert record.last_bin.isoformat() == "2023-11-15T00:00:00+00:00"


def test_many_missing_raw_files_stop_the_run_and_mark_nothing(app: Flask, factory: Factory):
    """PROC-52, CLAR-13: a wrong bucket, an unmounted folder: nothing else of the study can be read either."""
    participant = factory.participant()
    for n in range(2):
        queue(factory, participant, f"accel/17000028{n:02}000.csv", HEADER)
    for key in list(object_store().keys("")):
        object_store().delete(key)
    with pytest.raises(StoreLooksWrong):
        process()
    forget_rows()
    assert {row.attempts for row in db.session.scalars(db.select(QueuedUpload))} == {0}


def test_a_store_that_is_down_leaves_the_queue_as_it_is(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """PROC-53: an outage is nobody's failed attempt."""
    participant = factory.participant()
    queue(factory, participant, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")

    def down(*_: Any) -> Any:
        raise StoreUnavailable("down")

    with monkeypatch.context() as patch:
        patch.setattr(SealedStore, "read", down)
        with pytest.raises(StoreUnavailable):
            process()
    forget_rows()
    assert db.session.scalars(db.select(QueuedUpload)).one().attempts == 0
    assert process().files == 1


def test_a_participant_is_claimed_by_one_worker_and_the_least_recently_served_comes_first(app: Flask, factory: Factory):
    """PROC-51."""
    study = factory.study()
    first, second = factory.participant(study), factory.participant(study)
    for participant in (first, second):
        queue(factory, participant, "accel/1700002800000.csv", HEADER)
        queue(factory, participant, "accel/1700002900000.csv", HEADER)
    with claimed_participant(db.engine, Scope()) as one, claimed_participant(db.engine, Scope()) as other:
        assert [one[1], other[1]] == [first.id, second.id]
        with claimed_participant(db.engine, Scope()) as none:
            assert none is None
    with claimed_participant(db.engine, Scope(participant_id=second.id)) as again:
        assert again[1] == second.id
    with claimed_participant(db.engine, Scope()) as next_one:
        assert next_one[1] == first.id


def test_participants_with_a_purge_are_passed_over(app: Flask, factory: Factory):
    """STORE-9."""
    participant = factory.participant()
    queue(factory, participant, "accel/1700002800000.csv", HEADER)
    participant.purge_asked_at = db.func.now()
    db.session.commit()
    assert process_next(db.engine, object_store(), settings(), Scope()) is None


def test_batches_are_bounded_by_files_and_bytes_and_turns_by_batches(app: Flask, factory: Factory):
    """PROC-51: a file larger than a batch goes alone."""
    participant = factory.participant()
    for n in range(18):
        queue(factory, participant, f"accel/17000028{n:02}000.csv", HEADER + b"1700002801000,3,1,1,1" * 10)
    small = settings().model_copy(update={"file_process_page_size": 2})
    report = process_next(db.engine, object_store(), small, Scope())
    assert (report.batches, report.files) == (4, 8)
    tiny = settings().model_copy(update={"process_batch_bytes": 1})
    report = process_next(db.engine, object_store(), tiny, Scope())
    assert (report.batches, report.files) == (4, 4)


def test_what_fails_later_in_a_turn_undoes_nothing_and_is_met_again(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """PROC-51, PROC-53: batches count as they end."""
    participant = factory.participant()
    for n in range(3):
        queue(factory, participant, f"accel/17000028{n:02}000.csv", HEADER + b"1700002801000,3,1,1,1")
    single = settings().model_copy(update={"file_process_page_size": 1})
    really, read = SealedStore.read, iter([True])

    def down_after_one(*arguments: Any) -> Any:
        if next(read, False):
            return really(*arguments)
        raise StoreUnavailable("down")

    with monkeypatch.context() as patch:
        patch.setattr(SealedStore, "read", down_after_one)
        assert process_next(db.engine, object_store(), single, Scope()).files == 1
        with pytest.raises(StoreUnavailable):
            process_next(db.engine, object_store(), single, Scope())
    assert process().files == 2


def test_vectors_here_are_those_of_the_shared_folder():
    """The copies in tests/vectors are the same, where the shared folder is beside the project."""
    shared = REPOSITORY.parent / "shared" / "vectors"
    for name in ("chunks", "device_files", "schedules") if shared.exists() else ():
        ours, theirs = VECTORS / name, shared / name
        files = sorted(p.relative_to(theirs) for p in theirs.rglob("*") if p.is_file())
        assert files == sorted(p.relative_to(ours) for p in ours.rglob("*") if p.is_file())
        assert all((ours / f).read_bytes() == (theirs / f).read_bytes() for f in files)


def test_a_worker_that_lost_its_claim_writes_no_rows_and_the_work_is_done_anew(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """STORE-11, PROC-51: another worker replaces the chunk between our reading and our writing."""
    participant = factory.participant()
    queue(factory, participant, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")
    process()
    queue(factory, participant, "accel/1700002900000.csv", HEADER + b"1700002901000,3,2,2,2")
    path = f"CHUNKED_DATA/{participant.study.object_id}/{participant.patient_id}/accelerometer/{HOUR}"
    store, really = factory.store(participant.study), chunk_writing.merge_chunk
    theirs = b"timestamp,UTC time,accuracy,x,y,z\n1700002805000,2023-11-14T23:00:05.000,3,9,9,9"

    def merge_while_another_writes(*arguments: Any) -> bytes:
        store.replace(path, theirs, store.read(path)[1])
        return really(*arguments)

    registered = db.session.scalar(db.select(Chunk.md5))
    with monkeypatch.context() as patch:
        patch.setattr(chunk_writing, "merge_chunk", merge_while_another_writes)
        report = process_next(db.engine, object_store(), settings(), Scope())
    forget_rows()
    assert report.files == 0
    assert store.read(path)[0] == theirs
    assert db.session.scalar(db.select(db.func.count(QueuedUpload.id))) == 1
    assert db.session.scalar(db.select(Chunk.md5)) == registered
    assert process().files == 1
    assert store.read(path)[0] == theirs + b"\n1700002901000,2023-11-14T23:01:41.000,3,2,2,2"


def test_a_single_missing_file_is_set_aside_at_once_and_put_back_by_a_command(app: Flask, factory: Factory):
    """PROC-52, PROC-53."""
    participant = factory.participant()
    path = queue(factory, participant, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")
    contents = b"".join(object_store().read(path + ".zst")[0])
    object_store().delete(path + ".zst")
    assert process().failures == {path: "missing in the store"}
    row = db.session.scalars(db.select(QueuedUpload)).one()
    assert (row.state, row.attempts) == ("failed", 0)
    assert timedelta(minutes=59) < row.next_try_at - datetime.now(UTC) < timedelta(minutes=61)
    object_store().create(path + ".zst", contents)
    assert app.test_cli_runner().invoke(args=["process-uploads", "--json"]).exit_code == 0
    assert db.session.scalar(db.select(db.func.count(QueuedUpload.id))) == 1
    app.test_cli_runner().invoke(args=["process-uploads", "--retry-failed", "--participant", participant.patient_id])
    assert db.session.scalar(db.select(db.func.count(QueuedUpload.id))) == 0


def test_missing_files_of_one_participant_hold_nobody_up_and_are_looked_for_each_hour(app: Flask, factory: Factory):
    """CLAR-13, PROC-52: thirty of them, set aside with their reason; another participant's file is processed."""
    lost, other = factory.participant(), factory.participant()
    paths = [queue(factory, lost, f"accel/17000028{n:02}000.csv", HEADER + b"1700002801000,3,1,1,1") for n in range(30)]
    queue(factory, other, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")
    contents = {path: b"".join(object_store().read(path + ".zst")[0]) for path in paths}
    for path in paths:
        object_store().delete(path + ".zst")
    report = command("process-uploads")
    assert (report["missing"], report["failed"], report["chunks_written"]) == (30, 30, 1)
    assert command("process-uploads")["files"] == 0
    for path in paths:
        object_store().create(path + ".zst", contents[path])
    assert command("process-uploads")["files"] == 0  # the hour is not over
    db.session.execute(db.update(QueuedUpload).values(next_try_at=datetime.now(UTC)))
    db.session.commit()
    report = command("process-uploads")
    assert (report["files"], report["failed"]) == (30, 0)
    assert db.session.scalar(db.select(db.func.count(QueuedUpload.id))) == 0


def test_files_missing_from_many_participants_stop_the_run_too(app: Flask, factory: Factory):
    """PROC-52, CLAR-13: three participants at once are a fault of the store."""
    for _ in range(6):
        participant = factory.participant()
        for ms in range(1700002800000, 1700002804000, 1000):
            object_store().delete(queue(factory, participant, f"accel/{ms}.csv", HEADER) + ".zst")
    with pytest.raises(StoreLooksWrong):
        process()
    forget_rows()
    states = Counter(db.session.scalars(db.select(QueuedUpload.state)))
    assert states["waiting"] >= 4 * 2


def test_an_id_that_reads_like_a_stream_misleads_nobody(app: Flask, factory: Factory):
    """PROC-1: old ids may be short."""
    participant = factory.participant(patient_id="gps")
    path = queue(factory, participant, f"surveyAnswers/{'a' * 24}/1700002801000.csv", b"question id\nq")
    assert process().unchunked == 1
    row = db.session.scalars(db.select(Chunk)).one()
    assert (row.path, row.stream) == (path, 17)
    assert db.session.scalar(db.select(UploadRecord.stream)) == 17


def test_an_error_while_claiming_gives_the_lock_back(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """PROC-51: nobody else could ever claim that participant."""
    participant = factory.participant()
    queue(factory, participant, "accel/1700002800000.csv", HEADER)
    with monkeypatch.context() as patch:
        patch.setattr(claims, "_SERVED", sa.text("SELECT nonsense, :id"))
        with pytest.raises(sa.exc.ProgrammingError), claimed_participant(db.engine, Scope()):
            pass
    with claimed_participant(db.engine, Scope()) as claim:
        assert claim[1] == participant.id


def test_bytes_by_stream_and_day_follow_the_registry(app: Flask, factory: Factory):
    """PROC-40: days of the study's zone; what is not chunked counts at the time in its name; late data change a day."""
    participant = factory.participant(factory.study(timezone_name="America/New_York"))
    survey = "5a1b2c3d4e5f6a7b8c9d0e1f"
    midnight = 1_700_024_400_000  # in New York, 2023-11-15
    row = HEADER + f"{midnight + 1},3,1,1,1".encode()
    queue(factory, participant, f"accel/{midnight}.csv", row)
    queue(factory, participant, "accel/1.csv", HEADER + f"{midnight - 1},3,1,1,1".encode())
    queue(factory, participant, f"surveyAnswers/{survey}/{midnight - 5}.csv", b"question id\n1")
    process()
    days = {d.day.isoformat(): d for d in db.session.scalars(db.select(DailyStatistics))}
    assert sorted(days) == ["2023-11-14", "2023-11-15"]
    one_row = len("timestamp,UTC time,accuracy,x,y,z\n1700024400001,2023-11-15T05:00:00.001,3,1,1,1")
    assert (days["2023-11-14"].accelerometer_bytes, days["2023-11-14"].survey_answers_bytes) == (one_row, 13)
    assert (days["2023-11-15"].accelerometer_bytes, days["2023-11-15"].survey_answers_bytes) == (one_row, None)
    queue(factory, participant, "accel/2.csv", HEADER + f"{midnight + 3_600_000},3,1,1,1".encode())
    process()
    days = {d.day.isoformat(): d for d in db.session.scalars(db.select(DailyStatistics))}
    assert days["2023-11-15"].accelerometer_bytes == 2 * one_row
    assert days["2023-11-14"].accelerometer_bytes == one_row


def test_all_days_can_be_summed_anew(app: Flask, factory: Factory):
    """PROC-40: after a study's zone changed, for one."""
    participant = factory.participant(factory.study(timezone_name="America/New_York"))
    queue(factory, participant, "accel/1.csv", HEADER + b"1700024399999,3,1,1,1")
    process()
    participant.study.timezone_name = "Europe/Berlin"
    recompute_days(db.session(), participant)
    db.session.commit()
    assert [d.isoformat() for d in db.session.scalars(db.select(DailyStatistics.day))] == ["2023-11-15"]
