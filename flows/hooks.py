"""Hooks that run when any flow's run ends: they count it (OPS-32) and send an alert if it failed.

Missing and damaged objects have an alert of their own: a run that finds some goes on and may complete.
"""

from collections.abc import Mapping
from typing import Any

import urllib3
from prefect import get_run_logger
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.runtime import flow_run as current_run

from core.config import get_settings
from core.database import open_session
from core.operations.tallies import Counted, add_tallies

ALERT_SECONDS = 5.0


# Prefect passes these arguments by name when the run's process was killed, and by position otherwise.


def count_run(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Counts the run for its flow. Prefect logs exceptions of a hook; they do not change the run's state."""
    with open_session() as session:
        add_tallies(session, {Counted.FLOW_RUNS: {f"{flow.name}/{state.type.value.lower()}": 1}})
        session.commit()


def tell_of_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Sends an alert with the flow, run and state, never with what the run worked on."""
    tell(
        f"{flow.name}: the run {flow_run.name} ended as {state.name}. Its log is in the Prefect UI, run {flow_run.id}."
    )


def tell_of_integrity(met: Mapping[str, int]) -> None:
    """Sends an alert with the numbers of missing and damaged objects by kind. A run calls it once, at its end."""
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(met.items()) if number)
    if kinds:
        tell(
            f"INTEGRITY, {current_run.flow_name}: the run {current_run.name} met objects that are missing or damaged: "
            f"{kinds}. Nothing was passed over: their files stay queued, or are set aside. Which, and why: the table "
            f"failed-uploads of run {current_run.id} in the Prefect UI, and log lines that begin with integrity: "
            "(docs/operating.md, Objects that are missing or damaged)."
        )


def tell(text: str) -> None:
    """Posts `{"text": …}` as JSON to ALERT_URL if it is set; chat services accept this form. Never raises."""
    address = get_settings().alert_url
    if address is None:
        return
    try:
        answer = urllib3.request(
            "POST", address.get_secret_value(), json={"text": text}, timeout=ALERT_SECONDS, retries=2, redirect=False
        )
    except urllib3.exceptions.HTTPError as error:
        get_run_logger().warning("nobody was told: %s", type(error).__name__)
        return
    if answer.status >= 300:  # also redirects, which could lead anywhere
        get_run_logger().warning("nobody was told: the alert's address answered %s", answer.status)


HOOKS: dict[str, Any] = {
    "on_completion": [count_run],
    "on_failure": [count_run, tell_of_failure],
    "on_crashed": [count_run, tell_of_failure],
    "on_cancellation": [count_run],
}
"""For all four hooks of a flow: `@flow(…, **HOOKS)`."""
