"""Rebuilds a study's chunks from raw files, participant by participant (OPS-20, STORE-11)."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from prefect import State, flow, task
from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from core.audit import SERVER
from core.config import get_settings
from core.database import get_engine, open_session
from core.models import ReprocessingJob
from core.reprocessing.jobs import Order, end_job, findings, open_job, participants_left, totals
from core.reprocessing.participant import reprocess_participant
from flows.hooks import HOOKS
from flows.infrastructure import get_store, is_infrastructure_error
from flows.progress import Progress

MOST_SECONDS = 4 * 3600
MOST_LISTED = 100


@task(
    name="reprocess participant",
    task_run_name="participant={patient_id}",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=is_infrastructure_error,
)
def reprocess(job_id: int, participant_id: int, patient_id: str) -> bool:
    """Reprocesses the participant's remaining streams. Returns False if another process holds the participant."""
    with open_session() as session:
        job = session.get_one(ReprocessingJob, job_id)
    return reprocess_participant(get_engine(), get_store(), get_settings(), job, participant_id)


@flow(
    name="reprocess-study",
    flow_run_name=lambda: (
        f"reprocess study={flow_run.parameters['study_id']} participant={flow_run.parameters['patient_id'] or 'all'}"
        f" {datetime.now(UTC):%Y-%m-%d %H:%M}"
    ),
    timeout_seconds=MOST_SECONDS + 4 * 3600,
    **HOOKS,
)
def reprocess_study(
    study_id: str,
    patient_id: str | None = None,
    stream: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    dry_run: bool = False,
    drop_rows_without_source: bool = False,
) -> State:
    """Reprocesses a study (its 24-character id), or one participant or stream: full hours from `start` to before `end`.

    Begins no further participant after four hours. A run with the same parameters continues where it stopped.
    """
    order = Order(study_id, patient_id, stream, start, end, dry_run, drop_rows_without_source)
    with open_session() as session:
        job = open_job(session, order, actor=SERVER)
        left = participants_left(session, job)
    busy = work_on(job, left)
    with open_session() as session:
        is_done = end_job(session, job)
        rest = len(participants_left(session, job))
        show(totals(session, job), findings(session, job, MOST_LISTED), job.id)
    if not is_done:
        why = f"{busy} of them are being worked on by others" if busy else "time is over"
        return Completed(name="NotFinished", message=f"{rest} participants are left, {why}; start it again.")
    return Completed(name="DryRun" if dry_run else None, message=f"{len(left)} participants are done.")


def work_on(job: ReprocessingJob, left: Mapping[int, str]) -> int:
    """Reprocesses participants one by one while there is time. Returns how many were held by other processes."""
    progress, busy = Progress("reprocessed-participants", len(left)), 0
    end = time.monotonic() + MOST_SECONDS
    for participant_id, patient_id in left.items():
        if time.monotonic() >= end:
            break
        busy += not reprocess(job.id, participant_id, patient_id)
        progress.move(1, f"{progress.done + 1:,} of {len(left):,}, now behind {patient_id}")
    progress.end(f"{progress.done:,} of {len(left):,} looked at")
    return busy


def show(rows: list[dict[str, int | str]], found: list[dict[str, int | str]], job_id: int) -> None:
    """Writes the job's artifacts: counts by stream, and the first 100 findings (OPS-21)."""
    create_table_artifact(key="reprocessed-streams", table=rows, description=f"Job {job_id}, all its runs together.")
    if found:
        create_table_artifact(
            key="reprocessing-findings", table=found, description="The first 100 chunks and files worth a look."
        )
