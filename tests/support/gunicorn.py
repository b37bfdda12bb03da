"""A real gunicorn with the project's own configuration."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from core.config import REPOSITORY, Settings
from tests.support.ports import free_port, wait_until

READY_SECONDS = 60
STOP_SECONDS = 20


@contextmanager
def gunicorn_on(settings: Settings, **environment: str) -> Iterator[tuple[int, psutil.Process]]:
    """Port and master process of a server on the database and VAR_DIR of these settings; one worker by default."""
    own = {
        "PATH": "/usr/bin:/bin",
        "VAR_DIR": str(settings.var_dir),
        "DATABASE_URL": settings.configured_database_url or "",
        "FLASK_SECRET_KEY": settings.secret_key,
    }
    with _running(own | environment) as running:
        yield running


@contextmanager
def gunicorn(**environment: str) -> Iterator[str]:
    """The address of a server with the settings of the test's environment; one worker by default."""
    with _running(os.environ | environment) as (port, _):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(environment: Mapping[str, str]) -> Iterator[tuple[int, psutil.Process]]:
    port = free_port()
    script = Path(sys.executable).with_name("gunicorn")
    command = [str(script), "--config", "ops/gunicorn.conf.py", "--log-level", "warning", "webapp:create_app()"]
    given = {"WEB_WORKERS": "1", **environment, "PORT": str(port)}
    started = subprocess.Popen(command, cwd=REPOSITORY, env=given)
    try:
        wait_until(lambda: started.poll() is not None or _answers(port), READY_SECONDS)
        assert started.poll() is None, "gunicorn does not start"
        yield port, psutil.Process(started.pid)
    finally:
        started.terminate()
        try:
            started.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2).close()
    except urllib.error.HTTPError:
        return True  # in production another host is refused
    except OSError:
        return False
    return True
