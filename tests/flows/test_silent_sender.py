"""The Prefect server starts a sender when the web processes tell it that none sends (CLAR-62). Real server."""

from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.settings import get_current_settings

from core.config import load_settings
from core.outgoing.transports import Letter, send_prefect_event
from ops.lost_runs import keep
from ops.silent_sender import NAME, silent_sender
from tests.flows.test_lost_runs import forget
from tests.support.ports import wait_until


@pytest.mark.usefixtures("prefect")
def test_a_silent_sender_starts_a_run_of_the_deployment(request: pytest.FixtureRequest) -> None:
    settings = load_settings(prefect_api_url=str(get_current_settings().api.url))
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow_from_name("send-notifications")
        deployment_id = client.create_deployment(flow_id, "send-notifications")
        for _ in range(2):
            keep(client, silent_sender(deployment_id))
        (automation,) = client.read_automations_by_name(NAME)
        request.addfinalizer(partial(forget, automation.id))
        event = {
            "event": "beiwe.trouble.began",
            "occurred": datetime.now(UTC).isoformat(),
            "id": str(uuid4()),
            "resource": {"prefect.resource.id": "beiwe.trouble.sender-silent"},
            "related": [],
            "payload": {"kind": "sender silent"},
        }
        other = {**event, "id": str(uuid4()), "resource": {"prefect.resource.id": "beiwe.trouble.tokens-lost"}}
        for each in (other, event):
            send_prefect_event(settings, Letter(str(uuid4()), "prefect", "", (), each))
        of_deployment = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id]))
        wait_until(lambda: client.read_flow_runs(flow_run_filter=of_deployment))
        assert len(client.read_flow_runs(flow_run_filter=of_deployment)) == 1
