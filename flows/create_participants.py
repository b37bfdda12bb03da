"""Creates the participants of batches that the portal or a command requested (CLAR-32, OPS-20)."""

from datetime import UTC, datetime

from prefect import State, flow, task
from prefect.artifacts import create_table_artifact
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from core.config import get_settings
from core.database import get_engine
from core.models import ParticipantBatch
from core.participants.batches import make_next, sole_maker
from flows.hooks import HOOKS
from flows.infrastructure import get_store, is_infrastructure_error
from flows.run_names import rename_run

MOST_SECONDS = 3600


@task(
    name="create participants",
    task_run_name="participants {number}",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=is_infrastructure_error,
)
def create_some(number: int) -> ParticipantBatch | None:
    """Creates up to fifty participants of the oldest open batch; returns None when no batch is open."""
    return make_next(get_engine(), get_store(), get_settings())


@flow(
    name="create-participants",
    flow_run_name=lambda: f"create participants {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    timeout_seconds=MOST_SECONDS,
    **HOOKS,
)
def create_participants() -> State:
    """Works until no batch is open, one run at a time. Each batch's row holds its progress, which its page shows."""
    batches: dict[int, ParticipantBatch] = {}
    with sole_maker(get_engine()) as is_sole:
        if not is_sole:
            return Completed(name="AnotherCreates", message="Another run is creating participants.")
        number = 1
        while (batch := create_some(number)) is not None:
            batches[batch.id] = batch
            number += 1
    if not batches:
        return Completed(name="NothingWaiting", message="No batch waited.")
    show(list(batches.values()))
    text = f"{len(batches)} batches, {sum(batch.made for batch in batches.values()):,} participants"
    rename_run(f"create participants: {text}")
    return Completed(message=f"{text}.")


def show(batches: list[ParticipantBatch]) -> None:
    """Writes an artifact with the batches of this run; without ids and passwords (OPS-21)."""
    create_table_artifact(
        key="created-participants",
        table=[{"batch": b.id, "study": b.study_id, "wanted": b.wanted, "made": b.made} for b in batches],
        description="Batches of participants that were worked on, by number.",
    )
