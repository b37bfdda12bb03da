"""Raw files out of the store, several at once."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.bulk import is_one_of
from core.chunks.model import RawFile
from core.crypto.seal import SealBroken
from core.models import QueuedUpload, StoredObject
from core.storage import ObjectMissing, SealedStore
from core.storage.sealed import SUFFIX
from core.streams import Platform

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fetched:
    """Files that were read; paths that are missing; paths whose objects do not open, with the reason."""

    files: list[RawFile]
    missing: list[str]
    broken: dict[str, str]


def seals_of(session: Session, paths: Sequence[str]) -> dict[str, str]:
    """The seal that each object's row says it carries, by path without `.zst` (STORE-4)."""
    named = is_one_of(StoredObject.path, [path + SUFFIX for path in paths])
    query = sa.select(StoredObject.path, StoredObject.seal).where(named)
    return {row.path.removesuffix(SUFFIX): row.seal for row in session.execute(query)}


def fetch(
    in_parallel: Callable[..., Iterable[bytes | Exception]],
    store: SealedStore,
    queued: Sequence[QueuedUpload],
    seals: dict[str, str],
    folder: str,
) -> Fetched:
    """The contents of queued files, with paths below the participant's folder. Raises StoreUnavailable."""

    def read(q: QueuedUpload) -> bytes | Exception:
        try:
            return store.read(q.path, seals.get(q.path))[0]
        except (ObjectMissing, SealBroken) as error:
            return error

    fetched = Fetched([], [], {})
    for q, contents in zip(queued, in_parallel(read, queued), strict=True):
        if isinstance(contents, bytes):
            platform = Platform(q.os_type) if q.os_type else None
            fetched.files.append(RawFile(q.path.removeprefix(folder), contents, platform))
            continue
        log.error("integrity: a queued file cannot be read: %s", contents)
        if isinstance(contents, ObjectMissing):
            fetched.missing.append(q.path)
        else:
            fetched.broken[q.path] = str(contents)
    return fetched
