"""Builds the exports that researchers asked for, one at a time (CLAR-74, OPS-20)."""

from dataclasses import asdict
from datetime import UTC, datetime

from prefect import State, flow, task
from prefect.artifacts import create_table_artifact
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from core.config import get_settings
from core.database import get_engine
from core.exports.building import BuiltExport, build_next
from core.exports.standing import sole_builder
from core.models import ExportState
from flows.hooks import HOOKS
from flows.infrastructure import get_store, is_infrastructure_error
from flows.run_names import rename_run

MOST_SECONDS = 12 * 3600  # of all exports of a run; one that is cut off says that its job died


@task(
    name="build export",
    task_run_name="export {number}",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=is_infrastructure_error,
)
def build(number: int) -> BuiltExport | None:
    """Builds the export that was queued first; returns None when none is."""
    return build_next(get_engine(), get_store(), get_settings())


@flow(
    name="build-exports",
    flow_run_name=lambda: f"build exports {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    timeout_seconds=MOST_SECONDS,
    **HOOKS,
)
def build_exports() -> State:
    """Works until no export is queued, one run at a time. Each export's row holds its progress, which a page shows."""
    built: list[BuiltExport] = []
    with sole_builder(get_engine()) as is_sole:
        if not is_sole:
            return Completed(name="AnotherBuilds", message="Another run is building exports.")
        while (one := build(len(built) + 1)) is not None:
            built.append(one)
    if not built:
        return Completed(name="NothingWaiting", message="No export waited.")
    create_table_artifact(
        key="built-exports",
        table=[asdict(one) | {"state": one.state.value} for one in built],
        description="Exports of this run, by number.",
    )
    failed = sum(one.state is ExportState.FAILED for one in built)
    text = f"{len(built)} exports, {failed} failed"
    rename_run(f"build exports: {text}")
    return Completed(message=f"{text}.")
