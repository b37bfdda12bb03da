"""Queues the night's Forest tasks of each study whose clock shows two (CLAR-81, OPS-20)."""

from datetime import UTC, datetime

from prefect import State, flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.states import Completed, Failed
from prefect.tasks import exponential_backoff

from core.config import get_settings
from core.database import open_session
from core.forest.nightly import queue_night, studies_in_the_night
from flows.hooks import HOOKS
from flows.infrastructure import INFRASTRUCTURE_ERRORS, is_infrastructure_error
from flows.run_names import rename_run


@task(
    name="queue changed days",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=is_infrastructure_error,
)
def queue(now: datetime) -> list[dict[str, str | int]]:
    """Queues the nights that have begun; repeating it queues nothing twice. A study that fails keeps no other back."""
    queued: list[dict[str, str | int]] = []
    window = get_settings().forest_window_days
    with open_session() as session:
        for study in studies_in_the_night(session, now):
            object_id = study.object_id
            try:
                tasks = queue_night(session, study, now, window)
                session.commit()
            except INFRASTRUCTURE_ERRORS:
                raise
            except Exception as error:
                session.rollback()
                get_run_logger().exception("the night of study %s", object_id)
                queued.append({"study": object_id, "tasks": 0, "error": type(error).__name__})
            else:
                queued.append({"study": object_id, "tasks": tasks})
    return queued


@flow(
    name="queue-forest",
    flow_run_name=lambda: f"queue Forest {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    timeout_seconds=1800,
    **HOOKS,
)
def queue_forest() -> State:
    """Queues what changed since the night before; the dispatcher then starts `run-forest`."""
    queued = queue(datetime.now(UTC))
    if not queued:
        return Completed(name="NothingToQueue", message="No study's night has begun since the last run.")
    create_table_artifact(key="queued-forest", table=queued, description="Nightly Forest tasks by study.")
    total = sum(int(one["tasks"]) for one in queued)
    rename_run(f"queue Forest: {total} tasks of {len(queued)} studies")
    if failed := sum("error" in one for one in queued):
        return Failed(message=f"The nights of {failed} studies could not be queued; the others were: {total} tasks.")
    return Completed(message=f"{total} tasks of {len(queued)} studies.")
