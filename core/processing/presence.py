"""Tells which processing is running on any machine, by database locks that end with their process.

Prefect may still list a run whose process was killed; the lock of that process is gone.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.locks import LockSpace, held_alone, lock_key, unlocked_after

_RUN = lock_key(LockSpace.RUN)
_DISPATCHER = lock_key(LockSpace.DISPATCHER)
_HOLDERS = sa.text(
    "SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND classid = CAST(:high AS oid) AND objid = CAST(:low AS oid)"
)


def sole_dispatcher(engine: sa.Engine) -> AbstractContextManager[bool]:
    """Takes the dispatcher's lock for the block; yields False if another process holds it."""
    return held_alone(engine, _DISPATCHER)


@contextmanager
def counted_run(engine: sa.Engine) -> Iterator[None]:
    """Counts this process as a processing run during the block."""
    with engine.connect() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_lock_shared(_RUN)))
        connection.commit()
        with unlocked_after(connection, _RUN, is_shared=True):
            yield


def runs_present(session: Session) -> int:
    """How many processing runs are alive, on all machines."""
    return _holders(session, _RUN)


def is_dispatcher_present(session: Session) -> bool:
    """Whether a dispatcher is at work, on any machine."""
    return _holders(session, _DISPATCHER) > 0


def _holders(session: Session, key: int) -> int:
    return session.scalar(_HOLDERS, {"high": key >> 32, "low": key & 0xFFFFFFFF}) or 0
