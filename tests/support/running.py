"""The web server and commands as users run them: real processes, with the settings of the test's environment."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.config import REPOSITORY

READY_SECONDS = 60
STOP_SECONDS = 20


@contextmanager
def gunicorn(**environment: str) -> Iterator[str]:
    """The address of a gunicorn of our configuration; it has stopped when the block is left."""
    port = _free_port()
    script = Path(sys.executable).with_name("gunicorn")
    command = [str(script), "--config", "ops/gunicorn.conf.py", "--log-level", "warning", "webapp:create_app()"]
    settings = {**os.environ, "PORT": str(port), "WEB_WORKERS": "1", **environment}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=settings)
    try:
        end = time.monotonic() + READY_SECONDS
        while not _answers(port):
            assert process.poll() is None and time.monotonic() < end, "gunicorn does not answer"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
