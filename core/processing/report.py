"""Counts of what processing did, for one batch or the sum of many (OPS-21)."""

from collections import Counter
from dataclasses import dataclass, field

from core.operations.tallies import Counted, Numbers

MOST_PARTICIPANTS_MISSING = 2
SUMMED = ("batches", "files", "missing", "size_bytes", "chunks_written", "chunks_unchanged", "unchunked", "rows_kept")


class StoreLooksWrong(Exception):
    """Objects are missing and nothing else shows that this is the right store (PROC-52, CLAR-13)."""


@dataclass
class ProcessingReport:
    """Counts of batches, files (of which missing in the store), bytes of plaintext, chunks and rows, and failures.

    `with_missing` are the participants of whom files are missing. `rows_dropped` counts by reason; `failures` maps the
    paths of files that stay queued to why. `integrity` counts objects that are missing or damaged, by
    `core.operations.tallies.Integrity`.
    """

    participants: set[int] = field(default_factory=set)
    with_missing: set[int] = field(default_factory=set)
    batches: int = 0
    files: int = 0
    missing: int = 0
    size_bytes: int = 0
    chunks_written: int = 0
    chunks_unchanged: int = 0
    unchunked: int = 0
    rows_kept: int = 0
    rows_dropped: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    integrity: Counter[str] = field(default_factory=Counter)

    def add(self, other: "ProcessingReport") -> None:
        """Adds another report's counts. Raises StoreLooksWrong when files of three participants are missing."""
        for name in SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.participants |= other.participants
        self.with_missing |= other.with_missing
        self.rows_dropped.update(other.rows_dropped)
        self.failures |= other.failures
        self.integrity.update(other.integrity)
        if len(self.with_missing) > MOST_PARTICIPANTS_MISSING:
            raise StoreLooksWrong(
                f"raw files of {len(self.with_missing)} participants are missing; is this the right bucket or folder?"
            )

    def counts(self) -> dict[str, int]:
        """The totals as one flat table, for operators."""
        totals = {name: getattr(self, name) for name in SUMMED}
        return {
            "participants": len(self.participants),
            **totals,
            "rows_dropped": self.rows_dropped.total(),
            "failed": len(self.failures),
            "integrity": self.integrity.total(),
        }

    def tallies(self) -> Numbers:
        """The numbers to add to the site's totals (OPS-32)."""
        return {
            Counted.CHUNKS_WRITTEN: {"": self.chunks_written},
            Counted.FILES_PROCESSED: {"": self.files - len(self.failures)},
            Counted.ROWS_DROPPED: self.rows_dropped,
            Counted.INTEGRITY_FAILURES: self.integrity,
        }
