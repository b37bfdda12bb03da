"""Processes batch after batch until nothing is queued. The flow and the command call this."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from threading import Event, Lock

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.config import Settings
from core.models import Participant, ProcessingStatus
from core.models.participant import with_study_and_key, with_webhooks
from core.operations.tallies import add_tallies_at_once
from core.processing.batch import process_batch
from core.processing.claims import Scope, claimed_participant
from core.processing.recording import put_back_missing
from core.processing.report import ProcessingReport
from core.storage import ObjectChanged, ObjectStore
from core.threads import Threads

__all__ = [
    "ProcessingReport",
    "Scope",
    "look_for_missing",
    "mark_run",
    "process_everything",
    "process_for",
    "process_next",
]
log = logging.getLogger(__name__)

BATCHES_OF_A_TURN = 4  # a claim takes six statements, a batch ten; then it is the next participant's turn


def process_next(engine: sa.Engine, store: ObjectStore, settings: Settings, scope: Scope) -> ProcessingReport | None:
    """Claims the participant that was served least recently and works on a turn of batches; None when nobody waits.

    Raises StoreUnavailable, StoreLooksWrong, ClockLooksWrong and the database's errors where the first batch meets
    them; its uploads stay queued.
    """
    with claimed_participant(engine, scope) as claim:
        if claim is None:
            return None
        session, participant_id = claim
        participant = session.get_one(Participant, participant_id, options=[with_study_and_key(), with_webhooks()])
        try:
            report = _several(
                lambda: process_batch(session, participant, store, settings),
                is_enough=lambda done: done.batches >= BATCHES_OF_A_TURN,
            )
        except ObjectChanged:  # the claim was lost, and its new holder does the work (STORE-11)
            session.rollback()
            report = None
    if report is None:
        return ProcessingReport({participant_id})
    add_tallies_at_once(engine, report.tallies())  # the batches are done, whatever becomes of their counts
    return report


def process_for(
    engine: sa.Engine, store: ObjectStore, settings: Settings, scope: Scope, seconds: float
) -> ProcessingReport | None:
    """Processes turns until the time is over or nothing is queued. Returns None if nothing was queued at all.

    Raises what the first turn raises.
    """
    end = time.monotonic() + seconds
    work = partial(process_next, engine, store, settings, scope)
    return _several(work, is_enough=lambda _: time.monotonic() >= end)


def _several(
    work: Callable[[], ProcessingReport | None], is_enough: Callable[[ProcessingReport], bool]
) -> ProcessingReport | None:
    """Adds up reports of `work` until it returns None or the sum is enough. Returns None if the first is None.

    An error of the first call is raised. A later error ends the work and returns the sum so far: the error comes up
    again at the next call, and no count is lost.
    """
    report = work()
    while report is not None and not is_enough(report):
        try:
            more = work()
            if more is None:
                break
            report.add(more)
        except Exception:
            log.warning("stopped after %s batches", report.batches, exc_info=True)
            break
    return report


def process_everything(engine: sa.Engine, store: ObjectStore, settings: Settings, scope: Scope) -> ProcessingReport:
    """Processes until nothing is queued, PROCESSING_TASKS participants at once (OPS-23).

    Raises StoreLooksWrong when files of three participants are missing, and what `process_next` raises.
    """
    report, adding, has_failed = ProcessingReport(), Lock(), Event()
    look_for_missing(engine)

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


def look_for_missing(engine: sa.Engine) -> None:
    """Lets files that were missing an hour ago be tried again (CLAR-13)."""
    with Session(engine) as session:
        put_back_missing(session)
        session.commit()


def mark_run(engine: sa.Engine) -> None:
    """Records the end of a processing run (OPS-31)."""
    with Session(engine) as session:
        now = datetime.now(UTC)
        row = insert(ProcessingStatus).values(id=1, last_run_at=now)
        session.execute(row.on_conflict_do_update(index_elements=["id"], set_={"last_run_at": now}))
        session.commit()
