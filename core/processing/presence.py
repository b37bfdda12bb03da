"""Which processing is going on, known from locks that vanish with their process, wherever it runs.

A workflow engine goes on believing in a run whose process was killed; the database does not.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.orm import Session

DISPATCHER = 0xBE2 << 48
RUN = 0xBE3 << 48
_RUNS = sa.text(
    "SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND classid = CAST(:high AS oid) AND objid = CAST(:low AS oid)"
)


@contextmanager
def sole_dispatcher(engine: sa.Engine) -> Iterator[bool]:
    """Whether this is the only dispatcher; it stays so until the block is left."""
    with engine.connect() as connection:
        is_sole: bool = connection.scalar(sa.select(sa.func.pg_try_advisory_lock(DISPATCHER)))
        connection.commit()
        try:
            yield is_sole
        finally:
            connection.invalidate()  # ends the connection, and with it the lock


@contextmanager
def counted_run(engine: sa.Engine) -> Iterator[None]:
    """Makes this process count as a processing run until the block is left."""
    with engine.connect() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_lock_shared(RUN)))
        connection.commit()
        try:
            yield
        finally:
            connection.invalidate()


def runs_present(session: Session) -> int:
    """How many processing runs are alive, on all machines."""
    return session.scalar(_RUNS, {"high": RUN >> 32, "low": RUN & 0xFFFFFFFF}) or 0
