"""Processing as a whole: batch after batch until nothing waits. What the flow and the command call."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.config import Settings
from core.models import ProcessingStatus
from core.processing.batch import BatchReport, process_batch
from core.processing.claims import Scope, claimed_participant
from core.storage import ObjectChanged, ObjectStore

__all__ = ["RunReport", "Scope", "mark_run", "process_everything", "process_next"]


@dataclass
class RunReport:
    """Totals of a run: an operator's first question is how many files, and what failed."""

    batches: int = 0
    files: int = 0
    size_bytes: int = 0
    chunks_written: int = 0
    chunks_unchanged: int = 0
    unchunked: int = 0
    rows_kept: int = 0
    rows_dropped: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, batch: BatchReport) -> None:
        self.batches += 1
        for name in ("files", "size_bytes", "chunks_written", "chunks_unchanged", "unchunked", "rows_kept"):
            setattr(self, name, getattr(self, name) + getattr(batch, name))
        self.rows_dropped.update(batch.rows_dropped)
        self.failures |= batch.failures

    def counts(self) -> dict[str, int]:
        """The totals as one flat table (OPS-21)."""
        return {
            "batches": self.batches, "files": self.files, "size_bytes": self.size_bytes,
            "chunks_written": self.chunks_written, "chunks_unchanged": self.chunks_unchanged,
            "unchunked": self.unchunked, "rows_kept": self.rows_kept, "rows_dropped": self.rows_dropped.total(),
            "failed": len(self.failures),
        }  # fmt: skip


def process_next(engine: sa.Engine, store: ObjectStore, settings: Settings, scope: Scope) -> BatchReport | None:
    """Claims the participant that was served least recently and works on one batch; None when nobody waits.

    Raises StoreUnavailable, StoreLooksWrong and the database's errors; the uploads stay queued.
    """
    with claimed_participant(engine, scope) as claim:
        if claim is None:
            return None
        session, participant_id = claim
        try:
            return process_batch(session, participant_id, store, settings)
        except ObjectChanged:  # the claim was lost, and its new holder does the work (STORE-11)
            session.rollback()
            return BatchReport(participant_id)


def process_everything(engine: sa.Engine, store: ObjectStore, settings: Settings, scope: Scope) -> RunReport:
    """Works until nothing waits, in this thread (OPS-23)."""
    report = RunReport()
    while (batch := process_next(engine, store, settings, scope)) is not None:
        report.add(batch)
    mark_run(engine)
    return report


def mark_run(engine: sa.Engine) -> None:
    """Notes that processing has ended a run (OPS-31)."""
    with Session(engine) as session:
        now = datetime.now(UTC)
        row = insert(ProcessingStatus).values(id=1, last_run_at=now)
        session.execute(row.on_conflict_do_update(index_elements=["id"], set_={"last_run_at": now}))
        session.commit()
