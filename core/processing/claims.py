"""Claims: one worker per participant, by the database's advisory locks (PROC-51, MODEL-105).

A claim lives as long as its connection, and everything the worker writes to the database goes over that connection:
a worker that dies, or loses its connection, loses its claim and can write no more rows.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.clock import check_clock
from core.locks import LockSpace, lock_key, try_lock, unlocked_after

CANDIDATES = 20
MOST_COUNTED = 10_000

# The least recently served participant comes first; those being purged are excluded.
_WAITING = sa.text(
    """
    SELECT participants.id
    FROM participants LEFT JOIN served_participants AS served ON served.participant_id = participants.id
    WHERE participants.purge_asked_at IS NULL
      AND (CAST(:study_id AS bigint) IS NULL OR participants.study_id = :study_id)
      AND (CAST(:participant_id AS bigint) IS NULL OR participants.id = :participant_id)
      AND EXISTS (SELECT FROM upload_queue AS queue WHERE queue.participant_id = participants.id
                  AND queue.state = 'waiting' AND queue.next_try_at <= now())
    ORDER BY served.served_at NULLS FIRST, participants.id
    LIMIT :candidates
    """
)
# The same uploads as above, counted.
_DUE = sa.text(
    """
    SELECT count(*) FROM (
        SELECT FROM upload_queue AS queue JOIN participants ON participants.id = queue.participant_id
        WHERE participants.purge_asked_at IS NULL AND queue.state = 'waiting' AND queue.next_try_at <= now()
        LIMIT :most
    ) AS due
    """
)
_SERVED = sa.text(
    "INSERT INTO served_participants (participant_id, served_at) VALUES (:id, clock_timestamp()) "
    "ON CONFLICT (participant_id) DO UPDATE SET served_at = EXCLUDED.served_at"
)


@dataclass(frozen=True)
class Scope:
    """Whose uploads to process: all, one study's, or one participant's."""

    study_id: int | None = None
    participant_id: int | None = None


@contextmanager
def claimed_participant(engine: sa.Engine, scope: Scope) -> Iterator[tuple[Session, int] | None]:
    """A session that holds the claim on a participant with due uploads, and the participant's id; None if none has any.

    Skips participants claimed by other workers. Raises ClockLooksWrong: processing drops rows by the current time.
    """
    with engine.connect() as connection:
        try:
            check_clock(connection)
            participant_id = _claim(connection, scope)
        except BaseException:
            connection.invalidate()  # it may hold a lock that nobody would give back
            raise
        if participant_id is None:
            yield None
            return
        with (
            unlocked_after(connection, lock_key(LockSpace.PARTICIPANT, participant_id)),
            Session(connection, expire_on_commit=False) as session,
        ):
            yield session, participant_id


def is_anything_waiting(session: Session, scope: Scope) -> bool:
    """Whether any participant of the scope has uploads that are due."""
    return session.scalar(_WAITING, _parameters(scope, candidates=1)) is not None


def count_waiting(session: Session) -> int:
    """How many uploads are due in all studies, counted up to MOST_COUNTED."""
    return session.scalar(_DUE, {"most": MOST_COUNTED}) or 0


def _claim(connection: sa.Connection, scope: Scope) -> int | None:
    candidates: Sequence[int] = connection.execute(_WAITING, _parameters(scope, CANDIDATES)).scalars().all()
    for participant_id in candidates:
        if try_lock(connection, lock_key(LockSpace.PARTICIPANT, participant_id)):
            connection.execute(_SERVED, {"id": participant_id})
            connection.commit()
            return participant_id
    connection.rollback()
    return None


def _parameters(scope: Scope, candidates: int) -> dict[str, int | None]:
    return {"study_id": scope.study_id, "participant_id": scope.participant_id, "candidates": candidates}
