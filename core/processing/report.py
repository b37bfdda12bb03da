"""What processing did, in counts: of one batch, or of many added up (OPS-21)."""

from collections import Counter
from dataclasses import dataclass, field

from core.tallies import Counted, Numbers

MANY_MISSING = 10
SUMMED = ("batches", "files", "missing", "size_bytes", "chunks_written", "chunks_unchanged", "unchunked", "rows_kept")


class StoreLooksWrong(Exception):
    """Many raw objects are missing at once: a wrong bucket or an unmounted folder (PROC-52)."""


@dataclass
class ProcessingReport:
    """Counts of batches, files (of which missing in the store), bytes of plaintext, chunks and rows, and failures.

    `rows_dropped` counts by reason; `failures` maps the paths of files that stay queued to why. `integrity` counts
    objects that are missing or damaged, by `core.tallies.Integrity`.
    """

    participants: set[int] = field(default_factory=set)
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
        """Adds another report's counts. Raises StoreLooksWrong when most files of both together are missing."""
        for name in SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.participants |= other.participants
        self.rows_dropped.update(other.rows_dropped)
        self.failures |= other.failures
        self.integrity.update(other.integrity)
        refuse_many_missing(self.missing, self.files)

    def counts(self) -> dict[str, int]:
        """The totals as one flat table, for an operator's first question."""
        totals = {name: getattr(self, name) for name in SUMMED}
        return {
            "participants": len(self.participants), **totals, "rows_dropped": self.rows_dropped.total(),
            "failed": len(self.failures), "integrity": self.integrity.total(),
        }  # fmt: skip

    def tallies(self) -> Numbers:
        """What the site's totals grow by (OPS-32)."""
        return {
            Counted.CHUNKS_WRITTEN: {"": self.chunks_written},
            Counted.FILES_PROCESSED: {"": self.files - len(self.failures)},
            Counted.ROWS_DROPPED: self.rows_dropped,
            Counted.INTEGRITY_FAILURES: self.integrity,
        }


def refuse_many_missing(missing: int, files: int) -> None:
    """Raises StoreLooksWrong when ten or more files, and most of all, are not in the store."""
    if missing >= MANY_MISSING and missing * 2 > files:
        raise StoreLooksWrong(f"{missing} of {files} raw files are missing; is this the right bucket or folder?")
