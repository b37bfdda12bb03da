"""How much a download would hold, before it starts (PORTAL-242)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.downloads.query import DataQuery
from core.models import Chunk, Participant
from core.streams import SPECS

MOST_MS = 5_000
QUERY_CANCELED = "57014"  # PostgreSQL's code for a statement that took too long
ALL_STREAMS = tuple(SPECS)
PARTICIPANTS_AT_ONCE = 1_000


@dataclass(frozen=True)
class DownloadSize:
    """The files and bytes of a download; `of_unknown_size` files are not in the bytes."""

    files: int
    size_bytes: int
    of_unknown_size: int
    participants: int


def download_size(session: Session, study_id: int, query: DataQuery) -> DownloadSize | None:
    """The size of what the query selects in the study, by one query over the index of chunks.

    None if that takes longer than five seconds. Ends the session's transaction in both cases.
    """
    participants = sa.select(Participant.id).where(Participant.study_id == study_id)
    if query.patient_ids is not None:
        participants = participants.where(Participant.patient_id.in_(query.patient_ids))
    chosen = sa.select(
        sa.func.count().label("files"),
        sa.func.coalesce(sa.func.sum(Chunk.size_bytes), 0).label("size_bytes"),
        sa.func.count().filter(Chunk.size_bytes.is_(None)).label("of_unknown_size"),
        sa.func.count(sa.distinct(Chunk.participant_id)).label("participants"),
    ).where(
        Chunk.participant_id.in_(participants),
        # Naming all streams allows an index range scan in each.
        Chunk.stream.in_([SPECS[stream].number for stream in query.streams or ALL_STREAMS]),
    )
    chosen = _in_range(chosen, query)
    try:
        session.execute(sa.text(f"SET LOCAL statement_timeout = {MOST_MS}"))
        row = session.execute(chosen).one()
    except OperationalError as error:
        session.rollback()
        if getattr(error.orig, "pgcode", None) == QUERY_CANCELED:
            return None
        raise
    session.commit()
    return DownloadSize(row.files, int(row.size_bytes), row.of_unknown_size, row.participants)


def count_members(session: Session, participant_ids: Sequence[int], query: DataQuery) -> int:
    """How many files of these participants the query selects, however long that takes; for background work."""
    count = 0
    streams = [SPECS[stream].number for stream in (ALL_STREAMS if query.streams is None else query.streams)]
    for start in range(0, len(participant_ids), PARTICIPANTS_AT_ONCE):
        some = participant_ids[start : start + PARTICIPANTS_AT_ONCE]
        chosen = sa.select(sa.func.count()).select_from(Chunk)
        chosen = chosen.where(Chunk.participant_id.in_(some), Chunk.stream.in_(streams))
        count += session.scalar(_in_range(chosen, query)) or 0
    return count


def _in_range(chosen: sa.Select[Any], query: DataQuery) -> sa.Select[Any]:
    if query.time_start is not None:
        chosen = chosen.where(Chunk.time_bin >= query.time_start)
    if query.time_end is not None:
        chosen = chosen.where(Chunk.time_bin <= query.time_end)
    return chosen
