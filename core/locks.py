"""Advisory locks of the database: a connection holds them, and they end with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

_HELD = sa.text(
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
    " AND classid::bigint = :upper AND objid::bigint = :lower"
    " AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))"
)


class LockSpace(IntEnum):
    """The upper 16 bits of our lock keys, so that they differ from other programs' keys in the same database."""

    PARTICIPANT = 0xBE1
    DISPATCHER = 0xBE2
    RUN = 0xBE3
    PURGE = 0xBE4
    REBUILD = 0xBE5
    BATCHES = 0xBE6
    SENDER = 0xBE7
    ANSWERS = 0xBEA
    EXPORTS = 0xBEB


def lock_key(space: LockSpace, number: int = 0) -> int:
    """The 64-bit key of a lock."""
    return (space << 48) + number


def try_lock(connection: sa.Connection, key: int) -> bool:
    """Takes the lock if it is free, and returns whether it did."""
    is_ours: bool = connection.execute(sa.select(sa.func.pg_try_advisory_lock(key))).scalar_one()
    return is_ours


def is_held(connection: sa.Connection | Session, key: int) -> bool:
    """Whether any process holds the lock, without taking it. `key` is that of `lock_key`."""
    found: bool = connection.execute(_HELD, {"upper": key >> 32, "lower": key & 0xFFFFFFFF}).scalar_one()
    return found


@contextmanager
def unlocked_after(connection: sa.Connection, key: int, *, is_shared: bool = False) -> Iterator[None]:
    """Releases the lock when the block is left; a broken connection has lost it already."""
    unlock = sa.func.pg_advisory_unlock_shared if is_shared else sa.func.pg_advisory_unlock
    try:
        yield
    finally:
        try:
            connection.rollback()
            connection.execute(sa.select(unlock(key)))
            connection.commit()
        except sa.exc.DBAPIError:
            connection.invalidate()


@contextmanager
def held_alone(engine: sa.Engine, key: int) -> Iterator[bool]:
    """Tries to take the lock for the block, and yields whether it did. No transaction stays open."""
    with engine.connect() as connection:
        is_ours = try_lock(connection, key)
        connection.commit()
        if not is_ours:
            yield False
            return
        with unlocked_after(connection, key):
            yield True
