"""The dispatcher: each minute it starts as many processing runs as the waiting uploads need (OPS-20, OPS-22).

A run watches for most of its minute with two small queries at a time, so that on an idle system an upload is noticed
within seconds. Starting a process for each query would cost more.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

from prefect import State, flow, get_client, get_run_logger
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.deployments import run_deployment
from prefect.states import Completed
from sqlalchemy import Engine

from core.config import get_settings
from core.database import get_engine, open_session
from core.exports.standing import is_export_waiting, sole_builder
from core.forest.tasks import is_task_waiting
from core.participants.batches import is_batch_waiting, sole_maker
from core.processing.claims import count_waiting
from core.processing.presence import runs_present, sole_dispatcher
from core.processing.run import look_for_missing, mark_run
from core.surveys.rebuilding import is_rebuild_waiting, sole_rebuilder
from flows.hooks import HOOKS
from flows.run_names import rename_run

WORKERS_DEPLOYMENT = "process-participants"
REBUILD = "rebuild-schedules/rebuild-schedules"
FOREST = "run-forest/run-forest"
CREATE = "create-participants/create-participants"
EXPORTS = "build-exports/build-exports"
WATCH_SECONDS = 45
LOOK_SECONDS = 3
MOST_RUNS = 2  # more than the work pool runs at once would only wait
BATCHES_PER_RUN = 20
ON_THEIR_WAY = [StateType.SCHEDULED, StateType.PENDING]
STARTS_WITHIN = timedelta(minutes=2)
FOREST_STARTS_WITHIN = timedelta(hours=7)


@flow(
    name="process-uploads",
    flow_run_name=lambda: f"look for uploads {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    timeout_seconds=120,
    **HOOKS,
)
def process_uploads(watch_seconds: int = WATCH_SECONDS) -> State:
    """Starts runs of `process-participants` when uploads wait, and ends. When none wait, the run's state says so."""
    with sole_dispatcher(get_engine()) as is_sole:
        if not is_sole:
            return Completed(name="AnotherLooks", message="Another dispatcher is at work.")
        start_what_was_asked()
        look_for_missing(get_engine())
        waiting, started = look(watch_seconds)
    mark_run(get_engine())
    if not waiting:
        return Completed(name="NothingWaiting", message="No upload waited.")
    get_run_logger().info("%s files wait, %s runs started", waiting, started)
    rename_run(f"look for uploads: {waiting:,} waited, {started} runs started")
    return Completed(message=f"{waiting} files waited; {started} runs started.")


def look(watch_seconds: int) -> tuple[int, int]:
    """Watches until uploads wait or the time is over. Returns how many wait, and how many runs were started."""
    end = time.monotonic() + watch_seconds
    while True:
        with open_session() as session:
            waiting, present = count_waiting(session), runs_present(session)
        wanted = runs_wanted(waiting) - present
        if wanted > 0:
            return waiting, start_runs(wanted - runs_on_their_way())
        if time.monotonic() >= end:
            return waiting, 0
        time.sleep(LOOK_SECONDS)


def start_what_was_asked() -> None:
    """Starts runs that were requested while the Prefect server did not answer, or whose process died."""
    with open_session() as session:
        is_rebuild_asked, is_batch_asked = is_rebuild_waiting(session), is_batch_waiting(session)
        is_export_asked = is_export_waiting(session)
        is_forest_asked = is_task_waiting(session, datetime.now(UTC))
    if is_rebuild_asked and is_free(sole_rebuilder):
        run_deployment(REBUILD, parameters={"only_asked": True}, timeout=0, as_subflow=False)
    if is_batch_asked and is_free(sole_maker):
        run_deployment(CREATE, timeout=0, as_subflow=False)
    if is_export_asked and is_free(sole_builder):
        run_deployment(EXPORTS, timeout=0, as_subflow=False)
    # One run waits beside those that work: each worker of Forest's pool, on whatever machine, takes one.
    if is_forest_asked and not runs_on_their_way("run-forest", FOREST_STARTS_WITHIN):
        run_deployment(FOREST, timeout=0, as_subflow=False)


def is_free(sole: Callable[[Engine], AbstractContextManager[bool]]) -> bool:
    """Whether no process holds the lock of this work, which one process does at a time."""
    with sole(get_engine()) as is_ours:
        return is_ours


def runs_wanted(waiting: int) -> int:
    """How many runs to start: one for up to 20 batches of waiting files, two for more."""
    batches = math.ceil(waiting / get_settings().file_process_page_size)
    return min(MOST_RUNS, math.ceil(batches / BATCHES_PER_RUN))


def runs_on_their_way(
    deployment: str = WORKERS_DEPLOYMENT, within: timedelta = STARTS_WITHIN, states: Sequence[StateType] = ON_THEIR_WAY
) -> int:
    """The number of a deployment's runs that were requested lately, by default of those not begun."""
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[deployment])),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states))),
                expected_start_time=FlowRunFilterExpectedStartTime(after_=datetime.now(UTC) - within),
            ),
            limit=MOST_RUNS,
        )
    return len(runs)


def start_runs(count: int) -> int:
    """Requests this number of runs and does not wait for them."""
    for _ in range(count):
        run_deployment(f"{WORKERS_DEPLOYMENT}/{WORKERS_DEPLOYMENT}", timeout=0, as_subflow=False)
    return max(count, 0)
