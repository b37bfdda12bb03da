"""Figures about the work of all processes, from the database: queue, totals of work done, last run."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from core.database import db
from core.models import ProcessingStatus, QueuedUpload, QueueState, SignInOutcome
from core.operations.tallies import Counted, Integrity, all_tallies

log = logging.getLogger(__name__)
MOST_MS = 2000


@dataclass(frozen=True)
class Shown:
    """How a tally appears in `/metrics`. The tally's stored label holds the values of `labels`, separated by slashes.

    Values in `always` are shown as 0 before the first count, so that an alarm notices the first one.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    always: tuple[str, ...] = ()


SHOWN = {
    Counted.CHUNKS_WRITTEN: Shown("beiwe_chunks_written", "Chunks that processing wrote."),
    Counted.FILES_PROCESSED: Shown("beiwe_files_processed", "Uploaded files whose data is in chunks or registered."),
    Counted.ROWS_DROPPED: Shown("beiwe_rows_dropped", "Rows that processing dropped.", ("reason",)),
    Counted.FLOW_RUNS: Shown("beiwe_flow_runs", "Flow runs that ended.", ("flow", "state")),
    Counted.NOTIFICATIONS: Shown("beiwe_notifications", "Notifications, by what became of them.", ("outcome",)),
    Counted.INTEGRITY_FAILURES: Shown(
        "beiwe_integrity_failures",
        "Objects that were missing or damaged when they were needed.",
        ("kind",),
        always=tuple(Integrity),
    ),
    Counted.SIGN_INS: Shown(
        "beiwe_sign_ins",
        "Attempts to sign in to the portal, and sign-outs.",
        ("outcome",),
        always=tuple(outcome.value for outcome in SignInOutcome),
    ),
}


class WorkFigures(Collector):
    """Reads the database at each collection. If it does not answer in time, yields only `beiwe_database_up` 0."""

    def collect(self) -> Iterator[Metric]:
        try:
            figures = read_figures()
        except SQLAlchemyError as error:
            log.warning("figures for /metrics cannot be read: %s", type(error).__name__)
            figures = []
        finally:
            db.session.rollback()
        yield _gauge("beiwe_database_up", "Whether the database answered these questions.", int(bool(figures)))
        yield from figures


def read_figures() -> list[Metric]:
    """Reads all figures. Raises SQLAlchemyError, also if a statement takes longer than two seconds."""
    session = db.session()
    session.execute(sa.text(f"SET LOCAL statement_timeout = {MOST_MS}"))
    counts = sa.select(QueuedUpload.state, sa.func.count()).group_by(QueuedUpload.state)
    by_state = {state.value: 0 for state in QueueState} | {row[0]: row[1] for row in session.execute(counts)}
    is_waiting = QueuedUpload.state == QueueState.WAITING.value
    oldest = session.scalar(sa.select(sa.func.min(QueuedUpload.received_at)).where(is_waiting))
    last_run = session.scalar(sa.select(ProcessingStatus.last_run_at))
    tallies = all_tallies(session)

    queue = GaugeMetricFamily("beiwe_upload_queue_files", "Files in the queue.", labels=["state"])
    for state, count in by_state.items():
        queue.add_metric([state], count)
    age = max(0.0, (datetime.now(UTC) - oldest).total_seconds()) if oldest else 0.0
    figures: list[Metric] = [
        queue,
        _gauge("beiwe_upload_queue_oldest_seconds", "Age of the oldest file that waits; 0 where none does.", age),
    ]
    if last_run:
        help_text = "When processing last ended a run, as Unix time."
        figures.append(_gauge("beiwe_last_processing_run_timestamp_seconds", help_text, last_run.timestamp()))
    return figures + [_family(counted, shown, tallies) for counted, shown in SHOWN.items()]


def _family(counted: Counted, shown: Shown, tallies: dict[tuple[str, str], int]) -> Metric:
    family = CounterMetricFamily(shown.name, shown.help, labels=shown.labels)
    if not shown.labels:
        family.add_metric([], tallies.get((counted.value, ""), 0))
        return family
    totals = dict.fromkeys(shown.always, 0) | {label: n for (name, label), n in tallies.items() if name == counted}
    for label, total in sorted(totals.items()):
        family.add_metric(label.split("/", len(shown.labels) - 1), total)
    return family


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, value=value)
