"""Advisory locks of the database: a connection holds them, and they end with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import sqlalchemy as sa


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


def lock_key(space: LockSpace, number: int = 0) -> int:
    """The 64-bit key of a lock."""
    return (space << 48) + number


def try_lock(connection: sa.Connection, key: int) -> bool:
    """Takes the lock if it is free, and returns whether it did."""
    is_ours: bool = connection.execute(sa.select(sa.func.pg_try_advisory_lock(key))).scalar_one()
    return is_ours


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
