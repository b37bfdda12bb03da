"""Management commands as users run them, in processes of their own with the settings of the test's environment."""

import json
import os
import subprocess
import sys
from typing import Any

from core.config import REPOSITORY


def run_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A management command in a process of its own."""
    command = [sys.executable, "-m", "flask", "--app", "webapp", *arguments]
    return subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
    )


def command(*arguments: str) -> Any:
    """What a management command that succeeds prints as JSON."""
    done = run_command(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
