"""A run whose process is gone is ended by the Prefect server; others stay as they are. Real server, real processes."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.settings import get_current_settings

from ops.lost_runs import NAME, keep, lost_runs

FLOW = """
import sys, time
from prefect import flow

@flow(flow_run_name=sys.argv[1])
def sleeping():
    print("begun", flush=True)
    time.sleep(float(sys.argv[2]))

sleeping()
"""


def start(name: str, seconds: float) -> subprocess.Popen[str]:
    """A process that has begun a run of this name, which takes so long."""
    environment = os.environ | {
        "PREFECT_API_URL": str(get_current_settings().api.url),
        "PREFECT_LOGGING_LEVEL": "ERROR",
    }
    command = [sys.executable, "-c", FLOW, name, str(seconds)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    return process


def forget(automation_id: UUID) -> None:
    with get_client(sync_client=True) as client:
        client.delete_automation(automation_id)


def state_of(client: SyncPrefectClient, name: str) -> str:
    (run,) = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])))
    assert run.state
    return f"{run.state.type.value} {run.state.name}"


@pytest.mark.usefixtures("prefect")
def test_a_run_without_a_sign_of_life_is_ended_as_lost(request: pytest.FixtureRequest) -> None:
    """OPS-20; and bringing the automation again makes no second one."""
    with get_client(sync_client=True) as client:
        for _ in range(2):
            keep(client, lost_runs(silence=timedelta(seconds=10)))
        (automation,) = client.read_automations_by_name(NAME)
        request.addfinalizer(partial(forget, automation.id))  # it would end long runs of other tests
        lost = start("of a lost machine", seconds=600)
        request.addfinalizer(lost.kill)
        assert start("of another", seconds=0).wait(30) == 0
        time.sleep(1)  # its first sign of life is on its way
        lost.kill()
        lost.wait()
        assert state_of(client, "of a lost machine") == "RUNNING Running"
        end = time.monotonic() + 60
        while state_of(client, "of a lost machine") != "CRASHED Lost" and time.monotonic() < end:
            time.sleep(0.5)
        assert state_of(client, "of a lost machine") == "CRASHED Lost"
        assert state_of(client, "of another") == "COMPLETED Completed"
