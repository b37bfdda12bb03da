"""Computes scores of all submissions anew after a score was defined or changed (CLAR-57, OPS-20)."""

from dataclasses import asdict
from datetime import UTC, datetime

from prefect import State, flow, task
from prefect.artifacts import create_table_artifact
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from core.answers.scoring import RunProgress, compute_open_runs
from core.database import open_session
from flows.hooks import HOOKS
from flows.infrastructure import is_infrastructure_error
from flows.run_names import rename_run


@task(
    name="compute scores",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=is_infrastructure_error,
)
def compute() -> list[RunProgress]:
    """Works off all recalculations. Repeating it after a failure continues where it stopped."""
    with open_session() as session:
        return compute_open_runs(session)


@flow(
    name="compute-scores",
    flow_run_name=lambda: f"compute scores {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    timeout_seconds=3600,
    **HOOKS,
)
def compute_scores() -> State:
    """Works off the recalculations that were asked for; `settle-changes` does so, too, every ten minutes."""
    done = compute()
    if not done:
        return Completed(name="NothingToCompute", message="No score was changed.")
    create_table_artifact(
        key="computed-scores", table=[asdict(one) for one in done], description="Recalculations of this run."
    )
    text = f"{sum(one.submissions for one in done):,} submissions, {sum(one.changed for one in done):,} values changed"
    rename_run(f"compute scores: {text}")
    return Completed(message=f"{text}.")
