"""Reads stored files of answers that have no submission yet: older data, imports (CLAR-56, OPS-20).

Phones' uploads are read while they are processed; this finds nothing to do unless files came another way.
"""

from dataclasses import asdict
from datetime import UTC, datetime

from prefect import State, flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from core.answers.backlog import (
    ReadParticipant,
    participants_to_read,
    read_participant,
    record_all_wordings,
    sole_reader,
)
from core.config import get_settings
from core.database import get_engine, open_session
from flows.hooks import HOOKS
from flows.infrastructure import get_store, is_infrastructure_error
from flows.progress import Progress
from flows.run_names import rename_run

MOST_SECONDS = 12 * 3600  # of a large import; the next run continues where this one stopped
MOST_LISTED = 100
PARTICIPANTS_IN_A_TASK = 50


@task(
    name="read answers",
    task_run_name="{others} more after participant {numbers[0]}",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=is_infrastructure_error,
)
def read(numbers: list[int], others: int) -> list[ReadParticipant]:
    """Reads these participants, one after the other. Repeating it after a failure is safe."""
    found = [read_participant(get_engine(), get_store(), get_settings(), number) for number in numbers]
    return [each for each in found if each is not None]


@flow(
    name="read-answers",
    flow_run_name=lambda: f"read answers {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    timeout_seconds=MOST_SECONDS,
    **HOOKS,
)
def read_answers() -> State:
    """Reads all stored files of answers that were not read yet, one run at a time. Nobody is alerted of them."""
    done: list[ReadParticipant] = []
    with sole_reader(get_engine()) as is_sole:
        if not is_sole:
            return Completed(name="AnotherReads", message="Another run is reading.")
        with open_session() as session:
            record_all_wordings(session)
            numbers = participants_to_read(session)
        progress = Progress("participants", len(numbers))
        for start in range(0, len(numbers), PARTICIPANTS_IN_A_TASK):
            some = numbers[start : start + PARTICIPANTS_IN_A_TASK]
            done += read(some, len(some) - 1)
            progress.move(len(some), f"{start + len(some)} of {len(numbers)}")
        progress.end(f"{len(done)} participants")
    if not done:
        return Completed(name="NothingToRead", message="All stored files of answers were read before.")
    show(done)
    text = f"{sum(one.submissions for one in done):,} submissions of {len(done):,} participants"
    get_run_logger().info(text)
    rename_run(f"read answers: {text}")
    return Completed(message=f"{text}.")


def show(done: list[ReadParticipant]) -> None:
    """Writes an artifact with a row per participant; those with problems come first (OPS-21)."""
    order = sorted(done, key=lambda one: (not one.is_left, -one.problems, one.patient_id))
    create_table_artifact(
        key="read-answers",
        table=[asdict(one) for one in order[:MOST_LISTED]],
        description=f"Stored answers of {len(done):,} participants, the first {MOST_LISTED} shown.",
    )
