"""Holds the processing claim of a given participant for maintenance, so that no worker changes its chunks (PROC-51)."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.clock import check_clock
from core.locks import LockSpace, lock_key, unlocked_after
from core.models import Participant
from core.models.participant import with_study_and_key

PATIENCE = "60s"
_LOCK_NOT_AVAILABLE = "55P03"


@contextmanager
def held_participant(engine: sa.Engine, participant_id: int) -> Iterator[tuple[Session, Participant] | None]:
    """A session that holds the claim, and the participant with its study.

    Waits a minute for a worker to end its batch. Yields None if it does not, or if a purge was asked for (STORE-9).
    Raises ClockLooksWrong.
    """
    key = lock_key(LockSpace.PARTICIPANT, participant_id)
    with engine.connect() as connection:
        try:
            check_clock(connection)
            is_held = _wait_for(connection, key)
        except BaseException:
            connection.invalidate()  # it may hold a lock that nobody would give back
            raise
        if not is_held:
            yield None
            return
        with unlocked_after(connection, key), Session(connection, expire_on_commit=False) as session:
            participant = session.get_one(Participant, participant_id, options=[with_study_and_key()])
            session.commit()
            yield None if participant.is_locked_out else (session, participant)


def _wait_for(connection: sa.Connection, key: int) -> bool:
    connection.execute(sa.text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
    try:
        connection.execute(sa.select(sa.func.pg_advisory_lock(key)))
    except sa.exc.OperationalError as error:
        if getattr(error.orig, "pgcode", None) != _LOCK_NOT_AVAILABLE:
            raise
        connection.rollback()
        return False
    connection.commit()
    return True
