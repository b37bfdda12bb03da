"""`python -m ops.deploy`: brings every deployment of prefect.yaml to the Prefect server; again and again is fine."""

import subprocess
import sys
from pathlib import Path

from core.config import REPOSITORY

POOLS = ("processing",)


def deploy() -> None:
    """Makes the work pools and the deployments. Raises CalledProcessError with what Prefect printed."""
    prefect = str(Path(sys.executable).with_name("prefect"))
    for pool in POOLS:
        _run(prefect, "work-pool", "create", pool, "--type", "process", "--overwrite")
    _run(prefect, "--no-prompt", "deploy", "--all", "--prefect-file", str(REPOSITORY / "prefect.yaml"))


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command[1:4])} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    import os

    os.environ.setdefault("BEIWE_HOME", str(REPOSITORY))
    deploy()
