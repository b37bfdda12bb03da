"""The chunks that a request selects, read in pages, with their names in the zip (DATA-22 to DATA-24)."""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.downloads.query import DataQuery, UnknownName, known_hashes
from core.models import Chunk, Participant, StoredObject, Study, Survey
from core.storage.sealed import SUFFIX
from core.streams import SPECS, DataStream, stream_by_number
from core.streams.paths import registered_path, without_duplicate_mark

PAGE_ROWS = 5_000
FIRST_PAGE_ROWS = 250  # the answer starts after this page
SMALL_BYTES = 4 << 20
UNKNOWN_SURVEY = "unknown_survey_id"
BY_SURVEY = (DataStream.SURVEY_TIMINGS, DataStream.SURVEY_ANSWERS, DataStream.AUDIO_RECORDINGS)


@dataclass(frozen=True)
class Hashes:
    """A file's hashes in base64, where known."""

    md5: str | None
    sha1: str | None

    def for_registry(self, *, is_sha1: bool) -> str:
        """The SHA-1 if asked for (the caller sent a registry) and known, else the MD5, else "" (DATA-23, CLAR-72)."""
        return (self.sha1 if is_sha1 else None) or self.md5 or ""


@dataclass(frozen=True)
class Member:
    """One file of the zip: its name there, its path in the registry and the store, size and hashes (base64).

    `registry_hash` is the MD5 in base64 (empty for unchunked files), or with an incoming registry the SHA-1 where
    known (DATA-23). `time_bin` is the start of the chunk's hour (UTC), or the time in an unchunked file's name.
    """

    name: str
    path: str
    size_bytes: int | None
    registry_hash: str
    seal: str | None
    hashes: Hashes
    chunk_id: int
    patient_id: str
    stream: DataStream
    time_bin: datetime
    survey: str | None

    @property
    def is_small(self) -> bool:
        """Whether the file may be held in memory whole; larger files, and those of unknown size, are streamed."""
        return self.size_bytes is not None and self.size_bytes <= SMALL_BYTES


def participants_asked_for(session: Session, study: Study, query: DataQuery) -> list[tuple[int, str]]:
    """(id, patient id) of the participants that the query names, by patient id. Raises UnknownName (DATA-20)."""
    columns = sa.select(Participant.id, Participant.patient_id)
    own = columns.where(Participant.study_id == study.id).order_by(Participant.patient_id)
    if query.patient_ids is not None:
        known = set(
            session.scalars(sa.select(Participant.patient_id).where(Participant.patient_id.in_(query.patient_ids)))
        )
        if set(query.patient_ids) - known:
            raise UnknownName("participant_ids: not the id of a participant")
        own = own.where(Participant.patient_id.in_(query.patient_ids))
    return [(row.id, row.patient_id) for row in session.execute(own)]


def members(
    session: Session, study: Study, participants: Sequence[tuple[int, str]], query: DataQuery
) -> Iterator[Member]:
    """Every file that the query selects and the caller does not have yet, participant by participant.

    One indexed query reads the first 250 files, then one each further 5,000. No transaction is open between pages.
    """
    for participant in participants:
        yield from members_of(session, study, participant, query)


def members_of(
    session: Session,
    study: Study,
    participant: tuple[int, str],
    query: DataQuery,
    *,
    after: tuple[int, datetime] | None = None,
    first_rows: int = FIRST_PAGE_ROWS,
) -> Iterator[Member]:
    """The files of one participant, (id, patient id), by number of the stream and time; those `after` a place only."""
    participant_id, patient_id = participant
    names: Counter[str] = Counter()
    last: tuple[int, datetime] | None = None
    for page in _pages(session, participant_id, query, after, first_rows):
        paths = [
            registered_path(
                study.object_id, patient_id, row.path, stream_by_number(row.stream), row.time_bin, row.survey
            )
            for row in page
        ]
        objects = _objects(session, paths)
        session.commit()
        for row, path in zip(page, paths, strict=True):
            if last != (row.stream, row.time_bin):  # equal names can only be neighbours
                names.clear()
                last = (row.stream, row.time_bin)
            stream = stream_by_number(row.stream)
            stored = objects.get(path)
            hashes = Hashes(_base64(row.md5), _base64(row.sha1 or (stored.sha1 if stored else None)))
            name = member_name(patient_id, stream, path, row.time_bin, row.survey)
            names[name] += 1  # also of those not sent: the caller's file keeps its name
            if query.registry is not None and _caller_has(query, hashes, path, stream):
                continue
            yield Member(
                name=name if names[name] == 1 else _numbered(name, names[name]),
                path=path,
                size_bytes=row.size_bytes,
                registry_hash=hashes.for_registry(is_sha1=query.registry is not None),
                seal=stored.seal if stored else None,
                hashes=hashes,
                chunk_id=row.id,
                patient_id=patient_id,
                stream=stream,
                time_bin=row.time_bin,
                survey=row.survey,
            )


def member_name(patient_id: str, stream: DataStream, path: str, time_bin: datetime, survey: str | None) -> str:
    """A file's name in the zip: `<patient>/<stream>/[<survey id>/]<time with underscores>.<extension>` (DATA-22)."""
    time = time_bin.astimezone(UTC).strftime("%Y-%m-%d %H_%M_%S+00_00")
    if stream is DataStream.AMBIENT_AUDIO:
        return f"{patient_id}/{stream}/{time}.{path.partition('.')[2]}"
    is_recording = stream is DataStream.AUDIO_RECORDINGS
    extension = without_duplicate_mark(path).rpartition(".")[2] if is_recording else "csv"
    if stream in BY_SURVEY:
        piece = path.split("/")[-2]
        survey = survey or (piece if len(piece) == 24 else UNKNOWN_SURVEY)
        return f"{patient_id}/{stream}/{survey}/{time}.{extension}"
    return f"{patient_id}/{stream}/{time}.{extension}"


def _pages(
    session: Session, participant_id: int, query: DataQuery, after: tuple[int, datetime] | None, first_rows: int
) -> Iterator[Sequence[sa.Row[Any]]]:
    base = (
        sa.select(
            Chunk.id,
            Chunk.stream,
            Chunk.time_bin,
            Chunk.path,
            Chunk.size_bytes,
            Chunk.md5,
            Chunk.sha1,
            Survey.object_id.label("survey"),
        )
        .outerjoin(Survey, Survey.id == Chunk.survey_id)
        .where(Chunk.participant_id == participant_id)
        .order_by(Chunk.stream, Chunk.time_bin, Chunk.id)
    )
    if query.streams is not None:
        base = base.where(Chunk.stream.in_([SPECS[stream].number for stream in query.streams]))
    if query.time_start is not None:
        base = base.where(Chunk.time_bin >= query.time_start)
    if query.time_end is not None:
        base = base.where(Chunk.time_bin <= query.time_end)
    if after is not None:
        base = base.where(sa.tuple_(Chunk.stream, Chunk.time_bin) > after)
    size = min(first_rows, PAGE_ROWS)
    page = session.execute(base.limit(size)).all()
    while page:
        yield page
        last = page[-1]
        if len(page) < size:
            return
        size = PAGE_ROWS
        behind = sa.tuple_(Chunk.stream, Chunk.time_bin, Chunk.id) > sa.tuple_(last.stream, last.time_bin, last.id)
        page = session.execute(base.where(behind).limit(size)).all()


def _objects(session: Session, paths: Sequence[str]) -> dict[str, sa.Row[Any]]:
    """SHA-1 and expected seal of the objects at these paths, from `stored_objects` (STORE-4)."""
    query = sa.select(StoredObject.path, StoredObject.sha1, StoredObject.seal)
    found = session.execute(query.where(StoredObject.path.in_([path + SUFFIX for path in paths])))
    return {row.path.removesuffix(SUFFIX): row for row in found}


def _caller_has(query: DataQuery, hashes: Hashes, path: str, stream: DataStream) -> bool:
    """Whether the caller's registry names this file with one of its hashes (DATA-24).

    An unchunked file never changes, so an empty hash matches as well. A recording's hash matches
    under any path.
    """
    if stream is DataStream.AUDIO_RECORDINGS and hashes.sha1 in query.hashes_in_registry:
        return True
    right = {hashes.md5, hashes.sha1} - {None} if SPECS[stream].is_chunked else {hashes.sha1, ""} - {None}
    return any(known in right for known in known_hashes(query.registry or {}, path))


def _base64(digest: bytes | None) -> str | None:
    return None if digest is None else b64encode(digest).decode()


def _numbered(name: str, number: int) -> str:
    stem, dot, extension = name.rpartition(".")
    return f"{stem}_{number}{dot}{extension}"
