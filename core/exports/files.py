"""The file of an export in the store: sealed parts of equal size, written while it is built (STORE-3, CLAR-74)."""

import hashlib
from collections.abc import Iterator
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Export, StoredObject
from core.storage import ObjectStore, SealedStore

PART_BYTES = 16 << 20
BATCH_OBJECTS = 250


def export_prefix(study_object_id: str, export: Export) -> str:
    """The prefix of the keys of an export's objects."""
    return f"{study_object_id}/exports/{export.object_name}/"


class PartWriter:
    """Cuts a stream of bytes into parts, and stores each, sealed. Holds one part in memory."""

    def __init__(self, engine: sa.Engine, sealed: SealedStore, study_number: int, prefix: str) -> None:
        self.engine, self.sealed, self.study_number, self.prefix = engine, sealed, study_number, prefix
        self.part_bytes = PART_BYTES
        self.size_bytes = self.parts = 0
        self._hash = hashlib.sha256()
        self._waiting = bytearray()

    def write(self, piece: bytes) -> None:
        """Takes the next bytes. Raises StoreUnavailable."""
        self._hash.update(piece)
        self.size_bytes += len(piece)
        self._waiting += piece
        while len(self._waiting) >= self.part_bytes:
            self._store(bytes(self._waiting[: self.part_bytes]))
            del self._waiting[: self.part_bytes]

    def end(self) -> bytes:
        """Stores what is left, and returns the SHA-256 of the whole."""
        if self._waiting or not self.parts:
            self._store(bytes(self._waiting))
            self._waiting.clear()
        return self._hash.digest()

    def _store(self, part: bytes) -> None:
        stored = self.sealed.create(part_path(self.prefix, self.parts), part)
        with Session(self.engine) as session:
            session.execute(sa.insert(StoredObject).values(stored.row(study_id=self.study_number, participant_id=None)))
            session.commit()
        self.parts += 1


def part_path(prefix: str, number: int) -> str:
    """The path of a part, without `.zst`."""
    return f"{prefix}{number:06}"


def read_file(sealed: SealedStore, prefix: str, part_bytes: int, start: int, end: int) -> Iterator[bytes]:
    """The bytes from `start` up to `end`, which is not included, part by part.

    Raises ObjectMissing, SealBroken, StoreUnavailable before the first byte of a part.
    """
    while start < end:
        number, skipped = divmod(start, part_bytes)
        part, _ = sealed.read(part_path(prefix, number))
        piece = part[skipped : skipped + end - start]
        if not piece:
            raise EOFError(f"{part_path(prefix, number)} is shorter than it was")
        yield piece
        start += len(piece)


def delete_file(session: Session, store: ObjectStore, study_object_id: str, export: Export) -> int:
    """Deletes all objects of an export, with all versions, and their rows; commits. Returns how many were live.

    Can be repeated after a failure. Raises StoreUnavailable.
    """
    prefix, deleted = export_prefix(study_object_id, export), 0
    remaining = store.versions(prefix)
    while page := list(islice(remaining, BATCH_OBJECTS)):
        store.delete_versions(page)
        deleted += sum(version.is_live for version in page)
    path = StoredObject.path
    session.execute(sa.delete(StoredObject).where(path >= prefix, path < prefix[:-1] + chr(ord("/") + 1)))
    session.execute(sa.update(Export).where(Export.id == export.id).values(has_objects=False))
    session.commit()
    return deleted
