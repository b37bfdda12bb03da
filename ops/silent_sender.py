"""When the sender of notifications falls silent, the Prefect server starts one: an automation (CLAR-62).

The web processes find the trouble and tell Prefect's server of it (`core/operations/telling`).
"""

from uuid import UUID

from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

NAME = "notifications are not sent"


def silent_sender(deployment_id: UUID) -> AutomationCore:
    """The automation that starts a run of this deployment, which sends for ten minutes."""
    return AutomationCore(
        name=NAME,
        description="Starts send-notifications when the sender has been silent for five minutes.",
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": "beiwe.trouble.sender-silent"}),
            expect={"beiwe.trouble.began"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[RunDeployment(source="selected", deployment_id=deployment_id)],
    )
