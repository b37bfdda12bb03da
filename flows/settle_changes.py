"""Completes what earlier changes and passing time left open: held uploads, last days, edits, events (OPS-20)."""

from collections.abc import Callable
from datetime import UTC, datetime

from prefect import State, flow, task
from prefect.artifacts import create_table_artifact
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from core.answers.keeping import keep_outcomes
from core.answers.scoring import compute_open_runs
from core.config import get_settings
from core.database import get_engine, open_session
from core.participants.departures import retire_departed
from core.participants.editing import delete_old_edits
from core.phones.holding import delete_held, release_stranded
from core.processing.departed import departures_to_trim, trim_departed
from flows.hooks import HOOKS
from flows.infrastructure import get_store, is_infrastructure_error
from flows.run_names import rename_run


def release_held_uploads() -> int:
    """Releases held uploads of participants who take part again; they were stored during the undo (CLAR-12)."""
    with open_session() as session:
        return release_stranded(session)


def delete_held_uploads() -> int:
    """Deletes uploads of retired participants and stopped studies ten minutes later, unless undone (CLAR-12)."""
    with open_session() as session:
        return delete_held(session, get_store(), datetime.now(UTC))


def remove_hours() -> int:
    """Removes chunk rows from after the last day of participants who withdrew or completed (CLAR-35)."""
    with open_session() as session:
        waiting = departures_to_trim(session)
    return sum(trim_departed(get_engine(), get_store(), get_settings(), number) or 0 for number in waiting)


def retire() -> int:
    """Retires participants 14 days after their last day (CLAR-35)."""
    total = 0
    with open_session() as session:
        while count := retire_departed(session, datetime.now(UTC)):
            session.commit()
            total += count
    return total


def forget_edits() -> int:
    """Deletes the undo records of bulk edits older than 24 hours (CLAR-25)."""
    with open_session() as session:
        count = delete_old_edits(session, datetime.now(UTC))
        session.commit()
    return count


def count_events() -> int:
    """Writes down the events of surveys that have counted, and those that were missed (NOTIF-24)."""
    with open_session() as session:
        return keep_outcomes(session, datetime.now(UTC))


def compute_scores() -> int:
    """Computes scores anew that were changed (CLAR-57)."""
    with open_session() as session:
        return len(compute_open_runs(session))


PARTS: dict[str, Callable[[], int]] = {
    "held uploads released": release_held_uploads,
    "held uploads deleted": delete_held_uploads,
    "hours removed": remove_hours,
    "participants retired": retire,
    "values of old edits forgotten": forget_edits,
    "outcomes of events": count_events,
    "scores computed": compute_scores,
}


@task(
    name="settle",
    task_run_name="{what}",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=is_infrastructure_error,
)
def settle(what: str) -> int:
    """Runs one step. Returns how many rows it completed."""
    return PARTS[what]()


@flow(
    name="settle-changes",
    flow_run_name=lambda: f"settle changes {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    timeout_seconds=3600,
    **HOOKS,
)
def settle_changes() -> State:
    """Runs all steps. A step that fails does not affect the others and is tried again at the next run."""
    states = {what: settle(what, return_state=True) for what in PARTS}
    counts = {what: state.result(raise_on_failure=False) for what, state in states.items()}
    defects = [result for result in counts.values() if isinstance(result, BaseException)]
    if defects:
        raise defects[0]
    if not any(counts.values()):
        return Completed(name="NothingToDo", message="Nothing was left open.")
    table = [{"what": what, "count": count} for what, count in counts.items()]
    create_table_artifact(key="settled-changes", table=table, description="What a run ended.")
    text = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    rename_run(f"settle changes: {text}")
    return Completed(message=f"{text}.")
