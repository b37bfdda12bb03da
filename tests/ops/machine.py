"""A small deployment of real processes that can be killed and started again: database, web server, worker."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psycopg2

from core.config import REPOSITORY
from core.embedded import Folder, release, use

_CLAIMS = """
    SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND %(name)s IN (application_name, 'database') LIMIT 1
"""


class Machine:
    """Database under `folder`, gunicorn as in production, and workers that process without end.

    Durability is that of production: nothing is switched off in PostgreSQL.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database_url = use(folder)
        self.port = _free_port()
        self.environment = {
            **os.environ,
            "VAR_DIR": str(folder),
            "DATABASE_URL": self.database_url,
            "PORT": str(self.port),
            "FLASK_SECRET_KEY": "a secret of the tests",
            "WEB_WORKERS": "2",
            "WEB_THREADS": "4",
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._watching: psycopg2.extensions.connection | None = None
        self.log = (folder / "log").open("wb")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def flask(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "flask", "--app", "webapp", *arguments]
        return subprocess.run(
            command, env=self.environment, cwd=REPOSITORY, check=True, capture_output=True
        ).stdout.decode()

    def start(self, name: str) -> None:
        """Starts `web` or a worker, or the database again."""
        if name == "database":
            use(self.folder)
            return
        command = {
            "web": [
                str(Path(sys.executable).with_name("gunicorn")),
                "-c",
                "ops/gunicorn.conf.py",
                "webapp:create_app()",
            ],
        }.get(name, [sys.executable, "-m", "tests.ops.endless_worker"])
        self.processes[name] = subprocess.Popen(
            command,
            env={**self.environment, "PGAPPNAME": name},
            cwd=REPOSITORY,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def is_working(self, name: str) -> bool:
        """Whether this worker holds a claim, or with `database` any; nobody does while that is down."""
        try:
            if self._watching is None:
                self._watching = psycopg2.connect(self.database_url)
                self._watching.autocommit = True
            with self._watching.cursor() as cursor:
                cursor.execute(_CLAIMS, {"name": name})
                return cursor.fetchone() is not None
        except psycopg2.Error:
            self._watching = None
            return False

    def kill(self, name: str) -> None:
        """SIGKILL to the process and all its children."""
        if name == "database":
            os.kill(Folder(self.folder).server_pid(), signal.SIGKILL)
            return
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def stop(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        if self._watching is not None:
            self._watching.close()
        release(self.folder)
        self.log.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
