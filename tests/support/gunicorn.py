"""A real gunicorn with the project's own configuration."""

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from core.config import REPOSITORY, Settings
from tests.support.ports import free_port, wait_until

STOP_SECONDS = 20


@contextmanager
def gunicorn_on(settings: Settings, **environment: str) -> Iterator[tuple[int, psutil.Process]]:
    """Port and master process of a server on the database and VAR_DIR of these settings; one worker unless told."""
    port = free_port()
    own = {
        "PATH": "/usr/bin:/bin",
        "VAR_DIR": str(settings.var_dir),
        "PORT": str(port),
        "WEB_WORKERS": "1",
        "DATABASE_URL": settings.configured_database_url or "",
        "FLASK_SECRET_KEY": settings.secret_key,
    }
    script = Path(sys.executable).with_name("gunicorn")
    command = [str(script), "--config", "ops/gunicorn.conf.py", "--log-level", "warning", "webapp:create_app()"]
    started = subprocess.Popen(command, cwd=REPOSITORY, env=own | environment)
    try:
        wait_until(lambda: started.poll() is not None or _answers(port))
        yield port, psutil.Process(started.pid)
    finally:
        started.terminate()
        started.wait(STOP_SECONDS)


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2).close()
    except urllib.error.HTTPError:
        return True  # in production another host is refused
    except OSError:
        return False
    return True
