"""Chunks made anew from raw files: compared, replaced, resumed (OPS-20, STORE-11)."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade

from core.audit import COMMAND_LINE
from core.crypto.seal import seal_legacy
from core.database import db
from core.models import Chunk, DailyStatistics, Participant, QueuedUpload, ReprocessingJob, StoredObject, UploadRecord
from core.processing import holding
from core.processing.holding import held_participant
from core.reprocessing import comparing, raw_files, rebuilding
from core.reprocessing import participant as reprocessing
from core.reprocessing.jobs import (
    JobRefused,
    Order,
    end_job,
    findings,
    open_job,
    participants_left,
    totals,
)
from core.reprocessing.participant import reprocess_participant
from core.streams import Platform
from tests.core.processing.test_batch import HEADER, HOUR, _legacy, chunk, forget_rows, process, queue
from tests.core.processing.test_kills import Countdown, Killed, killed_after, outcome, upload_files
from tests.support.factories import Factory
from webapp.stores import object_store, settings

CHUNK_HEADER = b"timestamp,UTC time,accuracy,x,y,z\n"
ONE, TWO = b"1700002801000,3,1,1,1", b"1700002802000,3,2,2,2"
ONE_IN_CHUNK, TWO_IN_CHUNK = (
    b"1700002801000,2023-11-14T23:00:01.000,3,1,1,1",
    b"1700002802000,2023-11-14T23:00:02.000,3,2,2,2",
)
FOREIGN = b"1700002803000,2023-11-14T23:00:03.000,9,9,9,9"


def reprocess(participant: Participant, **options: Any) -> dict[str, Any]:
    """Runs a job of the participant to its end; counts of all streams together."""
    job = open_job(
        db.session(), Order(participant.study.object_id, participant.patient_id, **options), actor=COMMAND_LINE
    )
    assert reprocess_participant(db.engine, object_store(), settings(), job, participant.id)
    assert end_job(db.session(), job)
    forget_rows()
    counts = dict.fromkeys(reprocessing.COUNTS, 0)
    for row in totals(db.session(), job):
        for name in counts:
            counts[name] += row[name]
    return {**counts, "findings": findings(db.session(), job, 100)}


def path_of(participant: Participant, name: str = f"accelerometer/{HOUR}") -> str:
    return f"CHUNKED_DATA/{participant.study.object_id}/{participant.patient_id}/{name}"


def overwrite(factory: Factory, participant: Participant, contents: bytes, name: str = f"accelerometer/{HOUR}") -> None:
    """Puts other contents where a chunk is, as if processing had written them, with rows that are right."""
    store = factory.store(participant.study)
    stored = store.replace(path_of(participant, name), contents, store.read(path_of(participant, name))[1] or "")
    db.session.execute(
        db.update(StoredObject)
        .where(StoredObject.path == stored.path)
        .values(sha1=stored.sha1, size_bytes=len(contents))
    )
    db.session.commit()


def days_of(participant: Participant) -> list[Any]:
    """The participant's daily quantities of the streams that tests use."""
    columns = (DailyStatistics.day, DailyStatistics.accelerometer_bytes, DailyStatistics.gps_bytes)
    query = db.select(*columns).where(DailyStatistics.participant_id == participant.id)
    return [tuple(row) for row in db.session.execute(query.order_by(DailyStatistics.day))]


@pytest.fixture
def participant(app: Flask, factory: Factory) -> Participant:
    """With two files of one hour, processed."""
    participant = factory.participant()
    queue(factory, participant, "accel/1700002801000.csv", HEADER + ONE)
    queue(factory, participant, "accel/1700002802000.csv", HEADER + TWO)
    process()
    return participant


def test_what_processing_made_is_equal_and_stays_untouched(app: Flask, factory: Factory):
    """OPS-20, PROC-32: all kinds of streams; nothing is written, no row changes."""
    participant = factory.participant()
    upload_files(factory, participant)
    queue(factory, participant, "identifiers_1700002800.csv", b"patient_id,MAC\nabc,m")
    queue(factory, participant, f"wifiLog/{1700002800000}.csv", b"hashed MAC, frequency, RSSI\naa,1,2\nbb,1,2\n,")
    queue(factory, participant, f"ios/log/{1700002800000}.csv", b"timestamp,a\n1700002801000,b")
    process()
    before = outcome(factory, participant)
    stamps = db.session.scalars(db.select(StoredObject.updated_at).order_by(StoredObject.path)).all()
    counts = reprocess(participant)
    assert counts["equal"] == len(before["contents"]) >= 8
    assert [counts[name] for name in ("changed", "new", "kept", "broken", "unbacked", "rows_put_right")] == [0] * 6
    assert counts["bytes_before"] == counts["bytes_after"] == sum(map(len, before["contents"].values()))
    assert counts["raw_files"] == 11
    assert counts["findings"] == []
    assert outcome(factory, participant) == before
    assert db.session.scalars(db.select(StoredObject.updated_at).order_by(StoredObject.path)).all() == stamps


def test_a_chunk_that_lacks_rows_is_replaced_and_a_lost_one_is_made_anew(participant: Participant, factory: Factory):
    """OPS-20, STORE-7, PROC-40: object, both rows and the day's quantities in step; a dry run writes nothing."""
    right = CHUNK_HEADER + ONE_IN_CHUNK + b"\n" + TWO_IN_CHUNK
    overwrite(factory, participant, CHUNK_HEADER + ONE_IN_CHUNK)
    would = reprocess(participant, is_dry_run=True)
    assert (would["changed"], would["bytes_after"]) == (1, len(right))
    assert chunk(factory, participant, f"accelerometer/{HOUR}") != right
    assert reprocess(participant)["changed"] == 1
    assert chunk(factory, participant, f"accelerometer/{HOUR}") == right
    row = db.session.scalars(db.select(Chunk)).one()
    assert row.size_bytes == len(right) == db.session.scalar(db.select(DailyStatistics.accelerometer_bytes))
    assert db.session.get(StoredObject, path_of(participant) + ".zst").sha1 == row.sha1

    object_store().delete(path_of(participant) + ".zst")
    counts = reprocess(participant)
    assert (counts["new"], counts["findings"][0]["path"]) == (1, path_of(participant))
    assert chunk(factory, participant, f"accelerometer/{HOUR}") == right
    for table in (StoredObject, Chunk):
        db.session.execute(
            db.delete(table).where(table.path.is_(None) if table is Chunk else table.path.startswith("CH"))
        )
    db.session.commit()
    assert reprocess(participant)["rows_put_right"] == 1
    assert db.session.scalars(db.select(Chunk)).one().size_bytes == len(right)


def test_rows_that_no_raw_file_has_stay_unless_they_are_given_up(participant: Participant, factory: Factory):
    """OPS-20: they are counted and listed; what raw files have is added beside them."""
    overwrite(factory, participant, CHUNK_HEADER + ONE_IN_CHUNK + b"\n" + FOREIGN)
    merged = CHUNK_HEADER + b"\n".join([ONE_IN_CHUNK, TWO_IN_CHUNK, FOREIGN])
    for _ in range(2):
        counts = reprocess(participant)
        assert (counts["kept"], counts["sourceless_rows"], counts["changed"]) == (1, 1, 0)
        assert counts["findings"] == [
            {"path": path_of(participant), "what": "kept with rows of unknown source", "rows": 1}
        ]
        assert chunk(factory, participant, f"accelerometer/{HOUR}") == merged
    counts = reprocess(participant, drops_rows=True)
    assert (counts["changed"], counts["sourceless_rows"]) == (1, 1)
    assert chunk(factory, participant, f"accelerometer/{HOUR}") == CHUNK_HEADER + ONE_IN_CHUNK + b"\n" + TWO_IN_CHUNK


def test_nothing_is_given_up_while_a_raw_file_does_not_open(participant: Participant, factory: Factory):
    """STORE-4, OPS-20: its rows may be just those; what is missing or damaged is listed."""
    folder = f"{participant.study.object_id}/{participant.patient_id}/accel/"
    pieces, etag = object_store().read(f"{folder}1700002801000.csv.zst")
    object_store().replace(f"{folder}1700002801000.csv.zst", b"".join(pieces)[:-1] + b"!", etag)
    counts = reprocess(participant, drops_rows=True)
    assert (counts["kept"], counts["raw_unreadable"]) == (1, 1)
    assert chunk(factory, participant, f"accelerometer/{HOUR}").count(b"\n") == 2
    object_store().delete(f"{folder}1700002801000.csv.zst")
    counts = reprocess(participant)
    assert (counts["kept"], counts["raw_files"], counts["raw_unreadable"]) == (1, 1, 1)
    assert counts["findings"][0]["what"] == "raw file missing in the store"
    object_store().delete(f"{folder}1700002802000.csv.zst")
    counts = reprocess(participant, drops_rows=True)
    assert counts["unbacked"] == 1
    assert counts["findings"][-1] == {"path": path_of(participant), "what": "no longer backed by raw files", "rows": 0}
    assert chunk(factory, participant, f"accelerometer/{HOUR}").count(b"\n") == 2


def test_a_chunk_that_cannot_be_read_is_listed_and_left(participant: Participant, factory: Factory):
    """STORE-4, PROC-32: a damaged object, and a row without a time."""
    overwrite(factory, participant, CHUNK_HEADER + b"no time,1")
    assert "does not start with a time" in reprocess(participant)["findings"][0]["what"]
    assert reprocess(participant, drops_rows=True)["changed"] == 1
    _, etag = object_store().read(path_of(participant) + ".zst")
    object_store().replace(path_of(participant) + ".zst", b"damaged", etag)
    counts = reprocess(participant)
    assert (counts["broken"], counts["equal"]) == (1, 0)


def test_files_of_an_import_need_no_rows_and_may_lie_under_the_plain_key(app: Flask, factory: Factory):
    """STORE-2, PROC-20, PROC-37: the platform comes from the alias; a chunk under the plain key is taken over."""
    participant = factory.participant(factory.study(encryption_key="k" * 32), platform=Platform.IOS)
    folder = f"{participant.study.object_id}/{participant.patient_id}/"
    key = participant.study.storage_key
    raw = b"hashed phone number,call type,timestamp,duration in seconds\nabc,In,1700002801000,5"
    object_store().create(f"{folder}callLog/1700002800000.csv.zst", seal_legacy(raw, key, 2))
    object_store().create(
        f"{folder}callLog/1700002900000.csv", _legacy(raw.replace(b"1000,5", b"2000,6"), key, is_compressed=False)
    )
    old = b"timestamp,UTC time,hashed phone number,call type,duration in seconds\n"
    first = b"1700002801000,2023-11-14T23:00:01.000,abc,In,5"
    name = f"calls/{HOUR}"
    object_store().create(path_of(participant, name), _legacy(old + first, key, is_compressed=False))
    assert reprocess(participant, stream="calls")["changed"] == 1
    assert chunk(factory, participant, name) == old + first + b"\n1700002802000,2023-11-14T23:00:02.000,abc,In,6"
    assert reprocess(participant)["equal"] == 1


def test_the_platform_at_upload_comes_from_the_log(app: Flask, factory: Factory):
    """OPS-20, PROC-20: whatever the participant has today."""
    participant = factory.participant(platform=Platform.IOS)
    queue(factory, participant, "callLog/1700002800000.csv", b"timestamp,a,b\n1700002801000,In,5")
    process()
    participant.os_type = Platform.ANDROID.value
    db.session.commit()
    assert reprocess(participant)["equal"] == 1
    db.session.execute(db.update(UploadRecord).values(os_type=None))
    db.session.commit()
    assert reprocess(participant)["unbacked"] == 1  # by its alias an Android's, whose third column would be the time


def test_the_upload_log_says_afterwards_where_the_rows_are(participant: Participant, factory: Factory):
    """MODEL-105: hours and dropped rows as they are now; files that still wait are left to their own processing."""
    waiting = queue(factory, participant, "accel/1700002803000.csv", HEADER + ONE)
    wrong = {"first_bin": datetime(2020, 1, 1, tzinfo=UTC), "last_bin": None, "dropped_rows": {"some reason": 3}}
    db.session.execute(db.update(UploadRecord).where(UploadRecord.path != waiting).values(wrong))
    db.session.commit()
    reprocess(participant, is_dry_run=True)
    assert db.session.scalars(db.select(UploadRecord.dropped_rows)).all().count({"some reason": 3}) == 2
    db.session.commit()
    reprocess(participant)
    records = db.session.scalars(db.select(UploadRecord).order_by(UploadRecord.path)).all()
    hour = datetime.fromtimestamp(1700002800, UTC)
    assert [(r.first_bin, r.last_bin, r.dropped_rows) for r in records] == [(hour, hour, None)] * 2 + [(None,) * 3]


def test_a_chunk_keeps_the_header_of_its_time(app: Flask, factory: Factory):
    """PROC-36: rows of an Android phone stay under its header when the participant has an iPhone today."""
    participant = factory.participant()
    queue(factory, participant, "gyro/1700002801000.csv", HEADER + ONE)
    process()
    participant.os_type = Platform.IOS.value
    db.session.commit()
    before = chunk(factory, participant, f"gyro/{HOUR}")
    assert reprocess(participant)["equal"] == 1
    assert chunk(factory, participant, f"gyro/{HOUR}") == before
    assert before.startswith(CHUNK_HEADER)


def test_memory_is_bounded_by_windows_of_hours(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """OPS-60: hours that do not fit together are read one window after the other, and end as if they had."""
    participant = factory.participant()
    upload_files(factory, participant)
    process()
    before = outcome(factory, participant)
    names = [name for name in before["contents"] if "accelerometer" in name]
    monkeypatch.setattr(rebuilding, "WINDOW_BYTES", 700)
    sizes: list[int] = []
    really = reprocessing.rebuild

    def rebuild(*arguments: Any) -> Any:
        for contents in really(*arguments):
            sizes.append(len(contents))
            yield contents

    monkeypatch.setattr(reprocessing, "rebuild", rebuild)
    small = settings().model_copy(update={"file_process_page_size": 2, "process_batch_bytes": 300})
    app.extensions["beiwe_settings"] = small
    for name in names:
        contents = before["contents"][name]
        overwrite(factory, participant, contents.rpartition(b"\n")[0], name.removesuffix(".zst").split("/", 1)[1])
    assert reprocess(participant, stream="accelerometer")["changed"] == len(names) == sum(sizes)
    assert len(sizes) > 1
    assert outcome(factory, participant) == before


def test_hours_bound_the_work(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """OPS-20: files that the log knows to feed other hours are not read; other chunks are not looked at."""
    participant = factory.participant()
    hours = [datetime.fromtimestamp(1700002800, UTC) + timedelta(hours=n) for n in range(3)]
    for hour in hours:
        ms = int(hour.timestamp()) * 1000
        queue(factory, participant, f"accel/{ms}.csv", HEADER + f"{ms},3,1,1,1".encode())
    process()
    read: list[str] = []
    really = raw_files.fetch

    def fetch(in_parallel: Any, store: Any, uploads: list[Any], *more: Any) -> Any:
        read.extend(upload.path for upload in uploads)
        return really(in_parallel, store, uploads, *more)

    monkeypatch.setattr(raw_files, "fetch", fetch)
    counts = reprocess(participant, start=hours[1], end=hours[2])
    assert counts["equal"] == 1
    assert len(read) == 1
    with pytest.raises(JobRefused):
        reprocess(participant, start=hours[1] + timedelta(minutes=1))


def test_uploads_that_wait_are_neither_lost_nor_double(participant: Participant, factory: Factory):
    """PROC-50, OPS-20: they are read with the others, and their own processing finds their rows there."""
    queue(factory, participant, "accel/1700002803000.csv", HEADER + b"1700002803000,3,3,3,3")
    assert reprocess(participant)["changed"] == 1
    assert db.session.scalar(db.select(db.func.count(QueuedUpload.id))) == 1
    before = chunk(factory, participant, f"accelerometer/{HOUR}")
    report = process()
    assert (report.files, report.chunks_unchanged) == (1, 1)
    assert chunk(factory, participant, f"accelerometer/{HOUR}") == before


def test_a_participant_held_by_others_or_waiting_for_a_purge_is_left(
    participant: Participant, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """PROC-51, STORE-9."""
    monkeypatch.setattr(holding, "PATIENCE", "50ms")
    job = open_job(db.session(), Order(participant.study.object_id), actor=COMMAND_LINE)
    with held_participant(db.engine, participant.id) as held:
        assert held is not None
        assert not reprocess_participant(db.engine, object_store(), settings(), job, participant.id)
    assert not end_job(db.session(), job)
    participant.purge_asked_at = datetime.now(UTC)
    db.session.commit()
    assert not reprocess_participant(db.engine, object_store(), settings(), job, participant.id)
    assert participants_left(db.session(), job) == {}
    assert end_job(db.session(), job)


def test_another_writer_ends_the_work_on_a_participant(
    participant: Participant, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """STORE-11: the chunk is not what was read any more."""
    overwrite(factory, participant, CHUNK_HEADER + ONE_IN_CHUNK)
    really, store = comparing.merge_chunk, factory.store(participant.study)

    def merge_while_another_writes(*arguments: Any) -> bytes:
        store.replace(path_of(participant), CHUNK_HEADER + TWO_IN_CHUNK, store.read(path_of(participant))[1] or "")
        return really(*arguments)

    job = open_job(db.session(), Order(participant.study.object_id), actor=COMMAND_LINE)
    with monkeypatch.context() as patch:
        patch.setattr(comparing, "merge_chunk", merge_while_another_writes)
        assert not reprocess_participant(db.engine, object_store(), settings(), job, participant.id)
    assert chunk(factory, participant, f"accelerometer/{HOUR}") == CHUNK_HEADER + TWO_IN_CHUNK
    assert reprocess_participant(db.engine, object_store(), settings(), job, participant.id)
    assert chunk(factory, participant, f"accelerometer/{HOUR}") == CHUNK_HEADER + ONE_IN_CHUNK + b"\n" + TWO_IN_CHUNK


def test_a_job_goes_on_where_it_stopped_and_a_new_one_begins_anew(participant: Participant, factory: Factory):
    """OPS-20, OPS-24: the row comes first; what differs in any parameter is another job."""
    study_id = participant.study.object_id
    other = factory.participant(participant.study)
    job = open_job(db.session(), Order(study_id), actor=COMMAND_LINE)
    assert open_job(db.session(), Order(study_id), actor=COMMAND_LINE).id == job.id
    assert open_job(db.session(), Order(study_id, stream="gps"), actor=COMMAND_LINE).id != job.id
    reprocess_participant(db.engine, object_store(), settings(), job, participant.id)
    assert participants_left(db.session(), job) == {other.id: other.patient_id}
    assert not end_job(db.session(), job)
    reprocess_participant(db.engine, object_store(), settings(), job, other.id)
    assert end_job(db.session(), job)
    assert open_job(db.session(), Order(study_id), actor=COMMAND_LINE).id != job.id
    assert db.session.scalar(db.select(db.func.count()).where(ReprocessingJob.ended_at.is_not(None))) == 1
    for wrong in (Order("A" * 24), Order(study_id, "nobody"), Order(study_id, stream="survey_answers")):
        with pytest.raises(JobRefused):
            open_job(db.session(), wrong, actor=COMMAND_LINE)


def test_jobs_go_with_their_migration_and_come_back(participant: Participant):
    """OPS-43: what was done stays done in the chunks; only the jobs' own rows go."""
    reprocess(participant)
    db.session.remove()
    downgrade(revision="0007")
    assert not [name for name in sa.inspect(db.engine).get_table_names() if name.startswith("reprocessing")]
    upgrade()
    assert db.session.scalar(db.select(db.func.count(ReprocessingJob.id))) == 0
    assert [
        difference for difference in compare_metadata(_migrations(), db.metadata) if "reproc" in str(difference)
    ] == []


def _migrations() -> MigrationContext:
    return MigrationContext.configure(db.session.connection())


@pytest.mark.timeout(300)
def test_kills_at_random_places_change_nothing(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """OPS-20: a job that is killed again and again and run anew ends like one left alone."""
    monkeypatch.setattr(reprocessing, "THREADS", 1)
    monkeypatch.setattr(reprocessing, "PAGE_CHUNKS", 2)
    study, rng = factory.study(), random.Random(3)

    def spoilt() -> Participant:
        participant = factory.participant(study)
        upload_files(factory, participant)
        process()
        folder = path_of(participant, "")
        store = factory.store(study)
        for number, key in enumerate(sorted(object_store().keys(folder))):
            path = key.removesuffix(".zst")
            if number % 3 == 0:
                object_store().delete(key)
            elif number % 3 == 1:
                contents = store.read(path)[0]
                overwrite(factory, participant, contents.rpartition(b"\n")[0], path.removeprefix(folder))
        return participant

    undisturbed = spoilt()
    whole = Countdown(1_000_000, is_after=False)
    with killed_after(whole):
        reprocess(undisturbed)
    expected = outcome(factory, undisturbed)
    days = days_of(undisturbed)
    effects, kills = 1_000_000 - whole.left, 0
    for _ in range(3):
        participant = spoilt()
        for _ in range(6):
            countdown = Countdown(rng.randrange(1, effects + 1), is_after=rng.random() < 0.5)
            try:
                with killed_after(countdown):
                    reprocess(participant)
            except Killed:
                kills += 1
            db.session.rollback()
            db.engine.dispose()
        reprocess(participant)
        assert outcome(factory, participant) == expected
        assert days_of(participant) == days
    assert kills > 9
