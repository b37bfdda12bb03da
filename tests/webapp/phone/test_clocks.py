"""Machines whose clock is far from the database's drop, delete and prune nothing.

The other clock is the database's: a function of that name stands before PostgreSQL's own in the search path.
"""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.audit import SERVER
from core.database import db
from core.models import Heartbeat, Participant, QueuedUpload
from core.participants.purging import ask_for_purge
from tests.core.processing.test_batch import HEADER, queue
from tests.support.commands import command, run_command
from tests.support.factories import Factory

ROW = b"1700002801000,3,1,1,1"


@pytest.fixture
def set_clock(app: Flask):
    """Sets the database's clock for every connection from now on."""

    def set_clock(apart: timedelta) -> None:
        name = db.session.scalar(sa.text("SELECT current_database()"))
        for statement in (
            "CREATE SCHEMA other_clock",
            "CREATE FUNCTION other_clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS "
            f"$$ SELECT pg_catalog.clock_timestamp() + interval '{int(apart.total_seconds())} s' $$",
            f"ALTER DATABASE {name} SET search_path = other_clock, pg_catalog, public",
        ):
            db.session.execute(sa.text(statement))
        db.session.commit()
        db.session.remove()
        db.engine.dispose()

    return set_clock


@pytest.mark.parametrize("apart", [timedelta(days=6 * 365), timedelta(minutes=-12)], ids=["behind", "ahead"])
def test_a_clock_far_from_the_databases_stops_the_run_and_drops_nothing(factory: Factory, set_clock, apart: timedelta):
    """PROC-14: rows are judged by the time of day, so the run says what is wrong and the file waits."""
    queue(factory, factory.participant(), "accel/1700002800000.csv", HEADER + ROW)
    set_clock(apart)
    done = run_command("process-uploads")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "clock" in done.stderr and f"{datetime.now(UTC):%Y-%m-%d}" in done.stderr
    row = db.session.scalars(db.select(QueuedUpload)).one()
    assert (row.state, row.attempts) == ("waiting", 0)


def test_clocks_a_few_minutes_apart_are_no_fault(factory: Factory, set_clock):
    """PROC-14."""
    queue(factory, factory.participant(), "accel/1700002800000.csv", HEADER + ROW)
    set_clock(timedelta(minutes=8))
    assert command("process-uploads")["chunks_written"] == 1


def test_nothing_is_purged_or_pruned_by_a_wrong_clock(app: Flask, factory: Factory, set_clock):
    """STORE-9, MODEL-107: a clock that is ahead would end every pause at once."""
    from core.clock import ClockLooksWrong
    from core.config import load_settings
    from core.operations.history_pruning import prune_rows
    from core.participants.purging import purge_next
    from webapp.stores import object_store

    participant = factory.participant()
    db.session.add(Heartbeat(participant_id=participant.id, at=datetime.now(UTC)))
    ask_for_purge(db.session(), participant, actor=SERVER)
    db.session.commit()
    set_clock(timedelta(days=-800))
    with pytest.raises(ClockLooksWrong):
        purge_next(db.engine, object_store(), datetime.now(UTC))
    with pytest.raises(ClockLooksWrong):
        list(prune_rows(db.session(), load_settings(retention_heartbeats_months=1), datetime.now(UTC)))
    db.session.rollback()
    assert db.session.scalar(db.select(db.func.count(Heartbeat.id))) == 1
    assert db.session.scalar(db.select(Participant.purged_at)) is None
