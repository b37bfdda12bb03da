"""Compares the object store with its rows, key range by key range (OPS-20, OPS-60). Nothing is ever deleted."""

import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from prefect import State, flow, task
from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from core.config import get_settings
from core.database import open_session
from core.phones.orphans import QUEUED, requeued
from core.storage.audit import Mismatch, sweep
from flows.hooks import HOOKS
from flows.infrastructure import get_store, is_infrastructure_error
from flows.progress import Progress
from flows.sweeping import expected_objects, folder_of

PAGE_KEYS = 10_000
MOST_SECONDS = 4 * 3600
MOST_LISTED = 100


@dataclass(frozen=True)
class AuditedRange:
    """Result of one task: keys compared, differences found, and the last key (None when none were left)."""

    keys: int
    found: list[dict[str, str]]
    last: str | None


@task(
    name="audit keys",
    task_run_name="keys after {after}",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=is_infrastructure_error,
)
def audit_range(prefix: str, after: str, requeue: bool) -> AuditedRange:
    """Compares the next 10,000 keys after a key."""
    keys, found, last = 0, [], None
    with open_session() as session:
        for seen in islice(sweep(session, get_store(), prefix, after), PAGE_KEYS):
            keys, last = keys + 1, seen.path
            if seen.mismatch is None:
                continue
            line = {"path": seen.path, "mismatch": seen.mismatch.value, "done": ""}
            if requeue and seen.mismatch is Mismatch.OBJECT_WITHOUT_ROW:
                line["done"] = requeued(session, get_store(), get_settings(), seen.path)
            found.append(line)
    return AuditedRange(keys, found, last)


@flow(
    name="audit-store",
    flow_run_name=lambda: f"audit store study={flow_run.parameters['study_id'] or 'all'} {datetime.now(UTC):%Y-%m-%d}",
    timeout_seconds=MOST_SECONDS + 900,
    **HOOKS,
)
def audit_store(study_id: str | None = None, after: str = "", requeue: bool = False) -> State:
    """Compares one study (by its 24-character id) or all, after the key `after`; `requeue` queues orphaned uploads.

    Stops after four hours and reports the key to resume from.
    """
    prefix = folder_of(study_id)
    progress = Progress("audited-objects", expected_objects(prefix))
    counts: Counter[str] = Counter(objects_and_rows=0, requeued=0, **{m.name.lower(): 0 for m in Mismatch})
    listed: list[dict[str, str]] = []
    end = time.monotonic() + MOST_SECONDS
    is_whole = False
    while not is_whole and time.monotonic() < end:
        part = audit_range(prefix, after, requeue)
        add(part, counts, listed)
        is_whole, after = part.last is None, part.last or after
        progress.move(part.keys, f"{counts['objects_and_rows']:,} looked at, now at {after}")
    progress.end(f"{counts['objects_and_rows']:,} looked at")
    go_on = "The whole range was looked at." if is_whole else f"Not finished: go on after {after}"
    show(counts, listed, go_on)
    wrong = sum(counts[m.name.lower()] for m in Mismatch)
    message = f"{counts['objects_and_rows']:,} objects and rows, {wrong:,} do not agree. {go_on}"
    return Completed(message=message, data={**counts, "go_on_after": "" if is_whole else after})


def add(part: AuditedRange, counts: Counter[str], listed: list[dict[str, str]]) -> None:
    """Adds a task's result to the totals, and its first findings to the list."""
    counts["objects_and_rows"] += part.keys
    for line in part.found:
        counts[Mismatch(line["mismatch"]).name.lower()] += 1
        counts["requeued"] += line["done"] == QUEUED
    listed += part.found[: MOST_LISTED - len(listed)]


def show(counts: Counter[str], listed: list[dict[str, str]], go_on: str) -> None:
    """Writes the run's artifacts: counts, and the first 100 findings (OPS-21)."""
    create_table_artifact(
        key="store-audit",
        table=[{"what": what, "count": count} for what, count in counts.items()],
        description=go_on,
    )
    if listed:
        create_table_artifact(
            key="store-audit-findings", table=listed, description="The first 100 of what does not agree."
        )
