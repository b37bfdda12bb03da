"""Hours after a participant's last day, taken out of what was processed before that day was known (CLAR-35).

Raw files stay as they are, so chunks made anew from them bring the hours back when the last day was a mistake.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.bulk import is_one_of
from core.chunks.model import ChunkKey
from core.config import Settings
from core.models import Chunk, Departure, Participant, StoredObject, Survey
from core.processing.chunk_writing import ChunkWriter
from core.processing.daily_quantities import days_of, recompute_days
from core.processing.holding import held_participant
from core.processing.recording import Recorder
from core.storage import ObjectMissing, ObjectStore, SealedStore
from core.storage.sealed import SUFFIX
from core.streams import SPECS, Platform, chunk_path, stream_by_number


def departures_to_trim(session: Session) -> list[int]:
    """Numbers of participants whose last day is newer than what was taken out of their chunks."""
    return list(session.scalars(sa.select(Departure.participant_id).where(Departure.trimmed_at.is_(None))))


def trim_departed(engine: sa.Engine, store: ObjectStore, settings: Settings, participant_id: int) -> int | None:
    """Removes the participant's chunks from after the last day; commits. How many files of hours went.

    None where the participant is being worked on, or takes part again. Raises StoreUnavailable and the database's
    errors; it can be done again at any time.
    """
    with held_participant(engine, participant_id) as held:
        if held is None:
            return None
        session, participant = held
        departure = session.get(Departure, participant_id)
        if departure is None:
            return None
        sealed = SealedStore(store, participant.study, settings)
        removed = _remove_from(session, sealed, participant, departure.ends_at)
        departure.hours_removed += removed
        departure.trimmed_at = datetime.now(UTC)
        session.commit()
        return removed


def _remove_from(session: Session, store: SealedStore, participant: Participant, end: datetime) -> int:
    """Registry rows first, then objects: what a crash leaves between the two is an object that nothing refers to."""
    first_hour = end.replace(minute=0, second=0, microsecond=0)
    rows = session.execute(
        sa.select(Chunk.id, Chunk.stream, Chunk.time_bin, Chunk.path, Survey.object_id)
        .outerjoin(Survey, Survey.id == Chunk.survey_id)
        .where(
            Chunk.participant_id == participant.id,
            Chunk.stream.in_([spec.number for spec in SPECS.values()]),
            Chunk.time_bin >= first_hour,
        )
    ).all()
    whole = [row for row in rows if row.time_bin >= end]
    session.execute(sa.delete(Chunk).where(is_one_of(Chunk.id, [row.id for row in whole])))
    paths = [
        chunk_path(store.study_id, participant.patient_id, stream_by_number(row.stream), row.time_bin, row.object_id)
        for row in whole
        if row.path is None
    ]
    keys = [path + SUFFIX for path in paths] + (paths if store.has_plain_keys else [])
    session.execute(sa.delete(StoredObject).where(is_one_of(StoredObject.path, keys)))
    recompute_days(session, participant, days_of((row.time_bin for row in rows), participant.study.zone))
    session.commit()
    for key in keys:
        store.store.delete(key)
    for row in rows:
        if row.time_bin < end and row.path is None:
            chunk = ChunkKey(stream_by_number(row.stream), row.object_id, int(row.time_bin.timestamp()) // 3600)
            _cut(session, store, participant, chunk, end)
    return len(whole)


def _cut(session: Session, store: SealedStore, participant: Participant, key: ChunkKey, end: datetime) -> None:
    """Keeps of one hour what is older than `end`, which lies within it: not every zone is whole hours from UTC."""
    end_ms = int(end.timestamp() * 1000)

    def older(contents: bytes) -> bytes:
        header, *lines = contents.split(b"\n")
        return b"\n".join([header, *(line for line in lines if _time_ms(line) < end_ms)])

    recorder = Recorder(session, participant)
    known = recorder.known_chunks([key])
    platform = Platform(participant.os_type or Platform.ANDROID)
    try:
        written = ChunkWriter(store, participant.patient_id, platform, known).rewrite(key, older)
    except ObjectMissing:
        return
    recorder.record_chunks([written])
    recompute_days(session, participant, days_of([key.time_bin], participant.study.zone))
    session.commit()


def _time_ms(line: bytes) -> int:
    first = line.split(b",", 1)[0]
    return int(first[:13]) if first[:13].isdigit() else 0
