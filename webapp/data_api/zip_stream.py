"""The zip file of a get-data request, made while it is sent, so that memory does not grow with its size (DATA-21)."""

import json
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import IO

import sqlalchemy as sa
from sqlalchemy.orm import Session
from zipstream import ZIP_STORED, ZipStream

from core.audit.access_log import end_access
from core.config import Settings
from core.crypto.seal import SealBroken
from core.downloads.members import Member, members
from core.downloads.query import DataQuery
from core.models import Study
from core.operations.tallies import Counted, Integrity, add_tallies_at_once
from core.storage import ObjectMissing, ObjectStore, SealedStore

FETCHERS = 4
MOST_AHEAD = 16
MOST_BYTES_AHEAD = 4 << 20
SPOOL_BYTES = 1 << 20  # of one file in memory; larger ones go to disk
log = logging.getLogger(__name__)


Contents = bytes | Iterable[bytes] | Exception


@dataclass(frozen=True)
class ZipDownload:
    """One download. `record_id` is its row in `data_access_records`, which gets the size and end time at the end.

    With `is_compressed` each file is compressed with zstd, and its name ends with `.zst` (`/get-data/v2`).
    """

    engine: sa.Engine
    store: ObjectStore
    settings: Settings
    study: Study
    participants: Sequence[tuple[int, str]]
    query: DataQuery
    record_id: int
    has_registry: bool
    is_compressed: bool = False
    sealed: SealedStore = field(init=False)

    def __post_init__(self) -> None:
        """Reads the study's key now: the stream goes on after the request's database session is closed."""
        object.__setattr__(self, "sealed", SealedStore(self.store, self.study, self.settings))

    def stream(self) -> Iterator[bytes]:
        """The bytes of the zip: its members, what was missing of a participant as `problems.json`, then `registry`.

        If the client disconnects, the generator is closed, which stops the threads and returns the connection.
        """
        sent = 0
        try:
            for piece in self._pieces():
                sent += len(piece)
                yield piece
        except BaseException as error:
            self._complete(sent, type(error).__name__)
            raise
        self._complete(sent, None)

    def _pieces(self) -> Iterator[bytes]:
        archive = ZipStream(compress_type=ZIP_STORED)
        problems: dict[str, list[dict[str, str]]] = {}  # below a patient's folder, else mano fails (CLAR-70)
        with (
            Session(self.engine, expire_on_commit=False) as session,
            SpooledTemporaryFile(SPOOL_BYTES) as registry,
        ):
            registry.write(b"{")
            separator = b""
            found = members(session, self.study, self.participants, self.query)
            for member, contents in self._fetched(found):
                if isinstance(contents, Exception):
                    log.error("integrity: %s is in the registry, a download misses it", member.path, exc_info=contents)
                    add_tallies_at_once(self.engine, {Counted.INTEGRITY_FAILURES: {Integrity.DOWNLOAD: 1}})
                    patient_id = member.name.partition("/")[0]
                    problems.setdefault(patient_id, []).append({"path": member.path, "problem": _problem(contents)})
                    continue
                yield from _member(archive, contents, f"{member.name}.zst" if self.is_compressed else member.name)
                entry = f"{json.dumps(member.path)}: {json.dumps(member.registry_hash)}"
                registry.write(separator + entry.encode())
                separator = b", "
            registry.write(b"}")
            for patient_id, listed in problems.items():
                yield from _member(archive, json.dumps(listed).encode(), f"{patient_id}/problems/problems.json")
            if self.has_registry:
                registry.seek(0)
                yield from _member(archive, _in_pieces(registry), "registry")
            yield from archive.finalize()

    def _fetched(self, found: Iterator[Member]) -> Iterator[tuple[Member, Contents]]:
        """Members with their contents, in order. Threads read small members ahead; large ones are read when needed."""
        waiting: deque[tuple[Member, Future[Contents] | None]] = deque()
        most = 1  # send the first member before reading ahead (DATA-21)
        with ThreadPoolExecutor(FETCHERS) as pool:
            try:
                for member in found:
                    waiting.append((member, pool.submit(self._read, member) if member.is_small else None))
                    while waiting and (len(waiting) >= most or _bytes_ahead(waiting) > MOST_BYTES_AHEAD):
                        yield self._next(waiting)
                        most = min(2 * most, MOST_AHEAD)
                while waiting:
                    yield self._next(waiting)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _next(self, waiting: deque[tuple[Member, Future[Contents] | None]]) -> tuple[Member, Contents]:
        member, future = waiting.popleft()
        return member, future.result() if future else self._open(member)

    def _read(self, member: Member) -> Contents:
        """A small member in memory."""
        try:
            if self.is_compressed:
                return b"".join(self.sealed.open_compressed(member.path, member.seal))
            return self.sealed.read(member.path, member.seal)[0]
        except (ObjectMissing, SealBroken) as error:
            return error

    def _open(self, member: Member) -> Contents:
        """Reads a large member to its end before the zip takes it: a damaged object must not break the zip."""
        file = SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115  closed at the end of reading
        try:
            if self.is_compressed:
                pieces = self.sealed.open_compressed(member.path, member.seal)
            else:
                pieces = self.sealed.open(member.path, member.seal)[0]
            for piece in pieces:
                file.write(piece)
        except (ObjectMissing, SealBroken) as error:
            file.close()
            return error
        file.seek(0)
        return _in_pieces(file)

    def _complete(self, sent: int, error: str | None) -> None:
        with Session(self.engine) as session:
            end_access(session, self.record_id, sent, error)
            session.commit()


def _bytes_ahead(waiting: Iterable[tuple[Member, Future[Contents] | None]]) -> int:
    return sum(member.size_bytes or 0 for member, future in waiting if future)


def _member(archive: ZipStream, contents: bytes | Iterable[bytes], name: str) -> Iterator[bytes]:
    archive.add(contents, name)
    yield from archive.file()


def _in_pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(SPOOL_BYTES):
            yield piece


def _problem(error: Exception) -> str:
    return "missing in the store" if isinstance(error, ObjectMissing) else "damaged in the store"
