"""The sealed layer: contents of a study's objects, compressed and encrypted on the way in, opened on the way out.

Rows of `stored_objects` are written by the caller, in the transaction that makes the object count (STORE-7): every
write returns the row's values.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import zstandard

from core.config import Settings
from core.crypto.seal import (
    SealBroken,
    SealContext,
    is_our_seal,
    seal,
    seal_legacy,
    unseal,
    unseal_frame,
    unseal_legacy,
    unseal_whole,
)
from core.models.stored_object import SealKind
from core.models.study import Study
from core.storage.errors import ObjectExists, ObjectMissing
from core.storage.store import ObjectStore

SUFFIX = ".zst"
SHARED_PREFIXES = ("CHUNKED_DATA", "PROBLEM_UPLOADS")


@dataclass(frozen=True)
class StoredBytes:
    """What a write made: key with `.zst`, sizes in bytes, SHA-1 of the contents, ETag."""

    path: str
    size_bytes: int
    size_stored_bytes: int
    sha1: bytes
    etag: str
    seal: SealKind

    def row(self, **owners: int | None) -> dict[str, Any]:
        """The values of its `stored_objects` row; `owners` are study_id and participant_id."""
        return {
            "path": self.path,
            "size_bytes": self.size_bytes,
            "size_stored_bytes": self.size_stored_bytes,
            "sha1": self.sha1,
            "seal": self.seal.value,
            **owners,
        }


def compressed(pieces: Iterable[bytes], level: int) -> Iterator[bytes]:
    """The bytes as one zstd frame, piece by piece."""
    stream = zstandard.ZstdCompressor(level=level).compressobj()
    for piece in pieces:
        if done := stream.compress(piece):
            yield done
    yield stream.flush()


class SealedStore:
    """Objects of one study. Paths are keys without `.zst`; keys outside the study's own are refused (STORE-8)."""

    def __init__(self, store: ObjectStore, study: Study, settings: Settings) -> None:
        self.store = store
        self.study_id = study.object_id
        self.study_key = study.storage_key
        self.level = settings.data_compression_level
        self.seal_kind = SealKind(settings.seal)
        self.has_plain_keys = study.imported_at is not None

    def create(self, path: str, contents: bytes) -> StoredBytes:
        """Seals and writes a new object. Raises ObjectExists, StoreUnavailable."""
        sealed = self._sealed(path, contents)
        return self._stored(path, contents, sealed, self.store.create(path + SUFFIX, sealed))

    def create_raw(self, path: str, contents: bytes) -> StoredBytes:
        """Creates the object of an upload. In an imported study the old plain key counts as taken, too (STORE-10)."""
        if self.has_plain_keys and self._is_there(path):
            raise ObjectExists(path)
        return self.create(path, contents)

    def replace(self, path: str, contents: bytes, etag: str) -> StoredBytes:
        """Seals and replaces the object that was read with this ETag. Raises ObjectChanged, StoreUnavailable."""
        sealed = self._sealed(path, contents)
        return self._stored(path, contents, sealed, self.store.replace(path + SUFFIX, sealed, etag))

    def adopt(self, path: str, contents: bytes) -> StoredBytes:
        """The values of an object that was found with these contents and without a row (PHONE-82)."""
        key = path + SUFFIX
        if self.has_plain_keys and not self._is_there(key):
            key = path
        pieces, etag = self.store.read(key)
        start = next(pieces, b"")
        size = len(start) + sum(map(len, pieces))
        kind = SealKind.OURS if is_our_seal(start) else SealKind.LEGACY
        sha1 = hashlib.sha1(contents, usedforsecurity=False).digest()
        return StoredBytes(key, len(contents), size, sha1, etag, kind)

    def read(self, path: str, expected_seal: str | None = None) -> tuple[bytes, str | None]:
        """Contents, and the ETag to replace it with (None for an object under the old plain key, STORE-2).

        Raises ObjectMissing, SealBroken, StoreUnavailable. `expected_seal` is what the object's row says: legacy
        bytes where the row says ours are a broken seal (STORE-4).
        """
        sealed, etag, is_plain_key = self._fetched(path)
        whole = b"".join(sealed)
        if not is_plain_key and is_our_seal(whole):
            return unseal_whole(whole, self._context(path)), etag
        return b"".join(self._unsealed(iter((whole,)), path, expected_seal, is_plain_key=is_plain_key)), etag

    def open(self, path: str, expected_seal: str | None = None) -> tuple[Iterator[bytes], str | None]:
        """Like `read`, but yields the contents in pieces, so that memory stays bounded whatever the object's size."""
        sealed, etag, is_plain_key = self._fetched(path)
        return self._unsealed(sealed, path, expected_seal, is_plain_key=is_plain_key), etag

    def open_compressed(self, path: str, expected_seal: str | None = None) -> Iterator[bytes]:
        """The contents as a zstd stream, in pieces: for our own objects the stored frame itself, which costs no time.

        Objects of the existing platform are compressed anew: only zstd shows whether their key is right. Raises
        ObjectMissing, SealBroken, StoreUnavailable.
        """
        sealed, _, is_plain_key = self._fetched(path)
        start = next(sealed, b"")
        whole = chain((start,), sealed)
        if not is_plain_key and is_our_seal(start):
            return unseal_frame(whole, self._context(path))
        return compressed(self._unsealed(whole, path, expected_seal, is_plain_key=is_plain_key), self.level)

    def _fetched(self, path: str) -> tuple[Iterator[bytes], str | None, bool]:
        """The object as stored, its ETag, and whether it stands under the old plain key (STORE-2)."""
        self._context(path)
        try:
            return *self.store.read(path + SUFFIX), False
        except ObjectMissing:
            if not self.has_plain_keys:
                raise
        try:
            return self.store.read(path)[0], None, True
        except ObjectMissing:  # or compressed between the two looks
            return *self.store.read(path + SUFFIX), False

    def _unsealed(
        self, sealed: Iterator[bytes], path: str, expected_seal: str | None, *, is_plain_key: bool
    ) -> Iterator[bytes]:
        context = self._context(path)
        if is_plain_key:
            return unseal_legacy(sealed, context, is_compressed=False)
        start = next(sealed, b"")
        whole = chain((start,), sealed)
        if is_our_seal(start):
            return unseal(whole, context)
        if expected_seal == SealKind.OURS:
            raise SealBroken(f"{path}: its row says it carries our seal, and it does not")
        return unseal_legacy(whole, context, is_compressed=True)

    def _is_there(self, key: str) -> bool:
        try:
            next(self.store.read(key)[0], None)
        except ObjectMissing:
            return False
        return True

    def _sealed(self, path: str, contents: bytes) -> bytes:
        context = self._context(path)
        if self.seal_kind is SealKind.LEGACY:
            return seal_legacy(contents, self.study_key, self.level)
        return seal(contents, context, self.level)

    def _stored(self, path: str, contents: bytes, sealed: bytes, etag: str) -> StoredBytes:
        sha1 = hashlib.sha1(contents, usedforsecurity=False).digest()
        return StoredBytes(path + SUFFIX, len(contents), len(sealed), sha1, etag, self.seal_kind)

    def _context(self, path: str) -> SealContext:
        first, _, rest = path.partition("/")
        owner = rest.partition("/")[0] if first in SHARED_PREFIXES else first
        if owner != self.study_id or "//" in path or path.endswith((SUFFIX, "/")):
            raise ValueError(f"not a path of study {self.study_id}: {path!r}")
        return SealContext(self.study_key, self.study_id, path)
