"""Processing as a whole: batch after batch until nothing waits. What the flow and the command call."""

import logging
import time
from datetime import UTC, datetime
from threading import Event, Lock

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.config import Settings
from core.models import ProcessingStatus
from core.processing.batch import process_batch
from core.processing.claims import Scope, claimed_participant
from core.processing.report import ProcessingReport
from core.storage import ObjectChanged, ObjectStore
from core.tallies import add_tallies_at_once
from core.threads import Threads

__all__ = ["ProcessingReport", "Scope", "mark_run", "process_everything", "process_for", "process_next"]
log = logging.getLogger(__name__)


def process_next(engine: sa.Engine, store: ObjectStore, settings: Settings, scope: Scope) -> ProcessingReport | None:
    """Claims the participant that was served least recently and works on one batch; None when nobody waits.

    Raises StoreUnavailable, StoreLooksWrong and the database's errors; the uploads stay queued.
    """
    with claimed_participant(engine, scope) as claim:
        if claim is None:
            return None
        session, participant_id = claim
        try:
            report = process_batch(session, participant_id, store, settings)
        except ObjectChanged:  # the claim was lost, and its new holder does the work (STORE-11)
            session.rollback()
            return ProcessingReport({participant_id})
    add_tallies_at_once(engine, report.tallies())  # the batch is done, whatever becomes of its counts
    return report


def process_for(
    engine: sa.Engine, store: ObjectStore, settings: Settings, scope: Scope, seconds: float
) -> ProcessingReport | None:
    """Batch after batch until the time is over or nothing waits; None when nothing waited at all.

    What goes wrong in the first batch is raised, as by `process_next`. What goes wrong later ends the work with what
    was done: the same comes up again at the next call, and no count is lost.
    """
    end = time.monotonic() + seconds
    report = process_next(engine, store, settings, scope)
    while report is not None and time.monotonic() < end:
        try:
            batch = process_next(engine, store, settings, scope)
            if batch is None:
                break
            report.add(batch)
        except Exception:
            log.warning("stopped after %s batches", report.batches, exc_info=True)
            break
    return report


def process_everything(engine: sa.Engine, store: ObjectStore, settings: Settings, scope: Scope) -> ProcessingReport:
    """Works until nothing waits, on PROCESSING_TASKS participants at once (OPS-23).

    Raises StoreLooksWrong when most raw files are missing, and what `process_next` raises.
    """
    report, adding, has_failed = ProcessingReport(), Lock(), Event()

    def work(_: int) -> None:
        try:
            while not has_failed.is_set() and (batch := process_next(engine, store, settings, scope)) is not None:
                with adding:
                    report.add(batch)
        except BaseException:
            has_failed.set()
            raise

    with Threads(settings.processing_tasks) as threads:
        threads.map(work, range(settings.processing_tasks))
    mark_run(engine)
    return report


def mark_run(engine: sa.Engine) -> None:
    """Notes that processing has ended a run (OPS-31)."""
    with Session(engine) as session:
        now = datetime.now(UTC)
        row = insert(ProcessingStatus).values(id=1, last_run_at=now)
        session.execute(row.on_conflict_do_update(index_elements=["id"], set_={"last_run_at": now}))
        session.commit()
