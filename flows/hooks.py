"""What every flow does when a run ends, however it ends: count it (OPS-32), and tell somebody of a failure."""

from typing import Any

import urllib3
from prefect import get_run_logger
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow

from core.config import get_settings
from core.database import open_session
from core.tallies import Counted, add_tallies

ALERT_SECONDS = 5.0


def count_run(flow: Flow[..., Any], _run: FlowRun, state: State[Any]) -> None:
    """Adds the run to its flow's; Prefect logs what this raises, and the run's own state stays as it is."""
    with open_session() as session:
        add_tallies(session, Counted.FLOW_RUNS, {f"{flow.name}/{state.type.value.lower()}": 1})
        session.commit()


def tell_of_failure(flow: Flow[..., Any], run: FlowRun, state: State[Any]) -> None:
    """Posts one sentence as JSON, `{"text": …}`, to ALERT_URL where one is set; chat services take that form.

    It names flow, run and state, never what the run worked on.
    """
    address = get_settings().alert_url
    if address is None:
        return
    text = f"{flow.name}: the run {run.name} ended as {state.name}. Its log is in the Prefect UI, run {run.id}."
    try:
        answer = urllib3.request(
            "POST", address.get_secret_value(), json={"text": text}, timeout=ALERT_SECONDS, retries=2
        )
    except urllib3.exceptions.HTTPError as error:
        get_run_logger().warning("nobody was told of the failure: %s", type(error).__name__)
        return
    if answer.status >= 400:
        get_run_logger().warning("nobody was told of the failure: the alert's address answered %s", answer.status)


HOOKS: dict[str, Any] = {
    "on_completion": [count_run],
    "on_failure": [count_run, tell_of_failure],
    "on_crashed": [count_run, tell_of_failure],
    "on_cancellation": [count_run],
}
"""For all four hooks of a flow: `@flow(…, **HOOKS)`."""
