"""Totals over all processes."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from core.database import db
from core.models import Tally
from core.operations import tallies
from core.operations.tallies import Counted, Integrity, add_tallies, add_tallies_at_once, all_tallies
from core.processing.report import ProcessingReport
from tests.core.processing.test_batch import HEADER, HOUR, process, queue
from tests.support.factories import Factory
from webapp.stores import object_store


def add(numbers: dict[str, int]) -> None:
    with Session(db.engine) as session:
        add_tallies(session, {Counted.ROWS_DROPPED: numbers})
        session.commit()


def test_numbers_are_added_to_what_is_there(app: Flask):
    """OPS-32."""
    add({"early": 2, "late": 1})
    add({"late": 3, "never": 0})
    add({})
    assert all_tallies(db.session()) == {("rows_dropped", "early"): 2, ("rows_dropped", "late"): 4}


def test_many_who_add_at_once_lose_nothing_and_never_wait_in_a_circle(app: Flask):
    """OPS-32: whatever order each names the labels in."""
    labels = [f"label {n}" for n in range(20)]
    orders = [labels, labels[::-1]] * 10
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda order: _with_context(app, dict.fromkeys(order, 1)), orders))
    assert set(all_tallies(db.session()).values()) == {len(orders)}


def test_what_is_met_on_the_way_is_counted_at_once_and_never_in_the_way(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """OPS-32: whatever becomes of the transaction of who met it, and where the database does not answer."""
    met = {Counted.INTEGRITY_FAILURES: {Integrity.DOWNLOAD: 2}}
    add_tallies_at_once(db.engine, met)
    db.session.rollback()
    assert all_tallies(db.session()) == {("integrity_failures", "download"): 2}
    add_tallies_at_once(sa.create_engine("postgresql://127.0.0.1:9/none"), met)
    assert "counts of integrity_failures are lost" in caplog.text


def test_reports_add_up_what_was_missing_or_damaged():
    """OPS-21."""
    total = ProcessingReport()
    for report in (ProcessingReport(integrity=Counter(chunk=2)), ProcessingReport(integrity=Counter(chunk=1, other=1))):
        total.add(report)
    assert (total.integrity, total.counts()["integrity"]) == (Counter(chunk=3, other=1), 4)


def test_processing_counts_what_it_did(app: Flask, factory: Factory):
    """OPS-32: by whatever process, here the one of a command."""
    participant = factory.participant()
    queue(factory, participant, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1\nnot a time,3,1,1,1")
    queue(factory, participant, "accel/1700006400000.csv", HEADER + b"1700006401000,3,1,1,1")
    report = process()
    totals = all_tallies(db.session())
    assert totals.pop(("chunks_written", "")) == report.chunks_written == 2
    assert totals.pop(("files_processed", "")) == 2
    assert totals == {("rows_dropped", reason): rows for reason, rows in report.rows_dropped.items()}
    assert report.rows_dropped.total() == 1


def test_processing_counts_what_is_missing_or_damaged(app: Flask, factory: Factory):
    """OPS-32: each time it is met; STORE-4, PROC-52."""
    participant = factory.participant()
    row = b"1700002801000,3,1,1,1"
    paths = [queue(factory, participant, f"accel/170000280000{n}.csv", HEADER + row) for n in range(3)]
    process()
    chunk = f"CHUNKED_DATA/{participant.study.object_id}/{participant.patient_id}/accelerometer/{HOUR}.zst"
    _, etag = object_store().read(chunk)
    object_store().replace(chunk, b"damaged", etag)
    paths = [queue(factory, participant, f"accel/170000281000{n}.csv", HEADER + row) for n in range(3)]
    object_store().delete(paths[0] + ".zst")
    _, etag = object_store().read(paths[1] + ".zst")
    object_store().replace(paths[1] + ".zst", b"damaged", etag)
    report = process()
    assert report.counts()["integrity"] == len(report.failures) == 3
    totals = all_tallies(db.session())
    met = {label: total for (name, label), total in totals.items() if name == "integrity_failures"}
    assert met == {"raw missing": 1, "raw damaged": 1, "chunk": 1}


def test_a_batch_whose_counts_cannot_be_added_is_done_all_the_same(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """OPS-32: counts are lost then, data never."""

    def fail(*_: object) -> None:
        raise sa.exc.OperationalError("", {}, Exception("lock timeout"))

    monkeypatch.setattr(tallies, "add_tallies", fail)
    queue(factory, factory.participant(), "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")
    assert process().counts()["files"] == 1
    assert "chunks_written" in caplog.text
    assert "are lost" in caplog.text
    assert db.session.scalar(db.select(db.func.count()).select_from(Tally)) == 0


def test_what_is_counted_is_no_ones_id(app: Flask, factory: Factory):
    """OPS-32."""
    participant = factory.participant()
    queue(factory, participant, "accel/1700002800000.csv", HEADER + b"bad,1,1,1,1")
    process()
    labels = Counter(label for _, label in all_tallies(db.session()))
    assert not any(participant.patient_id in label or participant.study.object_id in label for label in labels)


def _with_context(app: Flask, numbers: dict[str, int]) -> None:
    with app.app_context():
        add(numbers)
