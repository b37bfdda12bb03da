"""The manifest of a download: every file of a query with size and hash, in pages (CLAR-73).

A file's hash is the MD5 of a chunk, the SHA-1 of an unchunked file. It is also the strong ETag under which the file is
served, so that a program knows without asking whether it has this version.
"""

import binascii
import hashlib
import json
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import IO

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.crypto.seal import SealBroken
from core.downloads.members import Member, members_of
from core.downloads.query import BadQuery, DataQuery
from core.models import Chunk, Participant, StoredObject, Study, Survey
from core.storage import ObjectMissing, SealedStore
from core.storage.sealed import SUFFIX
from core.streams import SPECS, DataStream, stream_by_number
from core.streams.paths import registered_path

LOOKED_UP_AT_ONCE = 1_000  # participants whose files are looked for in one query
MOST_HASHED_BYTES = 100 << 20  # of files without a known hash in one page, which ends then
SPOOL_BYTES = 1 << 20  # of one file in memory; larger ones go to disk
LONGEST_CURSOR = 500


@dataclass(frozen=True)
class Position:
    """The last place of a page: participant, number of the stream, time. Files of one place are never parted."""

    patient_id: str
    stream: int
    time_bin: datetime

    def to_text(self) -> str:
        """The position as programs send it back: its form is ours alone."""
        parts = [self.patient_id, self.stream, int(self.time_bin.timestamp())]
        return urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


@dataclass(frozen=True)
class Listed:
    """A file of the manifest, with its hash in hexadecimal digits; None if the store does not have the file."""

    member: Member
    hash: str | None

    @property
    def algorithm(self) -> str:
        """How the hash is computed: `md5` for chunks, `sha1` for unchunked files."""
        return algorithm_of(self.member.stream)


def algorithm_of(stream: DataStream) -> str:
    """`md5` for chunked streams, whose rows always have it, else `sha1`."""
    return "md5" if SPECS[stream].is_chunked else "sha1"


def parse_position(text: str) -> Position:
    """The position that a cursor names. Raises BadQuery."""
    try:
        if len(text) > LONGEST_CURSOR:
            raise ValueError
        patient_id, stream, seconds = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not (isinstance(patient_id, str) and patient_id.isalnum() and patient_id.isascii()):
            raise ValueError
        return Position(patient_id, stream_number(stream), datetime.fromtimestamp(int(seconds), UTC))
    except (ValueError, TypeError, KeyError, binascii.Error, OverflowError, OSError, RecursionError):
        raise BadQuery("cursor: the next_cursor of the page before is expected, unchanged") from None


def stream_number(number: object) -> int:
    """The number, if it is that of a stream. Raises ValueError, KeyError."""
    if type(number) is not int:
        raise ValueError("not a number")
    stream_by_number(number)
    return number


def manifest_page(
    session: Session,
    sealed: SealedStore,
    study: Study,
    participants: Sequence[tuple[int, str]],
    query: DataQuery,
    after: Position | None,
    limit: int,
) -> tuple[list[Listed], Position | None]:
    """About `limit` files behind a position, by patient id, stream and time, and the position of the next page.

    `participants` are (id, patient id) by patient id. A page is longer where several files share the last place, and
    shorter where many had to be read for their hash, which is stored for the next time.
    """
    page: list[Listed] = []
    last: Position | None = None
    hashed_bytes = 0
    for member in _members_behind(session, study, participants, query, after, limit + 1):
        place = Position(member.patient_id, SPECS[member.stream].number, member.time_bin)
        is_full = len(page) >= limit or hashed_bytes > MOST_HASHED_BYTES
        if is_full and place != last:
            session.commit()
            return page, last
        known = member.hashes.md5 if SPECS[member.stream].is_chunked else member.hashes.sha1
        if known is None:
            known, size = _hash_now(session, sealed, member)
            hashed_bytes += size
            member = replace(member, size_bytes=size if known else member.size_bytes)
        page.append(Listed(member, b64decode(known).hex() if known else None))
        last = place
    session.commit()
    return page, None


@dataclass(frozen=True)
class DownloadedObject:
    """One file of the store as a program asks for it: what its rows say."""

    patient_id: str
    stream: DataStream
    name: str
    path: str
    seal: str | None
    hash: str | None
    size_bytes: int | None


def object_of_study(session: Session, study: Study, chunk_id: int) -> DownloadedObject | None:
    """The file with this number, if it is of the study and the session may see its participant."""
    query = (
        sa.select(*Chunk.__table__.columns, Participant.patient_id, Survey.object_id.label("survey"))
        .join(Participant, Participant.id == Chunk.participant_id)
        .outerjoin(Survey, Survey.id == Chunk.survey_id)
        .where(Chunk.id == chunk_id, Participant.study_id == study.id)
    )
    row = session.execute(query).one_or_none()
    if row is None:
        return None
    stream = stream_by_number(row.stream)
    path = registered_path(study.object_id, row.patient_id, row.path, stream, row.time_bin, row.survey)
    stored = session.execute(
        sa.select(StoredObject.sha1, StoredObject.seal).where(StoredObject.path == path + SUFFIX)
    ).one_or_none()
    digest = row.md5 if SPECS[stream].is_chunked else row.sha1 or (stored.sha1 if stored else None)
    return DownloadedObject(
        patient_id=row.patient_id,
        stream=stream,
        name=path.rpartition("/")[2],
        path=path,
        seal=stored.seal if stored else None,
        hash=digest.hex() if digest else None,
        size_bytes=row.size_bytes,
    )


def read_object(sealed: SealedStore, wanted: DownloadedObject) -> tuple[IO[bytes], int, str]:
    """The whole contents as an open file at its start, their size in bytes, and their hash in hexadecimal digits.

    The hash is of what was read: a chunk may have grown since its row was read. Raises ObjectMissing, SealBroken,
    StoreUnavailable; nothing is answered before all of the file was verified.
    """
    digest = hashlib.new(algorithm_of(wanted.stream), usedforsecurity=False)
    file = SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115  closed with the answer
    size = 0
    try:
        for piece in sealed.open(wanted.path, wanted.seal)[0]:
            digest.update(piece)
            size += file.write(piece)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file, size, digest.hexdigest()


def _members_behind(
    session: Session,
    study: Study,
    participants: Sequence[tuple[int, str]],
    query: DataQuery,
    after: Position | None,
    first_rows: int,
) -> Iterator[Member]:
    behind = [one for one in participants if after is None or one[1] >= after.patient_id]
    for participant in _with_files(session, behind):
        is_first = after is not None and participant[1] == after.patient_id
        place = (after.stream, after.time_bin) if after is not None and is_first else None
        yield from members_of(session, study, participant, query, after=place, first_rows=first_rows)


def _with_files(session: Session, participants: Sequence[tuple[int, str]]) -> Iterable[tuple[int, str]]:
    """Those who have files at all: in a large study most queries would find nothing."""
    for start in range(0, len(participants), LOOKED_UP_AT_ONCE):
        some = participants[start : start + LOOKED_UP_AT_ONCE]
        has_files = sa.exists().where(Chunk.participant_id == Participant.id)
        query = sa.select(Participant.id).where(Participant.id.in_([number for number, _ in some]), has_files)
        found = set(session.scalars(query))
        session.commit()
        yield from (one for one in some if one[0] in found)


def _hash_now(session: Session, sealed: SealedStore, member: Member) -> tuple[str | None, int]:
    """Reads a file whose hash no row has, and stores it. Returns the hash in base64, and the file's size in bytes."""
    digest, size = hashlib.new(algorithm_of(member.stream), usedforsecurity=False), 0
    try:
        for piece in sealed.open(member.path, member.seal)[0]:
            digest.update(piece)
            size += len(piece)
    except (ObjectMissing, SealBroken):
        return None, size
    column = "md5" if SPECS[member.stream].is_chunked else "sha1"
    values = {column: digest.digest(), "size_bytes": size}
    session.execute(
        sa.update(Chunk).where(Chunk.id == member.chunk_id, getattr(Chunk, column).is_(None)).values(**values)
    )
    return binascii.b2a_base64(digest.digest(), newline=False).decode(), size
