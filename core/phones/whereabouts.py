"""Traces one upload: all that the database holds about a file's name (OPS-20, MODEL-105)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Chunk, ProblemUpload, QueuedUpload, RefusedUpload, StoredObject, UploadRecord
from core.models.participant import participant_with_study
from core.storage.sealed import SUFFIX

MOST_STEPS = 1_000


@dataclass(frozen=True)
class Step:
    """A step in a file's history: when (None if unknown), what, and where its bytes or rows are."""

    at: datetime | None
    what: str
    where: str


def whereabouts(session: Session, name: str) -> list[Step]:
    """The history of an upload, by the name that the phone gave or by its path in the store; oldest step first.

    Includes all uploads of that name: duplicates, refused and set-aside ones. Every query uses an index.
    """
    name, path = _forms_of(name)
    patient_id = name.partition("_")[0]
    participant = participant_with_study(session, patient_id.lower())
    if participant is None:
        return []
    steps = [
        Step(row.first_at, f"answered {row.status}: {row.reason}", f"{row.times} times, last {row.last_at.isoformat()}")
        for row in _named(session, RefusedUpload, RefusedUpload.file_name, participant.id, name)
    ]
    steps += [
        Step(row.received_at, f"kept aside: {row.reason}", row.object_path)
        for row in _named(session, ProblemUpload, ProblemUpload.received_name, participant.id, name)
    ]
    full = f"{participant.study.object_id}/{participant.patient_id}/{path}"
    duplicates = sa.and_(UploadRecord.path >= f"{full}-duplicate-", UploadRecord.path < f"{full}-duplicate-~")
    records = sa.select(UploadRecord).where(
        UploadRecord.participant_id == participant.id, sa.or_(UploadRecord.path == full, duplicates)
    )
    for record in session.scalars(records.order_by(UploadRecord.received_at).limit(MOST_STEPS)):
        steps += _life(session, record)
    return sorted(steps, key=lambda step: (step.at is None, step.at or datetime.max))


def _forms_of(name: str) -> tuple[str, str]:
    """The name as a phone gives it, and the path below the participant's folder."""
    name = name.removesuffix(SUFFIX)
    if "/" in name:
        _, patient_id, path = ["", *name.split("/", 2)][-3:]
        return f"{patient_id}_{path.replace('/', '_')}", path
    return name, name.partition("_")[2].replace("_", "/")


def _named(session: Session, model: Any, column: Any, participant_id: int, name: str) -> list[Any]:
    query = sa.select(model).where(model.participant_id == participant_id, column == name)
    return list(session.scalars(query.limit(MOST_STEPS)))


def _life(session: Session, record: UploadRecord) -> list[Step]:
    stored = session.get(StoredObject, record.path + SUFFIX)
    where = stored.path if stored else "its object's row is gone"
    steps = [Step(record.received_at, f"accepted, {record.size_bytes} bytes", where)]
    if record.processed_at:
        dropped = [f"{rows} rows dropped: {reason}" for reason, rows in (record.dropped_rows or {}).items()]
        steps.append(Step(record.processed_at, ", ".join(["processed", *dropped]), _chunks(session, record)))
    queued = session.scalar(sa.select(QueuedUpload).where(QueuedUpload.path == record.path))
    if queued:
        reason = f": {queued.reason}" if queued.reason else ""
        steps.append(Step(None, f"{queued.state} in the queue, {queued.attempts} tries{reason}", queued.path))
    return steps


def _chunks(session: Session, record: UploadRecord) -> str:
    if record.first_bin is None or record.last_bin is None:
        return "registered at its own path" if _is_registered(session, record) else "no rows in it for a chunk"
    count = session.scalar(
        sa.select(sa.func.count()).where(
            Chunk.participant_id == record.participant_id,
            Chunk.stream == record.stream,
            Chunk.time_bin.between(record.first_bin, record.last_bin),
        )
    )
    return f"{count} chunks from {record.first_bin.isoformat()} to {record.last_bin.isoformat()}"


def _is_registered(session: Session, record: UploadRecord) -> bool:
    is_there = sa.exists().where(Chunk.participant_id == record.participant_id, Chunk.path == record.path)
    return bool(session.scalar(sa.select(is_there)))
