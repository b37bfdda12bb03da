"""Compares a rebuilt chunk with the one in the store, and corrects the latter (STORE-11)."""

import hashlib
import logging
from dataclasses import dataclass
from enum import StrEnum

from core.chunks.merge import UnreadableChunk, merge_chunk
from core.chunks.model import ChunkKey, NewRows
from core.crypto.seal import SealBroken
from core.processing.chunk_writing import KnownChunk, WrittenChunk
from core.storage import ObjectChanged, ObjectExists, ObjectMissing, SealedStore, StoredBytes
from core.streams import Platform, chunk_path

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """The result for a chunk; in a dry run, the result that it would have."""

    EQUAL = "equal"
    CHANGED = "changed"
    NEW = "new"
    KEPT = "kept with rows of unknown source"
    BROKEN = "left alone, cannot be read"
    UNBACKED = "no longer backed by raw files"


@dataclass(frozen=True)
class Compared:
    """A chunk after comparison. `sourceless_rows` are in the stored chunk and in no raw file; sizes in bytes.

    `written` is what rows have to say of it, None where they are right already or nothing may change.
    """

    key: ChunkKey
    path: str
    outcome: Outcome
    sourceless_rows: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    written: WrittenChunk | None = None
    reason: str = ""


@dataclass(frozen=True)
class Registered:
    """Hash and size of a chunk in the registry."""

    md5: bytes | None
    size_bytes: int | None


@dataclass(frozen=True)
class ChunkComparer:
    """Compares chunks of one participant. `known` and `registry` say what the rows hold, by chunk and by path."""

    store: SealedStore
    patient_id: str
    platform: Platform
    known: dict[ChunkKey, KnownChunk]
    registry: dict[str, Registered]
    drops_rows: bool
    is_dry_run: bool

    def compare(self, key: ChunkKey, rebuilt: bytes) -> Compared:
        """Compares, and replaces what differs where it is still what was read.

        A stored chunk into which all rebuilt rows merge without a change is right, whatever its header, which is that
        of the platform at the time (PROC-36). Rows that no raw file has stay, unless `drops_rows`. Raises
        ObjectChanged where another was faster, and StoreUnavailable.
        """
        path = chunk_path(self.store.study_id, self.patient_id, key.stream, key.time_bin, key.survey_id)
        known = self.known[key]
        try:
            existing, etag = self.store.read(path, known.seal)
        except ObjectMissing:
            reason = "was in the registry, and missing in the store" if known.is_registered else ""
            written = self._in_step(path, key, None, rebuilt, None)
            return Compared(key, path, Outcome.NEW, 0, 0, len(rebuilt), written, reason)
        except SealBroken as error:
            return self._broken(key, path, str(error))
        try:
            merged = existing if existing == rebuilt else merge_chunk(key, self.platform, _new_rows(rebuilt), existing)
        except UnreadableChunk as error:
            if not self.drops_rows:
                return self._broken(key, path, str(error))
            merged = existing
        sourceless = _rows_only_in(merged, rebuilt)
        if sourceless and self.drops_rows:
            contents, outcome = rebuilt, Outcome.CHANGED
        elif _body(merged) == _body(existing):
            contents, outcome = existing, Outcome.KEPT if sourceless else Outcome.EQUAL
        else:
            contents, outcome = (merged, Outcome.KEPT) if sourceless else (rebuilt, Outcome.CHANGED)
        written = self._in_step(path, key, existing, contents, etag)
        return Compared(key, path, outcome, sourceless, len(existing), len(contents), written)

    def _in_step(
        self, path: str, key: ChunkKey, existing: bytes | None, contents: bytes, etag: str | None
    ) -> WrittenChunk | None:
        """Writes contents that differ; gives what the rows have to be, None where they are."""
        if self.is_dry_run:
            return None
        known = self.known[key]
        md5 = hashlib.md5(contents, usedforsecurity=False).digest()
        sha1 = hashlib.sha1(contents, usedforsecurity=False).digest()
        stored: StoredBytes | None = None
        if contents != existing:
            stored = self._put(path, contents, etag)
        elif known.sha1 != sha1:  # of an import, or a run that ended before its rows were written
            stored = self.store.adopt(path, contents) if etag else self._put(path, contents, None)
        if stored is None and self.registry.get(path) == Registered(md5, len(contents)):
            return None
        return WrittenChunk(key, path, len(contents), md5, sha1, stored)

    def _put(self, path: str, contents: bytes, etag: str | None) -> StoredBytes:
        if etag is not None:
            return self.store.replace(path, contents, etag)
        try:  # a new chunk, or one under the old plain key, which from now on is read no more
            return self.store.create(path, contents)
        except ObjectExists:
            raise ObjectChanged(path) from None

    def _broken(self, key: ChunkKey, path: str, reason: str) -> Compared:
        log.error("integrity: chunk cannot be compared: %s: %s", path, reason)
        return Compared(key, path, Outcome.BROKEN, reason=reason)


def _body(contents: bytes) -> bytes:
    return contents.partition(b"\n")[2]


def _rows_only_in(contents: bytes, others: bytes) -> int:
    """The number of rows in `contents` that are not in `others`."""
    if _body(contents) == _body(others):
        return 0
    return len(set(_body(contents).split(b"\n")) - set(_body(others).split(b"\n")) - {b""})


def _new_rows(contents: bytes) -> NewRows:
    return NewRows(_body(contents) + b"\n")
