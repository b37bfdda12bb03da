"""The folder on this machine: files in mano's layout, and beside them what is known of each.

`<folder>/<participant>/<stream>/…` are the files. `<folder>/.beiwe-sync/state.sqlite` says which version of each file
is there; `<folder>/.beiwe-sync/parts/` holds files that are not whole yet. All of that folder may be deleted: the next
run then compares the files themselves.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from contextlib import suppress
from pathlib import Path

from beiwe_sync.server import RemoteFile

OWN = ".beiwe-sync"
READ_BYTES = 1 << 20
# Characters and names that Windows refuses, so that a folder can be moved between machines.
_UNSAFE = re.compile(r'[\x00-\x1f<>:"\\|?*]|[. ]$')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_TABLE = "CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, hash TEXT, size INTEGER, modified INTEGER)"


class FolderInUse(Exception):
    """Another run works on this folder."""


class UnsafeName(Exception):
    """The server names a file that cannot be stored below the folder on every machine."""


class Folder:
    """A folder that one run keeps in step. Use it from one thread, but for `part`, `finish` and `has_contents`."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the folder. Raises FolderInUse; OSError where it cannot be written."""
        self.path = path.absolute()
        self.parts = self.path / OWN / "parts"
        self.parts.mkdir(parents=True, exist_ok=True)
        state = self.path / OWN / "state.sqlite"
        try:
            self._state = self._opened(state)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise FolderInUse(f"another beiwe-sync works in {self.path}") from None
            raise
        except sqlite3.DatabaseError:  # damaged: it can be made again from the files
            state.unlink()
            self._state = self._opened(state)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *exception: object) -> None:
        self._state.close()

    @staticmethod
    def _opened(state: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(str(state), timeout=0, isolation_level=None)
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # what a power cut takes is compared with the files again
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute(_TABLE)
        connection.execute("COMMIT")
        return connection

    def place(self, name: str) -> Path:
        """Where a file belongs. Raises UnsafeName for what would leave the folder, or that Windows refuses."""
        pieces = name.split("/")
        for piece in pieces:
            if not piece or _UNSAFE.search(piece) or _RESERVED.fullmatch(piece) or piece == OWN:
                raise UnsafeName(f"the server names a file that cannot be stored: {name!r}")
        return self.path.joinpath(*pieces)

    def has(self, file: RemoteFile, *, is_checked: bool = False) -> bool:
        """Whether this version of the file is there.

        A file whose size and time are as they were stored is trusted. Any other is read and compared; with
        `is_checked` all are.
        """
        if file.hash is None:
            return False
        place = self.place(file.name)
        try:
            found = place.stat()
        except OSError:
            return False
        row = self._state.execute("SELECT hash, size, modified FROM files WHERE name = ?", (file.name,)).fetchone()
        if row == (file.hash, found.st_size, found.st_mtime_ns) and not is_checked:
            return True
        if (file.size is not None and file.size != found.st_size) or not self.has_contents(place, file):
            return False
        self.remember(file)
        return True

    def remember(self, file: RemoteFile) -> None:
        """Stores that this version of the file is there."""
        found = self.place(file.name).stat()
        self._state.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
            (file.name, file.hash, found.st_size, found.st_mtime_ns),
        )

    def names(self) -> set[str]:
        """Names of the files that earlier runs stored."""
        return {name for (name,) in self._state.execute("SELECT name FROM files")}

    def part(self, file: RemoteFile) -> Path:
        """Where the bytes of this version are collected until it is whole. Parts of other versions are removed."""
        begin = hashlib.sha1(file.name.encode()).hexdigest()
        part = self.parts / f"{begin}.{file.hash or 'unknown'}"
        for other in self.parts.glob(f"{begin}.*"):
            if other != part:
                other.unlink()
        if file.hash is None:  # nothing says that the rest would belong to it
            with suppress(FileNotFoundError):
                part.unlink()
        return part

    @staticmethod
    def has_contents(path: Path, file: RemoteFile) -> bool:
        """Whether the bytes at this path are the file's."""
        digest = hashlib.new(file.hash_algorithm)
        with path.open("rb") as opened:
            while piece := opened.read(READ_BYTES):
                digest.update(piece)
        return file.hash is None or digest.hexdigest() == file.hash

    def finish(self, file: RemoteFile, part: Path) -> None:
        """Puts a verified part into its place, in one step: a reader finds the old version or the new one."""
        with part.open("rb+") as opened:
            os.fsync(opened.fileno())
        place = self.place(file.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        part.replace(place)

    def remove_old_parts(self, known: set[str]) -> None:
        """Removes parts of files that the server no longer lists; `known` are the names that it lists."""
        begins = {hashlib.sha1(name.encode()).hexdigest() for name in known}
        for part in self.parts.iterdir():
            if part.name.partition(".")[0] not in begins:
                part.unlink()
