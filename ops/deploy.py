"""`python -m ops.deploy`: registers everything with the Prefect server; may be repeated.

These are the work pools with their queues, every deployment of prefect.yaml, and two automations: one ends lost runs,
one starts a sender when none sends.
"""

import os
import subprocess
import sys

from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate

from core.config import REPOSITORY
from ops.lost_runs import keep, lost_runs
from ops.silent_sender import silent_sender
from ops.worker import FOREST_POOL

POOL = "beiwe"
# Priorities: a worker takes runs of the smallest number first.
QUEUES = {"dispatch": 1, "notifications": 2, "processing": 3, "maintenance": 4}

# A run cannot override any of it, so that people who start runs cannot choose the command, folder or environment.
# `env` is left out because Prefect would merge a run's own variables into it.
JOB_TEMPLATE = {
    "job_configuration": {"stream_output": True},
    "variables": {"type": "object", "properties": {}, "additionalProperties": False},
}


def deploy() -> None:
    """Creates pool, queues, deployments and automations. If that fails, prints Prefect's words and ends the process."""
    with get_client(sync_client=True) as client:
        pool = WorkPoolCreate(name=POOL, type="process", base_job_template=JOB_TEMPLATE)
        client.create_work_pool(pool, overwrite=True)
        client.create_work_pool(pool.model_copy(update={"name": FOREST_POOL}), overwrite=True)
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
    with get_client(sync_client=True) as client:
        sender = client.read_deployment_by_name("send-notifications/send-notifications")
        keep(client, silent_sender(sender.id))


if __name__ == "__main__":
    deploy()
