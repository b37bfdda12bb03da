"""`python -m ops.deploy`: brings what we need to the Prefect server, again and again if need be.

That is the work pool and its queues, every deployment of prefect.yaml, and the automation that ends lost runs.
"""

import os
import subprocess
import sys

from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate

from core.config import REPOSITORY
from ops.lost_runs import keep, lost_runs

POOL = "beiwe"
# By urgency: the smaller the number, the sooner a worker takes a run of it.
QUEUES = {"dispatch": 1, "processing": 2, "maintenance": 3}

# Nothing of it can be changed for a run: who may start runs cannot choose the command, its folder or its environment.
# `env` is left out because Prefect merges a run's variables into it wherever it is.
JOB_TEMPLATE = {
    "job_configuration": {"stream_output": True},
    "variables": {"type": "object", "properties": {}, "additionalProperties": False},
}


def deploy() -> None:
    """Makes pool, queues, automation and deployments; ends the process with what Prefect printed if that fails."""
    with get_client(sync_client=True) as client:
        pool = WorkPoolCreate(name=POOL, type="process", base_job_template=JOB_TEMPLATE)
        client.create_work_pool(pool, overwrite=True)
        known = {queue.name for queue in client.read_work_queues(work_pool_name=POOL)}
        for queue, priority in QUEUES.items():
            if queue not in known:
                client.create_work_queue(queue, priority=priority, work_pool_name=POOL)
        keep(client, lost_runs())
    command = [
        sys.executable,
        "-m",
        "prefect",
        "--no-prompt",
        "deploy",
        "--all",
        "--prefect-file",
        str(REPOSITORY / "prefect.yaml"),
    ]
    environment = os.environ | {"BEIWE_HOME": str(REPOSITORY)}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"the deployments of prefect.yaml were not taken:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    deploy()
