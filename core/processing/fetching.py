"""Reads raw files from the store, several at once."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from core.chunks.model import RawFile
from core.crypto.seal import SealBroken
from core.storage import ObjectMissing, SealedStore
from core.streams import Platform

log = logging.getLogger(__name__)


class StoredFile(NamedTuple):
    """A raw file in the store: its path without `.zst`, bytes of plaintext as far as known, the platform at upload.

    `seal` and `sha1` are what its object's row says, None where there is no row (STORE-4, STORE-7). `queue_id` is that
    of its row in the queue, where it comes from there, as `received_at` and `app_version` do.
    """

    path: str
    size_bytes: int
    os_type: str | None
    seal: str | None
    sha1: bytes | None = None
    queue_id: int | None = None
    received_at: datetime | None = None
    app_version: str = ""


@dataclass(frozen=True)
class Fetched:
    """Files that were read; paths that are missing; paths whose objects do not open, with the reason."""

    files: list[RawFile]
    missing: list[str]
    broken: dict[str, str]


def fetch(
    in_parallel: Callable[..., Iterable[bytes | Exception]],
    store: SealedStore,
    files: Sequence[StoredFile],
    folder: str,
) -> Fetched:
    """The contents of files, with paths below the participant's folder. Raises StoreUnavailable."""

    def read(file: StoredFile) -> bytes | Exception:
        try:
            return store.read(file.path, file.seal)[0]
        except (ObjectMissing, SealBroken) as error:
            return error

    fetched = Fetched([], [], {})
    for file, contents in zip(files, in_parallel(read, files), strict=True):
        if isinstance(contents, bytes):
            platform = Platform(file.os_type) if file.os_type else None
            fetched.files.append(RawFile(file.path.removeprefix(folder), contents, platform))
            continue
        log.error("integrity: a raw file cannot be read: %s", contents)
        if isinstance(contents, ObjectMissing):
            fetched.missing.append(file.path)
        else:
            fetched.broken[file.path] = str(contents)
    return fetched
