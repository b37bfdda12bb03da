"""Works off waiting uploads (OPS-20). Started by `process-uploads`; any number may run side by side, anywhere.

A run works in tasks of some seconds of batches each, on threads or processes of its machine or on a Dask cluster, as
PROCESSING_RUNNER says. Which participant a batch is about is decided where it runs, by claims in the database.
"""

import time
from datetime import UTC, datetime

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.futures import PrefectFuture
from prefect.tasks import exponential_backoff

from core.config import get_settings
from core.database import get_engine, open_session
from core.processing.claims import is_anything_waiting
from core.processing.presence import counted_run
from core.processing.report import StoreLooksWrong
from core.processing.run import ProcessingReport, Scope, process_for
from flows.hooks import HOOKS
from flows.infrastructure import get_store, is_infrastructure_error
from flows.runners import runner_of

WORK_SECONDS = 10  # of a task: long against what the engine spends on one, short against a run
MOST_SECONDS = 300
LINGER_SECONDS = 20  # for uploads that come meanwhile: a new run costs seconds of CPU to start
LOOK_SECONDS = 1
MOST_FAILURES_LISTED = 100
MOST_DEFECTS = 5


@task(
    name="process batches",
    task_run_name="batches {number}",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=is_infrastructure_error,
    timeout_seconds=20 * 60,
    tags=["processing"],
)
def process_batches(number: int) -> ProcessingReport | None:
    """Batches of whoever was served least recently, for some seconds; None when nobody waits any more."""
    report = process_for(get_engine(), get_store(), get_settings(), Scope(), WORK_SECONDS)
    if report is not None:
        get_run_logger().info(
            "batches %s: participants=%s files=%s chunks=%s failed=%s",
            number, sorted(report.participants), report.files, report.chunks_written, len(report.failures),
        )  # fmt: skip
    return report


@flow(
    name="process-participants",
    flow_run_name=lambda: f"process participants {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    task_runner=runner_of(get_settings()),
    timeout_seconds=MOST_SECONDS * 4,
    **HOOKS,
)
def process_participants(most_seconds: int = MOST_SECONDS, linger_seconds: int = LINGER_SECONDS) -> dict[str, int]:
    """Processes until nothing waits, or the time is over; its table says how much, and what failed.

    A batch that fails through a defect keeps its files queued and does not stop the others; the run fails at its end.
    """
    with counted_run(get_engine()):
        report, defects = process(most_seconds, linger_seconds)
    show(report)
    if defects:
        raise defects[0]
    return report.counts()


def process(most_seconds: int, linger_seconds: int) -> tuple[ProcessingReport, list[Exception]]:
    """Tasks of batches, a few at once; the totals, and what went wrong."""
    end = time.monotonic() + most_seconds
    report, defects = ProcessingReport(), []
    quiet_since = time.monotonic()
    number = 0
    while time.monotonic() < end and len(defects) < MOST_DEFECTS:
        with open_session() as session:
            is_waiting = is_anything_waiting(session, Scope())
        if not is_waiting:
            if time.monotonic() - quiet_since >= linger_seconds:
                break
            time.sleep(LOOK_SECONDS)
            continue
        futures: list[PrefectFuture[ProcessingReport | None]] = [
            process_batches.submit(number + n + 1) for n in range(get_settings().processing_tasks)
        ]
        number += len(futures)
        results = [future.result(raise_on_failure=False) for future in futures]
        defects += [result for result in results if isinstance(result, Exception)]
        done = [result for result in results if isinstance(result, ProcessingReport)]
        try:
            for batch in done:
                report.add(batch)
        except StoreLooksWrong as error:
            defects.append(error)
        if any(isinstance(defect, StoreLooksWrong) for defect in defects):
            break  # every further batch would mark more files (PROC-52)
        if done:
            quiet_since = time.monotonic()
        else:
            time.sleep(LOOK_SECONDS)  # others hold the claims on all that waits
    return report, defects


def show(report: ProcessingReport) -> None:
    """The run's artifacts: counts, rows dropped by reason, files that failed with their reason (OPS-21)."""
    counts = report.counts() | {f"rows dropped: {reason}": rows for reason, rows in report.rows_dropped.items()}
    create_table_artifact(
        key="processed-uploads",
        table=[{"what": what, "count": count} for what, count in counts.items()],
        description="What this run turned into chunks.",
    )
    if report.failures:
        listed = list(report.failures.items())[:MOST_FAILURES_LISTED]
        create_table_artifact(
            key="failed-uploads",
            table=[{"file": path, "reason": reason} for path, reason in listed],
            description=f"{len(report.failures)} files stay queued and are tried again later.",
        )
