"""What is odd in the data is counted and listed; only rows from impossible times are ever removed (OPS-20, OPS-60)."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from core.database import db
from core.models import Chunk, DailyStatistics, Participant, QueuedUpload, QueueState, StoredObject
from core.operations import data_audit
from core.operations.data_audit import Oddities, audit_participants, audit_queue
from core.processing import holding
from core.processing.holding import held_participant
from core.streams import SPECS, DataStream
from tests.core.processing.test_batch import HEADER, HOUR, forget_rows, process, queue
from tests.support.factories import Factory

EARLIEST = datetime(2014, 8, 1, tzinfo=UTC)


def audit(*, study_id: int | None = None, after: str = "", fixes: bool = False) -> dict[str, Oddities]:
    found = audit_participants(db.engine, datetime.now(UTC), study_id, after, fixes=fixes)
    return {one.patient_id: one.oddities for one in found}


def add_chunk(participant: Participant, time_bin: datetime, stream: DataStream = DataStream.GPS) -> None:
    """A registry row and its day, as the existing platform left them."""
    db.session.add(
        Chunk(
            participant_id=participant.id,
            study_id=participant.study_id,
            stream=SPECS[stream].number,
            time_bin=time_bin,
            size_bytes=7,
        )
    )
    day = time_bin.astimezone(participant.study.zone).date()
    db.session.merge(
        DailyStatistics(participant_id=participant.id, study_id=participant.study_id, day=day, gps_bytes=7)
    )
    db.session.commit()


def test_rows_from_impossible_times_are_listed_and_removed_when_asked(app: Flask, factory: Factory):
    """OPS-20, PROC-40: rows and daily summaries go, objects stay; the limits themselves are possible."""
    participant = factory.participant()
    queue(factory, participant, "gps/1700002800000.csv", b"timestamp,latitude\n1700002801000,1")
    process()
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hour = timedelta(hours=1)
    for possible in (EARLIEST, now + timedelta(days=90)):
        add_chunk(participant, possible)
    impossible = [EARLIEST - hour, datetime(1970, 1, 1, tzinfo=UTC), now + timedelta(days=95)]
    for at in impossible:
        add_chunk(participant, at)
    odd = audit()[participant.patient_id]
    assert (odd.impossible_rows, odd.impossible_days, odd.removed_rows) == (3, 2, 0)
    folder = f"CHUNKED_DATA/{participant.study.object_id}/{participant.patient_id}/gps/"
    assert odd.impossible_paths[:2] == [f"{folder}1970-01-01T00:00:00.csv", f"{folder}2014-07-31T23:00:00.csv"]
    assert audit(fixes=True)[participant.patient_id].removed_rows == 5
    forget_rows()
    assert db.session.scalar(db.select(db.func.count(Chunk.id))) == 3
    days = db.session.execute(db.select(DailyStatistics.day, DailyStatistics.gps_bytes).order_by(DailyStatistics.day))
    in_new_york = [(day.isoformat(), size) for day, size in days]
    assert in_new_york[0] == ("2014-07-31", 7)  # evening there, and of an hour that stays
    assert len(in_new_york) == 3
    assert factory.store(participant.study).read(f"{folder}{HOUR}")
    odd = audit(fixes=True)[participant.patient_id]
    assert (odd.impossible_rows, odd.impossible_days, odd.removed_rows) == (0, 0, 0)


def test_nothing_is_removed_under_the_hands_of_a_worker(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """OPS-20, PROC-51: the next audit removes it."""
    monkeypatch.setattr(holding, "PATIENCE", "50ms")
    participant = factory.participant()
    add_chunk(participant, datetime(1990, 1, 1, tzinfo=UTC))
    with held_participant(db.engine, participant.id):
        odd = audit(fixes=True)[participant.patient_id]
    assert (odd.impossible_rows, odd.removed_rows) == (1, 0)
    assert audit(fixes=True)[participant.patient_id].removed_rows == 2


def test_uploads_of_a_header_only_are_listed_where_they_mean_nothing(app: Flask, factory: Factory):
    """OPS-20: never wifi, survey answers or survey timings; never one that waits or whose rows were dropped."""
    participant = factory.participant()
    survey = "a" * 24
    empty = queue(factory, participant, "accel/1700002800000.csv", HEADER)
    queue(factory, participant, "accel/1700002900000.csv", HEADER + b"nonsense,1")
    queue(factory, participant, "wifiLog/1700002800000.csv", b"hashed MAC,frequency,RSSI\naa,1,2\n")
    queue(factory, participant, f"surveyTimings/{survey}/1700002800000.csv", b"timestamp,a\n")
    queue(factory, participant, f"surveyAnswers/{survey}/1700002800000.csv", b"question id\n")
    process()
    queue(factory, participant, "accel/1700003000000.csv", HEADER)
    odd = audit()[participant.patient_id]
    assert (odd.header_only, odd.header_only_bytes) == (1, len(HEADER))
    assert odd.findings() == [{"path": empty, "what": "holds a header only"}]


def test_registry_rows_whose_object_no_row_knows_are_found_in_pages(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """OPS-20, OPS-60, STORE-7."""
    monkeypatch.setattr(data_audit, "PAGE_ROWS", 2)
    monkeypatch.setattr(data_audit, "PAGE_PARTICIPANTS", 1)
    study = factory.study()
    participant, other = factory.participant(study), factory.participant(study)
    hours = [f"{1700002801000 + 3_600_000 * n},3,1,1,1" for n in range(5)]
    queue(factory, participant, "accel/1700002800000.csv", HEADER + "\n".join(hours).encode())
    queue(factory, participant, f"surveyAnswers/{'a' * 24}/1700002800000.csv", b"question id\nq")
    process()
    assert audit()[participant.patient_id].without_object_row == 0
    gone = db.session.scalars(
        db.delete(StoredObject).where(StoredObject.path.contains("T0")).returning(StoredObject.path)
    ).all()
    db.session.execute(db.delete(StoredObject).where(StoredObject.path.contains("surveyAnswers")))
    db.session.commit()
    found = audit()
    assert list(found) == sorted((participant.patient_id, other.patient_id))
    odd = found[participant.patient_id]
    assert odd.without_object_row == len(gone) + 1 == 5
    assert {path + ".zst" for path in odd.without_object_row_paths} > set(gone)
    assert audit(study_id=factory.study().id) == {}
    assert list(audit(after=participant.patient_id)) == [other.patient_id]


def test_the_queue_is_told_by_study(app: Flask, factory: Factory):
    """OPS-20, PROC-52, PROC-53: the oldest file that waits, and files set aside by reason."""
    participant, other = factory.participant(), factory.participant()
    for number in range(4):
        queue(factory, participant, f"accel/170000280{number}000.csv", HEADER)
    queue(factory, other, "accel/1700002800000.csv", HEADER)
    oldest = datetime(2024, 1, 1, tzinfo=UTC)
    rows = db.session.scalars(db.select(QueuedUpload).filter_by(participant_id=participant.id)).all()
    rows[0].received_at = oldest
    for row, reason in zip(rows[1:], ("missing", "missing", "altered"), strict=True):
        row.state, row.reason = QueueState.FAILED.value, reason
    db.session.commit()
    found = {of_study["study"]: of_study for of_study in audit_queue(db.session())}
    assert len(found) == 2
    assert found[participant.study.object_id]["oldest_waiting"] == oldest
    assert found[participant.study.object_id]["failed"] == {"missing": 2, "altered": 1}
    assert found[other.study.object_id]["failed"] == {}
    assert len(audit_queue(db.session(), other.study_id)) == 1


def test_totals_add_up_and_lists_stay_short():
    """OPS-60."""
    total = Oddities()
    for _ in range(3):
        total.add(Oddities(header_only=60, header_only_paths=["x"] * 60))
    assert total.counts()["header_only"] == 180
    assert len(total.findings()) == data_audit.MOST_LISTED
