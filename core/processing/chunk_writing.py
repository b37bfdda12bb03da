"""Merging new rows into a chunk in the store (PROC-32, STORE-11)."""

import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from core.chunks.merge import UnreadableChunk, merge_chunk
from core.chunks.model import ChunkKey, NewRows
from core.crypto.seal import SealBroken
from core.storage import ObjectChanged, ObjectExists, ObjectMissing, SealedStore, StoredBytes
from core.streams import Platform, chunk_path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownChunk:
    """A chunk as the database knows it: whether it is registered, its object's SHA-1 and seal if known."""

    is_registered: bool
    sha1: bytes | None
    seal: str | None


NOT_KNOWN = KnownChunk(is_registered=False, sha1=None, seal=None)


@dataclass(frozen=True)
class WrittenChunk:
    """A chunk after merging. `stored` is None if neither its object nor that object's row had to change."""

    key: ChunkKey
    path: str
    size_bytes: int
    md5: bytes
    sha1: bytes
    stored: StoredBytes | None


@dataclass(frozen=True)
class ChunkTrouble:
    """A chunk that could not be merged; the files that feed it stay queued."""

    key: ChunkKey
    reason: str


@dataclass(frozen=True)
class ChunkWriter:
    """Writes chunks of one participant, whose current platform decides their headers (PROC-36)."""

    store: SealedStore
    patient_id: str
    platform: Platform
    known: dict[ChunkKey, KnownChunk]

    def path(self, key: ChunkKey) -> str:
        return chunk_path(self.store.study_id, self.patient_id, key.stream, key.time_bin, key.survey_id)

    def write(self, key: ChunkKey, rows: NewRows) -> WrittenChunk | ChunkTrouble:
        """Merges and, when the contents change, writes. Raises ObjectChanged when another worker was faster."""
        path, known = self.path(key), self.known.get(key, NOT_KNOWN)
        if known == NOT_KNOWN and not self.store.has_plain_keys:
            with suppress(ObjectExists):  # from a run that died before its rows were committed
                contents = merge_chunk(key, self.platform, rows, None)
                return _written(key, path, contents, self.store.create(path, contents), known)
        return self._write_over(key, path, known, rows)

    def rewrite(self, key: ChunkKey, change: Callable[[bytes], bytes]) -> WrittenChunk:
        """Writes what `change` makes of the chunk's contents. Raises ObjectMissing, ObjectChanged and SealBroken."""
        path, known = self.path(key), self.known.get(key, NOT_KNOWN)
        existing, etag = self.store.read(path, known.seal)
        contents = change(existing)
        return _written(key, path, contents, self._put(path, contents, existing, etag, known), known)

    def _write_over(self, key: ChunkKey, path: str, known: KnownChunk, rows: NewRows) -> WrittenChunk | ChunkTrouble:
        existing: bytes | None
        try:
            existing, etag = self.store.read(path, known.seal)
        except ObjectMissing:
            if known.is_registered:
                return self._trouble(key, f"{path}: in the registry, missing in the store")
            existing, etag = None, None
        except SealBroken as error:
            return self._trouble(key, str(error))
        try:
            contents = merge_chunk(key, self.platform, rows, existing)
        except UnreadableChunk as error:
            return self._trouble(key, f"{path}: {error}")
        return _written(key, path, contents, self._put(path, contents, existing, etag, known), known)

    def _put(
        self, path: str, contents: bytes, existing: bytes | None, etag: str | None, known: KnownChunk
    ) -> StoredBytes | None:
        if contents == existing and etag is not None:
            is_row_right = known.sha1 == hashlib.sha1(contents, usedforsecurity=False).digest()
            return None if is_row_right else self.store.adopt(path, contents)
        if etag is not None:
            return self.store.replace(path, contents, etag)
        try:  # a new chunk, or one under the old plain key, which is not read any more after this
            return self.store.create(path, contents)
        except ObjectExists:
            raise ObjectChanged(path) from None

    def _trouble(self, key: ChunkKey, reason: str) -> ChunkTrouble:
        log.error("integrity: chunk cannot be merged: %s", reason)
        return ChunkTrouble(key, reason)


def _written(key: ChunkKey, path: str, contents: bytes, stored: StoredBytes | None, known: KnownChunk) -> WrittenChunk:
    md5 = hashlib.md5(contents, usedforsecurity=False).digest()
    sha1 = stored.sha1 if stored else known.sha1
    assert sha1 is not None
    return WrittenChunk(key, path, len(contents), md5, sha1, stored)
