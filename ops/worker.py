"""`python -m ops.worker`: waits for the Prefect server, brings the deployments to it, and becomes a worker."""

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from prefect import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import StateType
from prefect.deployments import run_deployment

from ops.deploy import POOL, deploy

DISPATCHER = "process-uploads/process-uploads"
RUNS_AT_ONCE = "5"  # the dispatcher, two runs that process, and two of maintenance
LOOK_EVERY_SECONDS = "2"
WAIT_SECONDS = 120


def main() -> None:
    """Never returns: the worker replaces this process."""
    wait_for_server()
    deploy()
    drop_late_runs()
    run_deployment(DISPATCHER, timeout=0, as_subflow=False)  # what waits does not wait for the next minute
    os.environ["PREFECT_WORKER_QUERY_SECONDS"] = LOOK_EVERY_SECONDS
    prefect = str(Path(sys.executable).with_name("prefect"))
    os.execv(prefect, [prefect, "worker", "start", "--pool", POOL, "--type", "process", "--limit", RUNS_AT_ONCE])


def wait_for_server() -> None:
    """Returns when the server behind PREFECT_API_URL answers; ends the process when it does not for two minutes."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        with get_client(sync_client=True) as client:
            if client.api_healthcheck() is None:
                return
        if time.monotonic() > end:
            sys.exit("the Prefect server does not answer; is PREFECT_API_URL right?")
        time.sleep(0.5)


def drop_late_runs() -> None:
    """Scheduled looks that nobody came to while no worker ran: one look now does for all of them (OPS-20)."""
    with get_client(sync_client=True) as client:
        late = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
                expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
                tags=FlowRunFilterTags(all_=["dispatcher"]),
            )
        )
        for run in late:
            client.delete_flow_run(run.id)


if __name__ == "__main__":
    main()
