"""Runs whose machine was lost: an automation of the Prefect server ends them as `Crashed`, named `Lost`.

Prefect itself would show such a run as running for ever. Other runs take over its work in any case, because claims are
PostgreSQL locks that end with the connection.
"""

from datetime import timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

NAME = "runs whose machine was lost"
SILENCE = timedelta(minutes=10)  # a run's process sends a heartbeat every three minutes
ENDS = ("Completed", "Failed", "Cancelled", "Crashed")
MESSAGE = "There was no sign of life from its process any more: machine lost, or cut off from Prefect."


def lost_runs(silence: timedelta = SILENCE) -> AutomationCore:
    """The automation that ends a run when its heartbeats stop for that time; ended runs stay as they are."""
    heartbeat = "prefect.flow-run.heartbeat"
    return AutomationCore(
        name=NAME,
        description=f"Ends runs as Crashed that have given no sign of life for {silence}.",
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            for_each={"prefect.resource.id"},
            after={heartbeat},
            expect={heartbeat, *(f"prefect.flow-run.{state}" for state in ENDS)},
            posture=Posture.Proactive,
            threshold=1,
            within=silence,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, name="Lost", message=MESSAGE)],
    )


def keep(client: SyncPrefectClient, automation: AutomationCore) -> None:
    """Creates the automation, or updates the one of its name."""
    known = client.read_automations_by_name(automation.name)
    if known:
        client.update_automation(known[0].id, automation)
    else:
        client.create_automation(automation)
