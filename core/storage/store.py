"""The interface of an object store, and which one the settings ask for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.config import Settings
from core.private_files import make_private_folder
from core.storage.errors import StoreUnavailable


@dataclass(frozen=True)
class ObjectVersion:
    """One version of an object, or the mark of its deletion. `version_id` is None in a store that keeps no versions.

    `is_live` says that it is what a read gives. With an `upload_id` it is parts of an object that were never joined.
    """

    key: str
    version_id: str | None
    is_live: bool
    upload_id: str | None = None


class ObjectStore(Protocol):
    """Bytes under keys. Keys are slash-separated; an ETag is an opaque text that changes with the contents.

    Every method may raise StoreUnavailable.
    """

    def read(self, key: str) -> tuple[Iterator[bytes], str]:
        """The object in pieces, and its ETag. Raises ObjectMissing before the first piece.

        Pieces are the whole object, or raise: one that cannot be read to its end never looks shorter than it is.
        """

    def create(self, key: str, data: bytes) -> str:
        """Writes a new object, durable on return, and gives its ETag. Raises ObjectExists and leaves that one alone."""

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Replaces the object that carries this ETag and gives the new one. Raises ObjectChanged or ObjectMissing."""

    def delete(self, key: str) -> None:
        """Removes the object; none there is no error."""

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """Keys that begin with `prefix` and sort behind `after`, in order, fetched in pages."""

    def versions(self, prefix: str) -> Iterator[ObjectVersion]:
        """Everything that is kept under keys that begin with `prefix`, also of deleted objects, fetched in pages.

        Deleting objects while iterating is safe.
        """

    def delete_versions(self, versions: Sequence[ObjectVersion]) -> None:
        """Deletes these for good, at most 1,000 at a time; those that are gone already are no error."""

    def check(self) -> None:
        """Raises StoreUnavailable, with what to do, when the store cannot keep its promises (STORE-11)."""

    def probe(self) -> None:
        """Raises StoreUnavailable, with a reason that anybody may read, when it cannot be used now; cheap (OPS-32)."""


def open_store(settings: Settings, *, is_for_workers: bool = False) -> ObjectStore:
    """S3 where a bucket is configured, else a folder under VAR_DIR.

    Workers wait longer for a slow store, and try more often: a phone waits for its answer (STORE-8).
    """
    if settings.s3_bucket:
        from core.storage.s3 import FOR_PHONES, FOR_WORKERS, S3Store  # boto3 takes half a second to import

        return S3Store.from_settings(settings, FOR_WORKERS if is_for_workers else FOR_PHONES)
    from core.storage.folder import FolderStore

    try:
        make_private_folder(settings.var_dir)
    except OSError as error:
        raise StoreUnavailable(f"VAR_DIR cannot be used: {error.strerror}") from error
    return FolderStore(settings.var_dir / "objects")
