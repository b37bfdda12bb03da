"""Rebuilds scheduled events from surveys, dates, zones and participants' states (NOTIF-5, NOTIF-7, OPS-20).

It runs each hour for all studies, so that the events of the coming weeks exist. For a study with more than 500
participants it also runs right after a change (CLAR-14).
"""

from dataclasses import asdict
from datetime import UTC, datetime

from prefect import State, flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from core.database import get_engine, open_session
from core.surveys.rebuilding import RebuiltStudy, rebuild_study, sole_rebuilder, studies_to_rebuild
from flows.hooks import HOOKS
from flows.infrastructure import is_infrastructure_error
from flows.run_names import rename_run

MOST_SECONDS = 3600
MOST_LISTED = 100
STUDIES_IN_A_TASK = 50


@task(
    name="rebuild schedules",
    task_run_name="studies {numbers[0]} and {others} more",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=is_infrastructure_error,
)
def rebuild(numbers: list[int], others: int) -> list[RebuiltStudy]:
    """Rebuilds these studies, one after the other. Repeating it after a failure is safe."""
    return [rebuild_study(get_engine(), number, datetime.now(UTC)) for number in numbers]


@flow(
    name="rebuild-schedules",
    flow_run_name=lambda: f"rebuild schedules {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    timeout_seconds=MOST_SECONDS,
    **HOOKS,
)
def rebuild_schedules(only_asked: bool = False) -> State:
    """Rebuilds the studies with a requested rebuild, then, unless `only_asked`, all others. One run at a time."""
    done: list[RebuiltStudy] = []
    with sole_rebuilder(get_engine()) as is_sole:
        if not is_sole:
            return Completed(name="AnotherRebuilds", message="Another run is rebuilding.")
        numbers = waiting(only_asked=only_asked)
        for start in range(0, len(numbers), STUDIES_IN_A_TASK):
            some = numbers[start : start + STUDIES_IN_A_TASK]
            done += rebuild(some, len(some) - 1)
        while asked := waiting(only_asked=True):  # rebuilds that were requested meanwhile
            done += rebuild(asked[:STUDIES_IN_A_TASK], min(len(asked), STUDIES_IN_A_TASK) - 1)
    show(done)
    if not any(one.removed or one.created or one.was_asked for one in done):
        return Completed(name="NothingChanged", message=f"{len(done)} studies: all events are as they should be.")
    removed, created = sum(one.removed for one in done), sum(one.created for one in done)
    text = f"{len(done):,} studies, {removed:,} events removed, {created:,} created"
    get_run_logger().info(text)
    rename_run(f"rebuild schedules: {text}")
    return Completed(message=f"{text}.")


def waiting(*, only_asked: bool) -> list[int]:
    with open_session() as session:
        return studies_to_rebuild(session, only_asked=only_asked)


def show(done: list[RebuiltStudy]) -> None:
    """Writes an artifact with a row per study; those that changed or were requested come first (OPS-21)."""
    order = sorted(done, key=lambda one: (not (one.removed or one.created), not one.was_asked, one.study_id))
    create_table_artifact(
        key="rebuilt-schedules",
        table=[asdict(one) for one in order[:MOST_LISTED]],
        description=f"Scheduled events of {len(done):,} studies, the first {MOST_LISTED} shown.",
    )
