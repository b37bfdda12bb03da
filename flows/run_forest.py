"""Runs queued Forest tasks, each tree in a process of its own with limits (FOREST-20, OPS-20)."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict
from datetime import UTC, datetime

from prefect import State, flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.states import Completed

from core.config import get_settings
from core.database import get_engine, open_session
from core.forest.at_once import trees_at_once
from core.forest.run import Outcome, run_task
from core.forest.tasks import claim_next, take_up_lost
from flows.hooks import HOOKS
from flows.infrastructure import get_store
from flows.run_names import rename_run

WORK_SECONDS = 3000
MOST_SECONDS = 6 * 3600


@task(name="run a Forest task", task_run_name="Forest task {number}")
def run_one(number: int) -> Outcome:
    """Runs the claimed task of this number. Its failure is in its row, which decides about another try."""
    return run_task(get_engine(), get_store(), get_settings(), number)


@flow(
    name="run-forest",
    flow_run_name=lambda: f"run Forest {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    timeout_seconds=MOST_SECONDS,
    **HOOKS,
)
def run_forest() -> State:
    """Works off queued tasks for up to 50 minutes, several at a time. The Forest log shows their progress."""
    with open_session() as session:
        lost = take_up_lost(session, datetime.now(UTC))
        session.commit()
        at_once = get_settings().forest_tasks or trees_at_once(session)
    if lost:
        get_run_logger().warning("%s tasks whose process had ended are queued again", lost)
    end = time.monotonic() + WORK_SECONDS
    with ThreadPoolExecutor(at_once) as pool:  # each with the flow's context, so that its tasks are the run's
        parts = [pool.submit(copy_context().run, _work, end) for _ in range(at_once)]
    done = [one for part in parts for one in part.result()]
    if not done:
        return Completed(name="NothingWaiting", message="No task waited.")
    create_table_artifact(
        key="forest-tasks",
        table=[{**asdict(one), "reason": (one.reason or "")[:200]} for one in done],
        description="Forest tasks of this run, with the highest memory of each in bytes.",
    )
    failed = sum(one.state == "error" for one in done)
    rename_run(f"run Forest: {len(done)} tasks, {failed} failed")
    return Completed(message=f"{len(done)} tasks; {failed} failed.")


def _work(end: float) -> list[Outcome]:
    """Runs task after task until none waits or the time is over."""
    done = []
    while time.monotonic() < end and (number := claim_next(get_engine(), datetime.now(UTC))) is not None:
        done.append(run_one(number))
    return done
