"""A whole server for a benchmark: its own VAR_DIR, a PostgreSQL that syncs as in production, gunicorn.

Only for a process of its own, since it changes the environment.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from flask_migrate import upgrade

from core.audit import SERVER
from core.config import REPOSITORY, Settings, get_settings
from core.database import db
from core.embedded import Folder, running
from core.models import Study
from core.models.study import new_object_id
from core.participants import NewParticipant, create_participants
from core.studies import create_study
from webapp import create_app
from webapp.stores import sealed_store

WORKERS = 2
READY_SECONDS = 60
STOP_SECONDS = 15
SAMPLE_SECONDS = 0.01
# Whatever the machine is configured for, a benchmark runs on its own database and folder.
NOT_INHERITED = ("BEIWE_ENV", "DATABASE_URL", "RDS_HOSTNAME", "S3_BUCKET", "S3_ENDPOINT", "SEAL", "WEB_THREADS")


@dataclass(frozen=True)
class BenchServer:
    """A running server. `address` has scheme and port; `postgres_log` is where PostgreSQL writes."""

    address: str
    settings: Settings
    gunicorn: psutil.Process
    postgres: psutil.Process
    postgres_log: Path

    @property
    def workers(self) -> list[psutil.Process]:
        """Gunicorn's workers."""
        return self.gunicorn.children()


@contextmanager
def migrated() -> Iterator[Settings]:
    """A VAR_DIR and a database of its own, with the application's context in this process; gone afterwards."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the blocks below are left in order
    with tempfile.TemporaryDirectory(prefix="beiwe-bench-") as folder:
        var_dir = Path(folder) / "var"
        for name in NOT_INHERITED:
            os.environ.pop(name, None)
        os.environ |= {"VAR_DIR": str(var_dir), "PORT": str(_free_port()), "WEB_WORKERS": str(WORKERS)}
        get_settings.cache_clear()
        settings = get_settings()
        with running(settings.var_dir) as address:
            os.environ["DATABASE_URL"] = address
            get_settings.cache_clear()
            app = create_app()
            with app.app_context():
                upgrade()
                try:
                    yield get_settings()
                finally:
                    db.session.remove()
                    db.engine.dispose()


@contextmanager
def serving() -> Iterator[BenchServer]:
    """The server, ready for requests, on a database of its own; gone afterwards."""
    with migrated() as settings, _gunicorn(settings.port) as process:
        folder = Folder(settings.var_dir)
        master = psutil.Process(folder.server_pid())
        yield BenchServer(f"http://127.0.0.1:{settings.port}", settings, process, master, folder.data / "log")


def study_with_participants(count: int) -> tuple[Study, list[NewParticipant]]:
    """A new study and its participants, through the application's own functions; needs the context of `serving`."""
    study = create_study(db.session(), f"Benchmark {new_object_id()}", actor=SERVER)
    db.session.commit()
    return study, create_participants(db.session(), sealed_store(study), study, count, actor=SERVER)


def cpu_seconds(parent: psutil.Process) -> float:
    """Processor time, user and system, that a process and all its descendants have used, ended ones included."""
    own = parent.cpu_times()
    children = (child.cpu_times() for child in parent.children(recursive=True))
    return own.user + own.system + own.children_user + own.children_system + sum(c.user + c.system for c in children)


def resident_mb(processes: list[psutil.Process]) -> float:
    """Resident memory of the largest of these processes, in MB."""
    return max(process.memory_info().rss for process in processes) / 1e6


class MemoryWatch:
    """Samples the largest worker's resident memory while its block runs; `peak_mb` afterwards."""

    def __init__(self, processes: list[psutil.Process]) -> None:
        self._processes = processes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak_mb = 0.0

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self.peak_mb = max(self.peak_mb, resident_mb(self._processes))


@contextmanager
def _gunicorn(port: int) -> Iterator[psutil.Process]:
    script = Path(sys.executable).with_name("gunicorn")
    command = [str(script), "--config", "ops/gunicorn.conf.py", "--log-level", "warning", "webapp:create_app()"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=sys.stderr)
    try:
        master = psutil.Process(process.pid)
        end = time.monotonic() + READY_SECONDS
        while not (len(master.children()) == WORKERS and _answers(port)):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"gunicorn does not answer (exit status {process.poll()})")
            time.sleep(0.1)
        yield master
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
