"""Deletes old flow runs, history rows older than the settings keep them, and old exports (OPS-22, MODEL-107)."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import chain

from prefect import flow, get_client, task
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import Artifact, FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from prefect.tasks import exponential_backoff

from core.config import get_settings
from core.database import get_engine, open_session
from core.exports.expiry import count_old_exports, prune_exports
from core.notifications.pruning import count_old_messages, prune_messages
from core.operations.history_pruning import count_old_rows, prune_rows
from core.outgoing.pruning import count_old_outgoing, prune_outgoing
from flows.hooks import HOOKS
from flows.infrastructure import get_store, is_infrastructure_error
from flows.progress import Progress
from flows.purge_participants import CERTIFICATE

KEPT_FOR = {
    timedelta(days=30): [StateType.COMPLETED, StateType.CANCELLED],
    timedelta(days=180): [StateType.FAILED, StateType.CRASHED],
}
PAGE_RUNS = 100
PAUSE_SECONDS = 0.02
MOST_SECONDS = 2 * 3600


@task(name="prune flow runs", task_run_name="flow runs, page {number}")
def prune_page(number: int, states: list[StateType], before: datetime) -> int:
    """Deletes one page of runs that ended before a time, with their artifacts and logs. Returns their number."""
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=ended(states, before), limit=PAGE_RUNS)
        if runs:
            delete_artifacts(client, runs)
        for run in runs:
            try:
                client.delete_flow_run(run.id)
            except ObjectNotFound:
                continue
            # Prefect now deletes the logs by itself. On SQLite the next deletion would wait two seconds for its lock.
            time.sleep(PAUSE_SECONDS)
    return len(runs)


@task(
    name="prune rows",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=is_infrastructure_error,
)
def prune_histories() -> dict[str, int]:
    """Deletes rows older than the settings keep them. Returns the number by table."""
    counts: Counter[str] = Counter()
    with open_session() as session:
        settings, now = get_settings(), datetime.now(UTC)
        pruned = chain(
            prune_rows(session, settings, now),
            prune_messages(session, settings.push_messages_kept_days, now),
            prune_outgoing(session, settings.outgoing_messages_kept_days, now),
            prune_exports(get_engine(), get_store(), now),
        )
        for table, count in pruned:
            counts[table] += count
    return dict(counts)


@flow(
    name="prune-history",
    flow_run_name=lambda: f"prune history {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    timeout_seconds=MOST_SECONDS,
    **HOOKS,
)
def prune_history(dry_run: bool = False) -> dict[str, int]:
    """Deletes old runs and histories; an artifact says how many. With `dry_run` it only counts them."""
    now = datetime.now(UTC)
    counts = {f"flow runs, {kept.days} days": count_runs(ended(KEPT_FOR[kept], now - kept)) for kept in KEPT_FOR}
    if dry_run:
        with open_session() as session:
            counts |= count_old_rows(session, get_settings(), now)
            counts |= count_old_messages(session, get_settings().push_messages_kept_days, now)
            counts |= count_old_outgoing(session, get_settings().outgoing_messages_kept_days, now)
            counts |= count_old_exports(session, now)
    else:
        progress = Progress("pruning", sum(counts.values()))
        counts = {f"flow runs, {kept.days} days": prune_runs(kept, now, progress) for kept in KEPT_FOR}
        counts |= prune_histories()
        progress.end("done")
    create_table_artifact(
        key="pruned-history",
        table=[{"what": what, "would be deleted" if dry_run else "deleted": n} for what, n in counts.items()],
        description="Flow runs older than they are kept, and rows older than the settings keep them.",
    )
    return counts


def prune_runs(kept: timedelta, now: datetime, progress: Progress) -> int:
    """Deletes runs page by page until none is left. Returns their number."""
    total = number = 0
    while count := prune_page(number := number + 1, KEPT_FOR[kept], now - kept):
        total += count
        progress.move(count, f"{total} flow runs older than {kept.days} days")
    return total


def ended(states: list[StateType], before: datetime) -> FlowRunFilter:
    """The filter for runs that ended in one of these states before a time."""
    return FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=states)),
        end_time=FlowRunFilterEndTime(before_=before),
    )


def count_runs(which: FlowRunFilter) -> int:
    """The number of runs that match the filter."""
    with get_client(sync_client=True) as client:
        return client.count_flow_runs(flow_run_filter=which)


def delete_artifacts(client: SyncPrefectClient, runs: list[FlowRun]) -> None:
    """Deletes the artifacts of these runs, except purge certificates. Prefect itself would keep them."""
    of_runs = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id for run in runs]))
    found: list[Artifact] = []
    while page := client.read_artifacts(artifact_filter=of_runs, limit=PAGE_RUNS, offset=len(found)):
        found += page
    for artifact in found:
        if not (artifact.key or "").startswith(CERTIFICATE):
            client.delete_artifact(artifact.id)
