"""Objects as files in a local folder. A write is durable and visible as a whole, or not there at all."""

import fcntl
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from core.storage.errors import ObjectChanged, ObjectExists, ObjectMissing, StoreUnavailable
from core.storage.store import ObjectVersion

PIECE_BYTES = 1 << 20
DRAFTS = ".drafts"
DRAFT_SECONDS = 24 * 3600
NO_PART = {"", ".", ".."}
# A disk with less free space counts as full; a small disk, with less than a hundredth of its size.
LEAST_FREE_BYTES = 256 << 20


class FolderStore:
    """An ObjectStore under `root`; raises StoreUnavailable where that was there and is gone.

    Drafts live in `.drafts`: a crash leaves nothing half-written under a key.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.drafts = root / DRAFTS
        self._make_once()
        self._synced: set[Path] = set()  # folders whose own entry is known to be durable
        self._sweep_drafts()

    def read(self, key: str) -> tuple[Iterator[bytes], str]:
        try:
            file = FileIO(self._name(key))
        except FileNotFoundError:
            self._require_root()
            raise ObjectMissing(key) from None
        except OSError as error:
            raise StoreUnavailable(f"{key}: {error.strerror}") from error

        def pieces() -> Iterator[bytes]:
            with file:
                while piece := file.read(PIECE_BYTES):
                    yield piece

        return pieces(), _etag(os.fstat(file.fileno()))

    def create(self, key: str, data: bytes) -> str:
        with self._draft(key, data) as draft:
            path = self._path(key)
            try:
                path.hardlink_to(draft)
            except FileExistsError:
                raise ObjectExists(key) from None
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    path.hardlink_to(draft)
                except FileExistsError:
                    raise ObjectExists(key) from None
            self._sync(path.parent)
            return _etag(path.stat())

    def replace(self, key: str, data: bytes, etag: str) -> str:
        with self._draft(key, data) as draft:
            path = self._path(key)
            if not path.exists():
                raise ObjectMissing(key)
            with self._lock(path.parent):
                current = _etag(path.stat()) if path.exists() else None
                if current != etag:
                    raise ObjectChanged(key)
                draft.replace(path)
                _sync_folder(path.parent)
                return _etag(path.stat())

    def delete(self, key: str) -> None:
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"{key}: {error.strerror}") from error

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        folder, _, _ = prefix.rpartition("/")
        yield from (k for k in self._walk(self.root / folder, folder) if k.startswith(prefix) and k > after)

    def versions(self, prefix: str) -> Iterator[ObjectVersion]:
        self._require_root()
        yield from (ObjectVersion(key, None, is_live=True) for key in self.keys(prefix))

    def delete_versions(self, versions: Sequence[ObjectVersion]) -> None:
        """Deletes durably: purged objects do not come back after a power failure."""
        for version in versions:
            self.delete(version.key)
        for folder in {self._path(version.key).parent for version in versions}:
            if folder.is_dir():
                _sync_folder(folder)

    def check(self) -> None:
        self._require_root()

    def probe(self) -> None:
        if not self.drafts.is_dir():
            raise StoreUnavailable("its folder is not there; is its disk mounted?")
        disk = shutil.disk_usage(self.root)
        if disk.free < min(LEAST_FREE_BYTES, disk.total // 100):
            raise StoreUnavailable("its disk is full")
        try:
            with tempfile.TemporaryFile(dir=self.drafts):
                pass
        except OSError as error:
            raise StoreUnavailable(f"nothing can be written to it: {error.strerror}") from error

    def _walk(self, folder: Path, name: str) -> Iterator[str]:
        """Keys below a folder in the order of their text, which is that of S3's listings."""
        try:
            entries = [e for e in os.scandir(folder) if name or e.name != DRAFTS]
        except FileNotFoundError:
            return
        for entry in sorted(entries, key=lambda e: e.name + "/" if e.is_dir() else e.name):
            key = f"{name}/{entry.name}" if name else entry.name
            if entry.is_dir():
                yield from self._walk(Path(entry.path), key)
            else:
                yield key

    def _path(self, key: str) -> Path:
        return Path(self._name(key))

    def _name(self, key: str) -> str:
        parts = key.split("/")
        if parts[0] == DRAFTS or "\0" in key or not NO_PART.isdisjoint(parts):
            raise ValueError(f"not a key of the store: {key!r}")
        return f"{self.root}/{key}"

    def _make_once(self) -> None:
        """Creates the folder, and a mark beside it, so that it is not created again while its disk is unmounted."""
        mark = self.root.with_name(self.root.name + ".made")
        if mark.exists():
            self._require_root()
            return
        self.drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
        mark.touch()

    def _sync(self, folder: Path) -> None:
        """Makes the folder's entries durable, and its own entry and those of the folders above it, once a process."""
        _sync_folder(folder)
        new = []
        while folder != self.root and folder not in self._synced:
            new.append(folder)
            folder = folder.parent
            _sync_folder(folder)
        self._synced.update(new)  # not before: another thread relies on it

    def _sweep_drafts(self) -> None:
        """Deletes drafts that a killed process left long ago."""
        for draft in self.drafts.iterdir():
            with suppress(FileNotFoundError):
                if draft.stat().st_mtime < time.time() - DRAFT_SECONDS:
                    draft.unlink()

    def _require_root(self) -> None:
        if not self.drafts.is_dir():
            raise StoreUnavailable(f"{self.root} is not there; is its disk mounted?")

    @contextmanager
    def _draft(self, key: str, data: bytes) -> Iterator[Path]:
        """A synced file with these bytes; gone afterwards, whatever happened."""
        draft = self.drafts / secrets.token_hex(12)
        try:
            try:
                with draft.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            except FileNotFoundError:
                self._require_root()
                raise
            yield draft
        except OSError as error:
            raise StoreUnavailable(f"{key}: {error.strerror}") from error
        finally:
            draft.unlink(missing_ok=True)

    @contextmanager
    def _lock(self, folder: Path) -> Iterator[None]:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _etag(status: os.stat_result) -> str:
    """Files are never written in place, so inode and time tell two versions apart."""
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
