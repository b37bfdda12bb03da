"""`python -m ops.worker [forest]`: waits for the Prefect server, registers the deployments, and becomes a worker.

With `forest` it serves the pool of Forest's analyses, which another worker has registered.
"""

import os
import sys
import time
import urllib.request
from datetime import UTC, datetime

from urllib3.util import make_headers

from core.config import ConfigurationError, get_settings

DISPATCHER = "process-uploads/process-uploads"
FOREST_POOL = "forest"
RUNS_AT_ONCE = "7"  # the dispatcher, two of notifications, two that process, and two of maintenance
LOOK_EVERY_SECONDS = "2"
WAIT_SECONDS = 120


def main() -> None:
    """Never returns: the worker replaces this process."""
    wait_for_server()
    if sys.argv[1:] == ["forest"]:
        become_forest_worker()
    # Prefect takes seconds of CPU to load, which its server needs while it starts.
    from prefect.deployments import run_deployment

    from ops.deploy import POOL, deploy

    deploy()
    drop_late_runs()
    run_deployment(DISPATCHER, timeout=0, as_subflow=False)  # waiting uploads are processed at once
    os.environ["PREFECT_WORKER_QUERY_SECONDS"] = LOOK_EVERY_SECONDS
    python = sys.executable
    os.execv(
        python,
        [python, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process", "--limit", RUNS_AT_ONCE],
    )


def become_forest_worker() -> None:
    """Replaces this process by a worker of Forest's pool, one run at a time. It waits until the pool is registered."""
    settings = get_settings()
    address = f"{settings.prefect_api_url or f'http://127.0.0.1:{settings.prefect_port}/api'}".rstrip("/")
    secret = settings.prefect_api_auth_string
    headers = make_headers(basic_auth=secret.get_secret_value()) if secret else {}
    pool = urllib.request.Request(f"{address}/work_pools/{FOREST_POOL}", headers=headers)
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(pool, timeout=5).close()
            break
        except OSError:
            time.sleep(1)
    os.environ["PREFECT_WORKER_QUERY_SECONDS"] = LOOK_EVERY_SECONDS
    python = sys.executable
    worker = ["worker", "start", "--pool", FOREST_POOL, "--type", "process", "--limit", "1"]
    os.execv(python, [python, "-m", "prefect", *worker])


def wait_for_server() -> None:
    """Waits until the server at PREFECT_API_URL answers; ends the process after two minutes without an answer."""
    try:
        settings = get_settings()
    except ConfigurationError as error:
        sys.exit(f"Error: {error}")
    address = settings.prefect_api_url or f"http://127.0.0.1:{settings.prefect_port}/api"
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                sys.exit(f"the Prefect server does not answer; is PREFECT_API_URL right? ({type(error).__name__})")
            time.sleep(0.2)


def drop_late_runs() -> None:
    """Deletes scheduled dispatcher runs that were missed while no worker ran; one new run replaces them (OPS-20)."""
    from prefect import get_client
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterExpectedStartTime,
        FlowRunFilterState,
        FlowRunFilterStateType,
        FlowRunFilterTags,
    )
    from prefect.client.schemas.objects import StateType

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
