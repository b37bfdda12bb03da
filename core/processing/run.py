"""Processing as a whole: batch after batch until nothing waits. What the flow and the command call."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.config import Settings
from core.models import ProcessingStatus
from core.processing.batch import process_batch
from core.processing.claims import Scope, claimed_participant
from core.processing.report import ProcessingReport
from core.storage import ObjectChanged, ObjectStore

__all__ = ["ProcessingReport", "Scope", "mark_run", "process_everything", "process_next"]


def process_next(engine: sa.Engine, store: ObjectStore, settings: Settings, scope: Scope) -> ProcessingReport | None:
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
            return ProcessingReport({participant_id})


def process_everything(engine: sa.Engine, store: ObjectStore, settings: Settings, scope: Scope) -> ProcessingReport:
    """Works until nothing waits, in this thread (OPS-23). Raises StoreLooksWrong when most raw files are missing."""
    report = ProcessingReport()
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
