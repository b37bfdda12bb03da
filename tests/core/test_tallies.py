"""Totals over all processes."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from core.database import db
from core.models import Tally
from core.processing import run
from core.tallies import Counted, add_tallies, all_tallies
from tests.core.test_processing_batch import HEADER, process, queue
from tests.factories import Factory


def add(numbers: dict[str, int]) -> None:
    with Session(db.engine) as session:
        add_tallies(session, Counted.ROWS_DROPPED, numbers)
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


def test_processing_counts_what_it_did(app: Flask, factory: Factory):
    """OPS-32: by whatever process, here the one of a command."""
    participant = factory.participant()
    queue(factory, participant, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1\nnot a time,3,1,1,1")
    queue(factory, participant, "accel/1700006400000.csv", HEADER + b"1700006401000,3,1,1,1")
    report = process()
    tallies = all_tallies(db.session())
    assert tallies.pop(("chunks_written", "")) == report.chunks_written == 2
    assert tallies.pop(("files_processed", "")) == 2
    assert tallies == {("rows_dropped", reason): rows for reason, rows in report.rows_dropped.items()}
    assert report.rows_dropped.total() == 1


def test_a_batch_whose_counts_cannot_be_added_is_done_all_the_same(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """OPS-32: counts are lost then, data never."""

    def fail(*_: object) -> None:
        raise sa.exc.OperationalError("", {}, Exception("lock timeout"))

    monkeypatch.setattr(run, "add_tallies", fail)
    queue(factory, factory.participant(), "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")
    assert process().counts()["files"] == 1
    assert "counts are lost" in caplog.text
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
