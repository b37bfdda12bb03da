"""The log of who read participants' data: downloads of the portal, and requests of programs (PORTAL-290, DATA-26)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.audit.actor import Actor
from core.models import AccessKind, DataAccessRecord, Study

SHARED_FOR = timedelta(days=7)  # how long requests for single files belong to the record of their manifest


def record_access(
    session: Session,
    actor: Actor,
    kind: AccessKind,
    study: Study | None,
    *,
    participants: int | None = None,
    patient_ids: Sequence[str] | None = None,
    streams: Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    registry_entries: int | None = None,
) -> int:
    """Adds a row before the first byte is sent, and returns its number; the caller commits.

    `participants` counts whose data were asked for. `patient_ids` and `streams` name them; None means all.
    """
    row = insert(DataAccessRecord).values(
        kind=kind.value,
        researcher_id=actor.id,
        username=actor.name,
        key_name=actor.key_name,
        study_id=study.id if study else None,
        participants=participants,
        patient_ids=None if patient_ids is None else list(patient_ids),
        streams=None if streams is None else list(streams),
        parameters=dict(parameters or {}),
        registry_entries=registry_entries,
        address=actor.origin.address,
        request_id=actor.origin.request_id,
    )
    return session.execute(row.returning(DataAccessRecord.id)).scalar_one()


def end_access(session: Session, access_id: int, size_bytes: int, error: str | None = None) -> None:
    """Completes the row when the answer has ended: bytes sent, and why it broke off; the caller commits."""
    ended = sa.update(DataAccessRecord).where(DataAccessRecord.id == access_id)
    session.execute(ended.values(ended_at=sa.func.clock_timestamp(), size_bytes=size_bytes, error=error))


def recorded_pieces(engine: sa.Engine, pieces: Iterable[bytes], access_id: int) -> Iterator[bytes]:
    """Passes the pieces of an answer on; at the end, also where the client goes away, completes the row.

    It has a session of its own: the answer is sent after the request has ended.
    """
    sent, error = 0, None
    try:
        for piece in pieces:
            sent += len(piece)
            yield piece
    except BaseException as broken:
        error = type(broken).__name__
        raise
    finally:
        with Session(engine) as session:
            end_access(session, access_id, sent, error)
            session.commit()


def add_to_access(session: Session, access_id: int, size_bytes: int) -> None:
    """Adds bytes that were sent under this row, which several requests share; the caller commits.

    A crash of the database may lose the last moments of this count, so that a row is not synced for each small file.
    """
    session.execute(sa.text("SET LOCAL synchronous_commit = off"))
    added = sa.update(DataAccessRecord).where(DataAccessRecord.id == access_id)
    total = sa.func.coalesce(DataAccessRecord.size_bytes, 0) + size_bytes
    session.execute(added.values(ended_at=sa.func.clock_timestamp(), size_bytes=total))


def access_that_covers(
    session: Session, access_id: int, actor: Actor, study: Study, patient_id: str, stream: str
) -> bool:
    """Whether the row is of this actor's download of at most a week ago, and names the participant and the stream."""
    row = session.execute(
        sa.select(
            DataAccessRecord.researcher_id,
            DataAccessRecord.key_name,
            DataAccessRecord.patient_ids,
            DataAccessRecord.streams,
        ).where(
            DataAccessRecord.id == access_id,
            DataAccessRecord.study_id == study.id,
            DataAccessRecord.kind == AccessKind.DATA.value,
            DataAccessRecord.started_at > sa.func.now() - SHARED_FOR,
        )
    ).one_or_none()
    return (
        row is not None
        and (row.researcher_id, row.key_name) == (actor.id, actor.key_name)
        and (row.patient_ids is None or patient_id in row.patient_ids)
        and (row.streams is None or stream in row.streams)
    )
