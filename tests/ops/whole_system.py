"""`make run` as its own process, with ports and a folder of its own, and what tests ask of it."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from core.config import REPOSITORY
from core.embedded import Folder
from ops.phones import Phone, Platform, Transport
from tests.core.embedded.processes import everything

READY_SECONDS = 180
BUSY_SECONDS = 30
UNWANTED = ("DATABASE_URL", "FLASK_SECRET_KEY", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "BEIWE_ENV", "S3_BUCKET")


class WholeSystem:
    """A running `python -m ops.run`."""

    def __init__(self, var_dir: Path, *, checkout: Path = REPOSITORY, **environment: str) -> None:
        """Of this checkout, or of another one that has its own virtual environment."""
        self.var_dir, self.checkout = var_dir, checkout
        self.python = sys.executable if checkout == REPOSITORY else str(checkout / ".venv" / "bin" / "python")
        self.port, self.prefect_port = free_port(), free_port()
        own = {"VAR_DIR": str(var_dir), "PORT": str(self.port), "PREFECT_PORT": str(self.prefect_port)}
        self.environment = {k: v for k, v in os.environ.items() if k not in UNWANTED} | own | environment
        self.log = var_dir.parent / "run.log"
        self.start()

    def start(self) -> None:
        """Starts it, again with the same ports."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [self.python, "-m", "ops.run"],
            env=self.environment,
            cwd=self.checkout,
            start_new_session=True,
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
        )

    @property
    def portal(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def prefect_address(self) -> str:
        return f"http://127.0.0.1:{self.prefect_port}"

    @property
    def printed(self) -> str:
        return self.log.read_text(errors="replace")

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """A management command, beside the running system."""
        words = [self.python, "-m", "flask", "--app", "webapp", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(words, env=self.environment, cwd=self.checkout, text=True, **pipes)

    def flask(self, *arguments: str) -> Any:
        """The answer of a management command as JSON."""
        process = self.command(*arguments, "--json")
        printed, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        return json.loads(printed)

    def new_phone(self) -> Phone:
        """The registered phone of a new participant in a new study."""
        study = self.flask("study", "create", "--name", f"Study {time.time_ns()}")["object_id"]
        (person,) = self.flask("participant", "create", "--study", study)
        phone = Phone(person["patient_id"], person["password"], Platform.ANDROID, Transport(self.portal))
        assert phone.register().status == 200
        phone.study = study
        return phone

    def chunk(self, phone: Phone, name: str) -> Path:
        """Where a chunk of this phone's data will be, such as `gps/2023-11-14T23:00:00.csv`."""
        return self.var_dir / "objects" / "CHUNKED_DATA" / phone.study / phone.patient_id / f"{name}.zst"

    @property
    def secret(self) -> str:
        """What Prefect asks for, as it is printed."""
        self.until(lambda: "It asks for" in self.printed, READY_SECONDS)
        return self.printed.partition("It asks for")[2].split()[0]

    def prefect(self, path: str, *, headers: dict[str, str] | None = None, **body: Any) -> Any:
        """The answer of Prefect's API to a request with the secret; raises HTTPError where it refuses."""
        own = {"Authorization": "Basic " + base64.b64encode(self.secret.encode()).decode()}
        last = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return self.prefect_refused(path, headers=own | (headers or {}), **body)
            except urllib.error.HTTPError as refused:
                # Prefect on SQLite says 503 while its database is busy, and its own clients try again.
                if refused.code != 503 or time.monotonic() > last:
                    raise
                refused.close()
            time.sleep(0.5)

    def prefect_refused(self, path: str, *, headers: dict[str, str], **body: Any) -> Any:
        """The answer of Prefect's API to a request with these headers alone."""
        request = urllib.request.Request(
            f"{self.prefect_address}/api/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"} | headers,
        )
        return json.loads(urllib.request.urlopen(request, timeout=30).read())

    def until(self, found: Callable[[], Any], seconds: float = READY_SECONDS) -> Any:
        """Waits for a true answer and gives it; fails with what the system has printed."""
        last = time.monotonic() + seconds
        while True:
            with suppress(OSError):
                if answer := found():
                    return answer
            assert self.process.poll() is None, f"it ended:\n{self.printed[-3000:]}"
            assert time.monotonic() < last, self.printed[-3000:]
            time.sleep(0.1)

    def until_up(self) -> None:
        """Waits until portal and Prefect answer."""
        self.until(lambda: "It asks for" in self.printed and "Portal  " in self.printed)

    def part(self, words: str) -> psutil.Process | None:
        """The part of this system whose command has these words."""
        for process in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):
                if words in " ".join(process.cmdline()):
                    return process
        return None

    def interrupt(self, number: int = signal.SIGINT) -> int:
        """Ctrl-C; the exit status."""
        os.killpg(self.process.pid, number)
        return self.process.wait(90)

    def left(self) -> list[str]:
        """Commands of processes that belong to this system."""
        found = [process.pid for process in psutil.process_iter() if mentions(process, str(self.var_dir))]
        return [described for number in {*found, *everything(self.var_dir)} if (described := words_of(number))]

    def kill_everything(self) -> None:
        """SIGKILL to every process of it, and waits for their end."""
        self.process.kill()
        self.process.wait()
        found = [process for process in psutil.process_iter() if mentions(process, str(self.var_dir))]
        for number in everything(self.var_dir):
            with suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(number))
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, timeout=30)

    def clean_up(self) -> None:
        """Leaves nothing behind, whatever the test has done."""
        if self.process.poll() is None:
            self.interrupt(signal.SIGTERM)
        self.kill_everything()

    @property
    def server(self) -> int | None:
        """Process id of the running PostgreSQL."""
        return Folder(self.var_dir).server_pid()


def mentions(process: psutil.Process, text: str) -> bool:
    """Whether a process was started for this folder; not the test itself."""
    try:
        is_named = text in " ".join(process.cmdline()) or text == process.environ().get("VAR_DIR")
        return is_named and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def words_of(number: int) -> str | None:
    """A process's command, or None where it has ended."""
    try:
        return " ".join(psutil.Process(number).cmdline())
    except psutil.Error:
        return None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
