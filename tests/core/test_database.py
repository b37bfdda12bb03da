"""Connections to the database: tried after a pause, made anew after a restart (PHONE-64 row 12)."""

import time

import pytest
import sqlalchemy as sa

from core.config import Settings
from core.database import URL, TriedAfterPause, engine_options

BACKEND = sa.text("SELECT pg_backend_pid()")


@pytest.fixture
def engine(settings: Settings):
    engine = sa.create_engine(URL, **engine_options(settings, 1))
    yield engine
    engine.dispose()


def ended(engine: sa.Engine, settings: Settings) -> int:
    """The backend of the pool's connection, which another session has ended."""
    with engine.connect() as connection:
        backend: int = connection.scalar(BACKEND) or 0
    other = sa.create_engine(URL, **engine_options(settings, 1))
    with other.connect() as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": backend})
    other.dispose()
    return backend


def test_a_connection_lost_during_a_pause_goes_unnoticed(
    engine: sa.Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """PHONE-64 row 12: a database that was restarted at night serves the first phone of the morning."""
    backend = ended(engine, settings)
    monkeypatch.setattr(TriedAfterPause, "SECONDS", 0.0)
    with engine.connect() as connection:
        assert connection.scalar(BACKEND) != backend


def test_a_connection_lost_in_use_fails_once(engine: sa.Engine, settings: Settings):
    """PHONE-64 row 12: that request hears 503, the next one is served."""
    backend = ended(engine, settings)
    time.sleep(0.05)
    with pytest.raises(sa.exc.OperationalError), engine.connect() as connection:
        connection.scalar(BACKEND)
    with engine.connect() as connection:
        assert connection.scalar(BACKEND) != backend
