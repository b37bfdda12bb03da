"""Seals objects of the existing platform anew with our seal, compressed, in place (STORE-2, STORE-4).

For each object: its contents are read; sealed anew, and what was sealed opened again; written under the key with
`.zst`, only where nobody else has written there meanwhile; read back; noted in its row of `stored_objects`; and only
then the old plain key is deleted. An object without a row gets none: that is for the audit to find (OPS-20). Killed
between any two steps, the next run goes on from what it finds. The participant's processing claim is held meanwhile:
no worker meets an object halfway, and nothing comes back that a purge deletes.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby, islice
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.config import Settings
from core.crypto.seal import SealBroken, SealContext, is_our_seal, seal, unseal, unseal_legacy, unseal_whole
from core.locks import LockSpace, lock_key, try_lock, unlocked_after
from core.models import Participant, SealKind, StoredObject
from core.models.study import study_by_object_id
from core.storage.audit import NOT_DATA
from core.storage.errors import ObjectChanged, ObjectExists, ObjectMissing
from core.storage.sealed import SHARED_PREFIXES, SUFFIX, StoredBytes
from core.storage.store import ObjectStore

log = logging.getLogger(__name__)
MOST_BYTES = 256 << 20
PAGE_KEYS = 1_000


class Outcome(StrEnum):
    """The outcome for one key. Those in `TROUBLES` need attention or another run."""

    OURS = "carries our seal"
    RESEALED = "sealed anew"
    WOULD_RESEAL = "would be sealed anew"
    BROKEN = "does not open"
    DIFFERENT = "differs from its compressed copy"
    TOO_LARGE = "too large"
    BUSY = "its participant is being worked on"
    PURGING = "waits for a purge"
    UNKNOWN_STUDY = "of no study"


TROUBLES = frozenset(Outcome) - {Outcome.OURS, Outcome.RESEALED, Outcome.WOULD_RESEAL}


class ResealingRefused(Exception):
    """The settings do not allow it; the message says which."""


class Resealed(NamedTuple):
    """One key, its outcome, and the reason if there is more to say."""

    key: str
    outcome: Outcome
    reason: str = ""


class _TooLarge(Exception):
    """The contents do not fit in the memory that one object may take."""


def reseal(
    engine: sa.Engine,
    store: ObjectStore,
    settings: Settings,
    prefix: str = "",
    after: str = "",
    *,
    is_dry_run: bool = False,
) -> Iterator[Resealed]:
    """Seals anew every object with this prefix after `after`; yields each key with its outcome, in order.

    Raises ResealingRefused, StoreUnavailable and the database's errors. Finished objects stay finished: continue with
    the last yielded key as `after`.
    """
    if settings.seal != "ours":
        raise ResealingRefused("SEAL=legacy: nothing may be written under our seal")
    keys = (key for key in store.keys(prefix, after) if not key.startswith(NOT_DATA))
    while page := list(islice(keys, PAGE_KEYS)):
        for study_id, of_study in groupby(page, key=study_of):
            yield from _reseal_page(engine, store, settings, study_id, list(of_study), is_dry_run)


def prefixes_of(study_id: str) -> list[str]:
    """The prefixes of a study's objects, in the order of keys."""
    return sorted((f"{study_id}/", *(f"{shared}/{study_id}/" for shared in SHARED_PREFIXES)))


def study_of(key: str) -> str:
    """The study's object id in a key of that study."""
    first, _, rest = key.partition("/")
    return rest.partition("/")[0] if first in SHARED_PREFIXES else first


def patient_of(path: str) -> str:
    """The patient id in an object's path, or "" if it has none."""
    parts = path.split("/")
    if parts[0] in SHARED_PREFIXES:
        parts = parts[1:]
    if len(parts) < 3:
        return ""
    return parts[2].rpartition("_")[0] if parts[1] == "keys" else parts[1]


def _reseal_page(
    engine: sa.Engine, store: ObjectStore, settings: Settings, study_id: str, keys: list[str], is_dry_run: bool
) -> Iterator[Resealed]:
    """Keys of one study; two queries for what the rows say of all of them."""
    with Session(engine, expire_on_commit=False) as session:
        study = study_by_object_id(session, study_id)
        if study is None:
            yield from (Resealed(key, Outcome.UNKNOWN_STUDY) for key in keys)
            return
        study_key = study.storage_key  # read while the session is there
        paths = [key.removesuffix(SUFFIX) + SUFFIX for key in keys]
        rows = session.execute(sa.select(StoredObject.path, StoredObject.seal).where(StoredObject.path.in_(paths)))
        seals = {row.path: row.seal for row in rows}
        patients = sa.select(Participant.patient_id, Participant.id).where(
            Participant.study_id == study.id, Participant.patient_id.in_({patient_of(key) for key in keys})
        )
        ids = {row.patient_id: row.id for row in session.execute(patients)}
    for key in keys:
        if seals.get(key) == SealKind.OURS:
            yield Resealed(key, Outcome.OURS)
            continue
        path = key.removesuffix(SUFFIX)
        with _claimed(engine, ids.get(patient_of(path))) as claim:
            if isinstance(claim, Outcome):
                yield Resealed(key, claim)
                continue
            work = _Work(claim, store, SealContext(study_key, study_id, path), seals.get(path + SUFFIX))
            yield work.done(key, settings.data_compression_level, is_dry_run)


@contextmanager
def _claimed(engine: sa.Engine, participant_id: int | None) -> Iterator[Session | Outcome]:
    """A session with the participant's processing claim, or why there is none. Other objects need no claim."""
    with ExitStack() as stack:
        connection = stack.enter_context(engine.connect())
        if participant_id is not None:
            key = lock_key(LockSpace.PARTICIPANT, participant_id)
            try:
                is_ours = try_lock(connection, key)
                connection.commit()
            except BaseException:
                connection.invalidate()  # it may hold a lock that nobody would give back
                raise
            if not is_ours:
                yield Outcome.BUSY
                return
            stack.enter_context(unlocked_after(connection, key))
        session = stack.enter_context(Session(connection, expire_on_commit=False))
        who = session.get(Participant, participant_id) if participant_id is not None else None
        session.commit()
        yield Outcome.PURGING if who is not None and who.is_locked_out else session


@dataclass(frozen=True)
class _Work:
    """One object; `expected_seal` is what its row says, None where it has none."""

    session: Session
    store: ObjectStore
    context: SealContext
    expected_seal: str | None

    def done(self, key: str, level: int, is_dry_run: bool) -> Resealed:
        """Seals the object anew and returns its outcome."""
        try:
            return self._reseal(key, level, is_dry_run)
        except SealBroken as error:
            log.error("integrity: an object cannot be sealed anew: %s", error)
            return Resealed(key, Outcome.BROKEN, str(error))
        except _TooLarge:
            return Resealed(key, Outcome.TOO_LARGE, f"more than {MOST_BYTES >> 20} MiB")
        except (ObjectMissing, ObjectChanged, ObjectExists):
            return Resealed(key, Outcome.BUSY, "changed meanwhile")

    def _reseal(self, key: str, level: int, is_dry_run: bool) -> Resealed:
        is_plain = key == self.context.path
        contents = self._plain_contents() if is_plain else None
        found = self._compressed()
        if found is None and contents is None:
            raise ObjectMissing(key)
        if self.expected_seal == SealKind.OURS and (found is None or found[1].seal is SealKind.LEGACY):
            raise SealBroken(f"{key}: its row says it carries our seal, and it does not")
        if found and is_plain and found[0] != contents:
            return Resealed(key, Outcome.DIFFERENT, "the compressed one counts; the plain one is left alone")
        if found and found[1].seal is SealKind.OURS and not is_plain and self.expected_seal is None:
            return Resealed(key, Outcome.OURS, "it has no row")
        if is_dry_run:
            return Resealed(key, Outcome.WOULD_RESEAL)
        if found is None:
            assert contents is not None
            stored = self._written(contents, level, etag=None)
        elif found[1].seal is SealKind.LEGACY:
            stored = self._written(found[0], level, etag=found[1].etag)
        else:  # an earlier run was killed before it noted this
            stored = found[1]
        self._note(stored)
        if is_plain:
            self.store.delete(key)
        return Resealed(key, Outcome.RESEALED)

    def _plain_contents(self) -> bytes:
        sealed = _bounded(self.store.read(self.context.path)[0])
        if is_our_seal(sealed):
            raise SealBroken(f"{self.context.path}: carries our seal under a key that is not ours")
        return _bounded(unseal_legacy((sealed,), self.context, is_compressed=False))

    def _compressed(self) -> tuple[bytes, StoredBytes] | None:
        """Contents, and the values of the row, of the object under the compressed key; None where there is none."""
        try:
            pieces, etag = self.store.read(self.context.path + SUFFIX)
        except ObjectMissing:
            return None
        sealed = _bounded(pieces)
        is_ours = is_our_seal(sealed)
        if is_ours:
            contents = _bounded(unseal((sealed,), self.context))
        else:
            contents = _bounded(unseal_legacy((sealed,), self.context, is_compressed=True))
        kind = SealKind.OURS if is_ours else SealKind.LEGACY
        return contents, self._stored(contents, len(sealed), etag, kind)

    def _written(self, contents: bytes, level: int, etag: str | None) -> StoredBytes:
        """Seals and writes, and reads back what was written. `etag` is that of the object to replace."""
        key = self.context.path + SUFFIX
        sealed = seal(contents, self.context, level)
        if unseal_whole(sealed, self.context) != contents:
            raise SealBroken(f"{key}: what was sealed does not open to what it was; is this machine's memory sound?")
        etag = self.store.create(key, sealed) if etag is None else self.store.replace(key, sealed, etag)
        if b"".join(self.store.read(key)[0]) != sealed:
            raise SealBroken(f"{key}: the store gives back something else than was written")
        return self._stored(contents, len(sealed), etag, SealKind.OURS)

    def _stored(self, contents: bytes, size_stored: int, etag: str, kind: SealKind) -> StoredBytes:
        sha1 = hashlib.sha1(contents, usedforsecurity=False).digest()
        return StoredBytes(self.context.path + SUFFIX, len(contents), size_stored, sha1, etag, kind)

    def _note(self, stored: StoredBytes) -> None:
        """Brings the object's row in step (STORE-7)."""
        row = {**stored.row(), "updated_at": datetime.now(UTC)}
        self.session.execute(sa.update(StoredObject).where(StoredObject.path == row.pop("path")).values(row))
        self.session.commit()


def _bounded(pieces: Iterable[bytes]) -> bytes:
    """All pieces together. Raises _TooLarge."""
    contents = bytearray()
    for piece in pieces:
        contents += piece
        if len(contents) > MOST_BYTES:
            raise _TooLarge
    return bytes(contents)
