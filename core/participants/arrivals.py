"""Data received from one participant: by stream, the newest uploads, and files that could not be read.

Every query is by the participant's own index. An upload log can be long, so only its newest rows are read.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Chunk, ProblemUpload, QueuedUpload, QueueState, Refusal, RefusedUpload, UploadRecord

NEWEST_FOR_STREAMS = 5_000
RECENT = 20
PROBLEMS = 10


@dataclass
class StreamArrivals:
    """Data of one stream. Times of uploads are known only for streams among the newest uploads of the log.

    `last_processed_at` without chunks means that the stream's files were processed and held no rows.
    """

    stream: int
    chunks: int = 0
    size_bytes: int = 0
    first_bin: datetime | None = None
    last_bin: datetime | None = None
    last_upload_at: datetime | None = None
    last_processed_at: datetime | None = None


@dataclass(frozen=True)
class Arrivals:
    """All of a participant's arrivals."""

    streams: list[StreamArrivals]
    recent: list[UploadRecord]
    problems: list[ProblemUpload]
    refused: list[RefusedUpload]
    first_upload_at: datetime | None
    waiting: int
    oldest_waiting_at: datetime | None

    @property
    def chunks(self) -> int:
        return sum(stream.chunks for stream in self.streams)

    @property
    def size_bytes(self) -> int:
        return sum(stream.size_bytes for stream in self.streams)


WAITS_FOR_FIRST_RUN = "waits"


def newest_chunk(session: Session, participant_id: int) -> str:
    """A text that changes with new chunks to draw, or when the first files have been processed.

    Returns WAITS_FOR_FIRST_RUN while there are uploads but none is processed yet: no data counts as missing then.
    """
    newest = session.scalar(sa.select(sa.func.max(Chunk.updated_at)).where(Chunk.participant_id == participant_id))
    if newest:
        return str(newest.timestamp())
    of_participant = UploadRecord.participant_id == participant_id
    has_any, is_processed = session.execute(
        sa.select(
            sa.exists().where(of_participant),
            sa.exists().where(of_participant, UploadRecord.processed_at.is_not(None)),
        )
    ).one()
    return WAITS_FOR_FIRST_RUN if has_any and not is_processed else ""


def arrivals_of(session: Session, participant_id: int) -> Arrivals:
    """The participant's arrivals, read in seven queries."""
    waiting = session.execute(
        sa.select(sa.func.count().label("files"), sa.func.min(QueuedUpload.received_at).label("oldest")).where(
            QueuedUpload.participant_id == participant_id, QueuedUpload.state == QueueState.WAITING
        )
    ).one()
    return Arrivals(
        streams=_by_stream(session, participant_id),
        recent=_newest(session, UploadRecord, participant_id, RECENT),
        problems=_newest(session, ProblemUpload, participant_id, PROBLEMS),
        refused=_still_on_the_phone(session, participant_id),
        first_upload_at=session.scalar(
            sa.select(sa.func.min(UploadRecord.received_at)).where(UploadRecord.participant_id == participant_id)
        ),
        waiting=waiting.files,
        oldest_waiting_at=waiting.oldest,
    )


def _by_stream(session: Session, participant_id: int) -> list[StreamArrivals]:
    chunks = session.execute(
        sa.select(
            Chunk.stream,
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(Chunk.size_bytes), 0),
            sa.func.min(Chunk.time_bin),
            sa.func.max(Chunk.time_bin),
            sa.func.max(Chunk.updated_at),
        )
        .where(Chunk.participant_id == participant_id)
        .group_by(Chunk.stream)
    )
    streams = {
        stream: StreamArrivals(stream, count, int(size), first, last, last_processed_at=updated)
        for stream, count, size, first, last, updated in chunks
    }
    newest = (
        sa.select(UploadRecord.stream, UploadRecord.received_at, UploadRecord.processed_at)
        .where(UploadRecord.participant_id == participant_id)
        .order_by(UploadRecord.received_at.desc())
        .limit(NEWEST_FOR_STREAMS)
        .subquery()
    )
    last = sa.func.max(newest.c.received_at), sa.func.max(newest.c.processed_at)
    for stream, uploaded_at, processed_at in session.execute(sa.select(newest.c.stream, *last).group_by("stream")):
        if stream is not None:
            arrived = streams.setdefault(stream, StreamArrivals(stream))
            arrived.last_upload_at = uploaded_at
            times = [at for at in (arrived.last_processed_at, processed_at) if at]
            arrived.last_processed_at = max(times, default=None)
    return sorted(streams.values(), key=lambda s: s.stream)


def _still_on_the_phone(session: Session, participant_id: int) -> list[RefusedUpload]:
    """Files too large to take, which the phone sends again and again (PHONE-10); the newest first."""
    query = sa.select(RefusedUpload).where(
        RefusedUpload.participant_id == participant_id, RefusedUpload.reason == Refusal.TOO_LARGE.value
    )
    return list(session.scalars(query.order_by(RefusedUpload.last_at.desc()).limit(PROBLEMS)))


def _newest(session: Session, model: Any, participant_id: int, count: int) -> list[Any]:
    query = sa.select(model).where(model.participant_id == participant_id).order_by(model.received_at.desc())
    return list(session.scalars(query.limit(count)))


def problems_of(session: Session, participant_id: int) -> list[ProblemUpload]:
    """The newest hundred uploads that could not be read whole, the newest first."""
    problems: list[ProblemUpload] = _newest(session, ProblemUpload, participant_id, 100)
    return problems
