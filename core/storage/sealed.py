"""The sealed layer: contents of a study's objects, compressed and encrypted on the way in, opened on the way out.

Rows of `stored_objects` are written by the caller, in the transaction that makes the object count (STORE-7): every
write returns the row's values.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from core.config import Settings
from core.crypto.seal import SealBroken, SealContext, is_our_seal, seal, seal_legacy, unseal, unseal_legacy
from core.models.stored_object import SealKind
from core.models.study import Study
from core.storage.errors import ObjectMissing
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
            "path": self.path, "size_bytes": self.size_bytes, "size_stored_bytes": self.size_stored_bytes,
            "sha1": self.sha1, "seal": self.seal.value, **owners,
        }  # fmt: skip


class SealedStore:
    """Objects of one study. Paths are keys without `.zst`; keys outside the study's own are refused (STORE-8)."""

    def __init__(self, store: ObjectStore, study: Study, settings: Settings) -> None:
        self.store = store
        self.study_id = study.object_id
        self.study_key = study.storage_key
        self.level = settings.data_compression_level
        self.seal_kind = SealKind(settings.seal)

    def create(self, path: str, contents: bytes) -> StoredBytes:
        """Seals and writes a new object. Raises ObjectExists, StoreUnavailable."""
        sealed = self._sealed(path, contents)
        return self._stored(path, contents, sealed, self.store.create(path + SUFFIX, sealed))

    def replace(self, path: str, contents: bytes, etag: str) -> StoredBytes:
        """Seals and replaces the object that was read with this ETag. Raises ObjectChanged, StoreUnavailable."""
        sealed = self._sealed(path, contents)
        return self._stored(path, contents, sealed, self.store.replace(path + SUFFIX, sealed, etag))

    def adopt(self, path: str, contents: bytes) -> StoredBytes:
        """The values of an object that was found with these contents and without a row (PHONE-82)."""
        pieces, etag = self.store.read(path + SUFFIX)
        start = next(pieces, b"")
        size = len(start) + sum(map(len, pieces))
        kind = SealKind.OURS if is_our_seal(start) else SealKind.LEGACY
        sha1 = hashlib.sha1(contents, usedforsecurity=False).digest()
        return StoredBytes(path + SUFFIX, len(contents), size, sha1, etag, kind)

    def read(self, path: str, expected_seal: str | None = None) -> tuple[bytes, str | None]:
        """Contents, and the ETag to replace it with (None for an object under the old plain key, STORE-2).

        Raises ObjectMissing, SealBroken, StoreUnavailable. `expected_seal` is what the object's row says: legacy
        bytes where the row says ours are a broken seal (STORE-4).
        """
        pieces, etag = self.open(path, expected_seal)
        return b"".join(pieces), etag

    def open(self, path: str, expected_seal: str | None = None) -> tuple[Iterator[bytes], str | None]:
        """As `read`, with the contents in pieces: memory stays bounded whatever the object's size."""
        context = self._context(path)
        try:
            sealed, etag = self.store.read(path + SUFFIX)
        except ObjectMissing:
            try:
                sealed, _ = self.store.read(path)
                return unseal_legacy(sealed, context, is_compressed=False), None
            except ObjectMissing:  # or compressed between the two looks
                sealed, etag = self.store.read(path + SUFFIX)
        start = next(sealed, b"")
        whole = chain((start,), sealed)
        if is_our_seal(start):
            return unseal(whole, context), etag
        if expected_seal == SealKind.OURS:
            raise SealBroken(f"{path}: its row says it carries our seal, and it does not")
        return unseal_legacy(whole, context, is_compressed=True), etag

    def _sealed(self, path: str, contents: bytes) -> bytes:
        context = self._context(path)
        if self.seal_kind is SealKind.LEGACY:
            return seal_legacy(contents, self.study_key, self.level)
        return b"".join(seal((contents,), context, self.level))

    def _stored(self, path: str, contents: bytes, sealed: bytes, etag: str) -> StoredBytes:
        sha1 = hashlib.sha1(contents, usedforsecurity=False).digest()
        return StoredBytes(path + SUFFIX, len(contents), len(sealed), sha1, etag, self.seal_kind)

    def _context(self, path: str) -> SealContext:
        first, _, rest = path.partition("/")
        owner = rest.partition("/")[0] if first in SHARED_PREFIXES else first
        if owner != self.study_id or "//" in path or path.endswith((SUFFIX, "/")):
            raise ValueError(f"not a path of study {self.study_id}: {path!r}")
        return SealContext(self.study_key, self.study_id, path)
