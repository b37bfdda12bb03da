"""The ledger: every upload that a server acknowledged, and how to recreate its plaintext."""

import base64
import json
import threading
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from ops.phones.data import Recipe, plaintext, records
from ops.phones.platforms import Platform


@dataclass(frozen=True)
class Acknowledged:
    """One upload that the phone deleted because the server took it.

    Sizes are bytes, the time is Unix milliseconds. The plaintext comes back from `recipe` (sensor files) or
    `content_base64` (all others), see `regenerate`.
    """

    patient_id: str
    platform: str
    file_name: str
    status: int
    answer: str
    latency_ms: float
    attempts: int
    acknowledged_at_ms: int
    plaintext_sha1: str
    plaintext_bytes: int
    encrypted_bytes: int
    recipe: Recipe | None = None
    content_base64: str | None = None


def regenerate(entry: Acknowledged) -> bytes:
    """The plaintext of an acknowledged file, byte for byte as it was before encryption."""
    if entry.recipe is not None:
        return plaintext(records(entry.recipe))
    return base64.b64decode(entry.content_base64 or "")


def read_ledger(path: Path) -> list[Acknowledged]:
    """All entries of a ledger file (JSON lines), in the order in which they were acknowledged."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        if fields["recipe"] is not None:
            fields["recipe"] = Recipe(**{**fields["recipe"], "platform": Platform(fields["recipe"]["platform"])})
        entries.append(Acknowledged(**fields))
    return entries


class Ledger:
    """Collects acknowledged uploads of any number of phones and threads: in a file of JSON lines, or in memory.

    With a file, each line is flushed before the phone deletes its copy, and `entries` stays empty. `answers` counts
    the texts that came with the acknowledgements: a server also acknowledges what it cannot use (PHONE-64).
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.entries: list[Acknowledged] = []
        self.files = 0
        self.plaintext_bytes = 0
        self.encrypted_bytes = 0
        self.answers: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._file: TextIO | None = path.open("a", encoding="utf-8") if path else None

    def add(self, entry: Acknowledged) -> None:
        """Writes down one acknowledged upload."""
        with self._lock:
            self.files += 1
            self.plaintext_bytes += entry.plaintext_bytes
            self.encrypted_bytes += entry.encrypted_bytes
            self.answers[entry.answer] += 1
            if self._file is None:
                self.entries.append(entry)
            else:
                self._file.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
                self._file.flush()

    def close(self) -> None:
        """Closes the ledger's file, if it has one."""
        if self._file is not None:
            self._file.close()
