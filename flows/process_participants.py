"""Processes waiting uploads (OPS-20). Started by `process-uploads`; any number of runs may work at once.

A run consists of tasks; each processes batches for some seconds. PROCESSING_RUNNER decides where tasks run: in threads
or processes of the run's machine, or on a Dask cluster. A task claims participants through the database.
"""

import itertools
import time
from datetime import UTC, datetime

from prefect import State, flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.futures import PrefectFuture, as_completed
from prefect.states import Completed
from prefect.tasks import exponential_backoff
from sqlalchemy.exc import SQLAlchemyError

from core.clock import ClockLooksWrong
from core.config import get_settings
from core.database import get_engine, open_session
from core.processing.claims import is_anything_waiting
from core.processing.presence import counted_run
from core.processing.report import StoreLooksWrong
from core.processing.run import ProcessingReport, Scope, process_for
from flows.hooks import HOOKS, tell_of_integrity
from flows.infrastructure import get_store, is_infrastructure_error
from flows.run_names import rename_run
from flows.runners import runner_of

WORK_SECONDS = 30  # of a task: long compared to Prefect's overhead for one, short compared to a run
MOST_SECONDS = 300
LINGER_SECONDS = 20  # waiting for further uploads; starting a new run would cost seconds of CPU
LOOK_SECONDS = 1
MOST_FAILURES_LISTED = 100
MOST_DEFECTS = 5
ALWAYS_COUNTED = ("participants", "files", "chunks_written", "failed")  # The Prefect UI shows ten rows of a table.


# Without tags, as all our tasks: before each tagged one Prefect asks for limits, which takes two seconds. Without a
# time-out: Prefect cannot interrupt threads, and warns of it each time; store, database and flow have theirs.
@task(
    name="process batches",
    task_run_name="batches {number}",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=is_infrastructure_error,
)
def process_batches(number: int) -> ProcessingReport | None:
    """Processes batches for some seconds, the participant processed least recently first; None when no upload waits."""
    report = process_for(get_engine(), get_store(), get_settings(), Scope(), WORK_SECONDS)
    if report is not None:
        get_run_logger().info(
            "batches %s: participants=%s files=%s chunks=%s failed=%s",
            number,
            sorted(report.participants),
            report.files,
            report.chunks_written,
            len(report.failures),
        )
    return report


@flow(
    name="process-participants",
    flow_run_name=lambda: f"process participants {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    task_runner=runner_of(get_settings()),
    timeout_seconds=MOST_SECONDS * 4,
    **HOOKS,
)
def process_participants(most_seconds: int = MOST_SECONDS, linger_seconds: int = LINGER_SECONDS) -> State:
    """Processes until no upload waits or the time is over. The run's name, message and table give the result.

    A batch that fails through a defect keeps its files queued and does not stop the others; the run ends as failed.
    """
    with counted_run(get_engine()):
        report, defects = process(most_seconds, linger_seconds)
    tell_of_integrity(report.integrity)
    show(report)
    why = f"{type(defects[0]).__name__}, " if defects else ""
    rename_run(f"process participants: {why}{summary(report)}")
    if defects:
        raise defects[0]
    name = None if report.files else "NothingWaiting"
    return Completed(name=name, message=f"{summary(report)}.", data=report.counts())


def process(most_seconds: int, linger_seconds: int) -> tuple[ProcessingReport, list[Exception]]:
    """Runs a few tasks at once, a new one as soon as one ends. Returns the totals and the errors."""
    end = time.monotonic() + most_seconds
    report, defects = ProcessingReport(), list[Exception]()
    quiet_since, numbers, is_work_left = time.monotonic(), itertools.count(1), True
    running: list[PrefectFuture[ProcessingReport | None]] = []
    while True:
        # With a wrong store or a wrong clock, further batches would fail or do harm (PROC-52).
        is_over = time.monotonic() >= end or len(defects) >= MOST_DEFECTS or any_looks_wrong(defects)
        try:
            if is_work_left and not is_over and anything_waits():
                running += [process_batches.submit(next(numbers)) for _ in range(len(running), tasks_at_once())]
        except SQLAlchemyError as error:  # The database is away: wait for the tasks under way, then show all results.
            defects.append(error)
            end, is_over = time.monotonic(), True
        if not running:
            if is_over or time.monotonic() - quiet_since >= linger_seconds:
                return report, defects
            time.sleep(LOOK_SECONDS)
            is_work_left = True
            continue
        ended = next(as_completed(running))
        running.remove(ended)
        result = ended.result(raise_on_failure=False)
        is_work_left = result is not None  # None: other runs hold the claims on all waiting uploads.
        if isinstance(result, Exception):
            defects.append(result)
        elif isinstance(result, ProcessingReport):
            quiet_since = time.monotonic()
            try:
                report.add(result)
            except StoreLooksWrong as error:
                defects.append(error)


def anything_waits() -> bool:
    with open_session() as session:
        return is_anything_waiting(session, Scope())


def any_looks_wrong(defects: list[Exception]) -> bool:
    return any(isinstance(defect, StoreLooksWrong | ClockLooksWrong) for defect in defects)


def tasks_at_once() -> int:
    return get_settings().processing_tasks


def summary(report: ProcessingReport) -> str:
    """One line for operators: how much was processed, and what failed."""
    counts = report.counts()
    done = f"{counts['files']:,} files of {counts['participants']:,} participants, {counts['chunks_written']:,} chunks"
    return f"{done}, {counts['failed']:,} failed" if counts["failed"] else done


def show(report: ProcessingReport) -> None:
    """Writes the run's artifacts: counts, rows dropped by reason, files that failed with their reason (OPS-21)."""
    counts = {what: count for what, count in report.counts().items() if count or what in ALWAYS_COUNTED}
    counts |= {f"rows dropped: {reason}": rows for reason, rows in report.rows_dropped.items()}
    counts |= {f"integrity: {kind}": met for kind, met in (+report.integrity).items()}
    create_table_artifact(
        key="processed-uploads",
        table=[{"what": what, "count": count} for what, count in counts.items()],
        description=f"{summary(report)}.",
    )
    if report.failures:
        listed = list(report.failures.items())[:MOST_FAILURES_LISTED]
        create_table_artifact(
            key="failed-uploads",
            table=[{"file": path, "reason": reason} for path, reason in listed],
            description=f"Files that stay queued and are tried again later, or were set aside: {len(report.failures)}.",
        )
