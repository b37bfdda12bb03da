"""The files that a phone still has to upload, in memory or in a folder."""

import threading
from dataclasses import dataclass
from pathlib import Path

from ops.phones.data import Recipe


@dataclass
class Pending:
    """A file that waits for upload; its encrypted bytes are in the outbox. Sizes in bytes."""

    file_name: str
    plaintext_sha1: str
    plaintext_bytes: int
    encrypted_bytes: int
    recipe: Recipe | None
    content: bytes | None
    attempts: int = 0


class Outbox:
    """A phone's upload folder. Only `delete` removes files."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._pending: dict[str, Pending] = {}
        self._encrypted: dict[str, bytes] = {}
        self._lock = threading.Lock()
        if folder:
            folder.mkdir(parents=True, exist_ok=True)

    def add(self, pending: Pending, encrypted: bytes) -> None:
        """Adds a finished file. Raises FileExistsError if the name exists."""
        with self._lock:
            if pending.file_name in self._pending:
                raise FileExistsError(pending.file_name)
            if self._folder:
                (self._folder / pending.file_name).write_bytes(encrypted)
            else:
                self._encrypted[pending.file_name] = encrypted
            self._pending[pending.file_name] = pending

    def waiting(self) -> list[Pending]:
        """The files to upload, ordered by name."""
        with self._lock:
            return [self._pending[name] for name in sorted(self._pending)]

    def read(self, file_name: str) -> bytes:
        """The encrypted bytes of a file."""
        return (self._folder / file_name).read_bytes() if self._folder else self._encrypted[file_name]

    def delete(self, file_name: str) -> None:
        """Deletes a file; call it only after a server has acknowledged it."""
        with self._lock:
            del self._pending[file_name]
            if self._folder:
                (self._folder / file_name).unlink()
            else:
                del self._encrypted[file_name]

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, file_name: str) -> bool:
        return file_name in self._pending
