"""The zip file of a get-data request, made while it is sent, so that memory does not grow with its size (DATA-21)."""

import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from tempfile import SpooledTemporaryFile
from time import monotonic
from typing import IO

import sqlalchemy as sa
from sqlalchemy.orm import Session
from zipstream import ZIP_STORED, ZipStream

from core.audit.access_log import end_access
from core.crypto.seal import SealBroken
from core.downloads.members import Member, members
from core.downloads.query import DataQuery
from core.models import Study
from core.operations.tallies import Counted, Integrity, add_tallies_at_once
from core.storage import ObjectMissing, SealedStore

FETCHERS = 4
MOST_AHEAD = 16
MOST_BYTES_AHEAD = 8 << 20
GATHERED_BYTES = 1 << 16
MOST_GATHERING_SECONDS = 0.5
SPOOL_BYTES = 1 << 20  # of one file in memory; larger ones go to disk
log = logging.getLogger(__name__)


Contents = bytes | Iterable[bytes] | Exception


@dataclass(frozen=True)
class ZipContents:
    """The zip of what a query selects of these participants, by (id, patient id).

    The stream goes on after the request's database session is closed: the sealed store has read the study's key.
    With `is_compressed` each file is compressed with zstd, and its name ends with `.zst` (`/get-data/v2`). `on_file` is
    called before each file.
    """

    engine: sa.Engine
    sealed: SealedStore
    study: Study
    participants: Sequence[tuple[int, str]]
    query: DataQuery
    has_registry: bool
    is_compressed: bool = False
    on_file: Callable[[Member], None] | None = None

    def pieces(self) -> Iterator[bytes]:
        """The bytes of the zip: its members, what was missing of a participant as `problems.json`, then `registry`.

        Closing the generator stops its threads and returns its connection.
        """
        archive = ZipStream(compress_type=ZIP_STORED)
        problems: dict[str, list[dict[str, str]]] = {}  # below a patient's folder, else mano fails (CLAR-70)
        with (
            Session(self.engine, expire_on_commit=False) as session,
            SpooledTemporaryFile(SPOOL_BYTES) as registry,
        ):
            registry.write(b"{")
            separator = b""
            found = members(session, self.study, self.participants, self.query)
            for member, contents in fetched(self.sealed, found, is_compressed=self.is_compressed):
                if self.on_file is not None:
                    self.on_file(member)
                if isinstance(contents, Exception):
                    report_missing(self.engine, member, contents)
                    patient_id = member.name.partition("/")[0]
                    problems.setdefault(patient_id, []).append({"path": member.path, "problem": _problem(contents)})
                    continue
                name = f"{member.name}.zst" if self.is_compressed else member.name
                yield from add_member(archive, contents, name)
                entry = f"{json.dumps(member.path)}: {json.dumps(member.registry_hash)}"
                registry.write(separator + entry.encode())
                separator = b", "
            registry.write(b"}")
            for patient_id, listed in problems.items():
                yield from add_member(archive, json.dumps(listed).encode(), f"{patient_id}/problems/problems.json")
            if self.has_registry:
                registry.seek(0)
                yield from add_member(archive, _in_pieces(registry), "registry")
            yield from archive.finalize()


@dataclass(frozen=True)
class ZipDownload:
    """One download. `record_id` is its row in `data_access_records`, which gets the size and end time at the end."""

    contents: ZipContents
    record_id: int

    def stream(self) -> Iterator[bytes]:
        """The bytes of the zip. If the client disconnects, the generator is closed."""
        sent = 0
        try:
            for piece in gathered(self.contents.pieces()):
                sent += len(piece)
                yield piece
        except BaseException as error:
            self._complete(sent, type(error).__name__)
            raise
        self._complete(sent, None)

    def _complete(self, sent: int, error: str | None) -> None:
        with Session(self.contents.engine) as session:
            end_access(session, self.record_id, sent, error)
            session.commit()


def fetched(
    sealed: SealedStore, found: Iterator[Member], *, is_compressed: bool = False
) -> Iterator[tuple[Member, Contents]]:
    """Members with their contents, in order, or with ObjectMissing or SealBroken; `is_compressed` as zstd frames.

    Threads read ahead: of small members some MB in memory; of large ones, which come in pieces, one in a file.
    """
    waiting: deque[tuple[Member, Future[Contents]]] = deque()
    read = partial(_read, sealed, is_compressed)
    most = 1  # send the first member before reading ahead (DATA-21)
    with ThreadPoolExecutor(FETCHERS) as pool:
        try:
            for member in found:
                waiting.append((member, pool.submit(read, member)))
                while waiting and (len(waiting) >= most or _bytes_ahead(waiting) > MOST_BYTES_AHEAD):
                    yield _next(waiting)
                    most = min(2 * most, MOST_AHEAD)
            while waiting:
                yield _next(waiting)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes with small pieces joined: a file of 300 bytes makes three, and each one sent costs a packet.

    The first is passed on at once. One that waited for half a second is passed on with the next that comes.
    """
    waiting: list[bytes] = []
    size, last_sent = 0, 0.0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= GATHERED_BYTES or monotonic() - last_sent > MOST_GATHERING_SECONDS:
            yield b"".join(waiting)
            waiting.clear()
            size, last_sent = 0, monotonic()
    if waiting:
        yield b"".join(waiting)


def report_missing(engine: sa.Engine, member: Member, error: Exception) -> None:
    """Logs and counts a file that the registry names and the store does not give (DATA-25)."""
    log.error("integrity: %s is in the registry, a download misses it", member.path, exc_info=error)
    add_tallies_at_once(engine, {Counted.INTEGRITY_FAILURES: {Integrity.DOWNLOAD: 1}})


def _next(waiting: deque[tuple[Member, Future[Contents]]]) -> tuple[Member, Contents]:
    member, future = waiting.popleft()
    return member, future.result()


def _bytes_ahead(waiting: Iterable[tuple[Member, Future[Contents]]]) -> int:
    """Bytes read beyond the member that is next; one of unknown size counts as too large."""
    sizes = [member.size_bytes or MOST_BYTES_AHEAD + 1 for member, _ in waiting]
    return sum(sizes[1:])


def _read(store: SealedStore, is_compressed: bool, member: Member) -> Contents:
    """A small member in memory, a large one in a file; read to its end, so that a damaged object breaks no zip."""
    try:
        if member.is_small and not is_compressed:
            return store.read(member.path, member.seal)[0]
        pieces = _pieces(store, is_compressed, member)
        return b"".join(pieces) if member.is_small else _in_pieces(_in_a_file(pieces))
    except (ObjectMissing, SealBroken) as error:
        return error


def _pieces(store: SealedStore, is_compressed: bool, member: Member) -> Iterator[bytes]:
    if is_compressed:
        return store.open_compressed(member.path, member.seal)
    return store.open(member.path, member.seal)[0]


def _in_a_file(pieces: Iterable[bytes]) -> IO[bytes]:
    file = SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115  closed at the end of reading, or when it is not read
    for piece in pieces:
        file.write(piece)
    file.seek(0)
    return file


def add_member(archive: ZipStream, contents: bytes | Iterable[bytes], name: str) -> Iterator[bytes]:
    """Adds a file to the zip and yields the bytes that this makes."""
    archive.add(contents, name)
    yield from archive.file()


def _in_pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(SPOOL_BYTES):
            yield piece


def _problem(error: Exception) -> str:
    return "missing in the store" if isinstance(error, ObjectMissing) else "damaged in the store"
