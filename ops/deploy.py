"""`python -m ops.deploy`: brings every deployment of prefect.yaml to the Prefect server; again and again is fine."""

import os
import subprocess
import sys
from pathlib import Path

from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.workers.process import ProcessWorker

from core.config import REPOSITORY

POOLS = ("processing",)


def deploy() -> None:
    """Makes the work pools and the deployments; ends the process with what Prefect printed when that fails."""
    with get_client(sync_client=True) as client:
        template = ProcessWorker.get_default_base_job_template()
        for pool in POOLS:
            client.create_work_pool(
                WorkPoolCreate(name=pool, type="process", base_job_template=template), overwrite=True
            )
    prefect = str(Path(sys.executable).with_name("prefect"))
    command = [prefect, "--no-prompt", "deploy", "--all", "--prefect-file", str(REPOSITORY / "prefect.yaml")]
    environment = os.environ | {"BEIWE_HOME": str(REPOSITORY)}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"the deployments of prefect.yaml were not taken:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    deploy()
