"""`make run` as a newcomer sees it: everything up, an upload becomes a chunk through Prefect, Ctrl-C leaves nothing."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.config import REPOSITORY
from ops.phones import Phone, Platform, Transport

READY_SECONDS = 120
CHUNK_SECONDS = 90


class Run:
    """A running `python -m ops.run` with ports and a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.port, self.prefect_port = _free_port(), _free_port()
        own = {"VAR_DIR": str(folder), "PORT": str(self.port), "PREFECT_PORT": str(self.prefect_port)}
        unwanted = ("DATABASE_URL", "FLASK_SECRET_KEY", "PREFECT_API_URL", "BEIWE_ENV")
        self.environment = {k: v for k, v in os.environ.items() if k not in unwanted} | own
        self.log = folder.parent / "run.log"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ops.run"], env=self.environment, cwd=REPOSITORY, start_new_session=True,
            stdout=self.log.open("wb"), stderr=subprocess.STDOUT,
        )  # fmt: skip

    def flask(self, *arguments: str) -> Any:
        command = [sys.executable, "-m", "flask", "--app", "webapp", *arguments, "--json"]
        done = subprocess.run(command, env=self.environment, cwd=REPOSITORY, check=True, capture_output=True)
        return json.loads(done.stdout)

    def prefect(self, path: str, **body: Any) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.prefect_port}/api/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        return json.loads(urllib.request.urlopen(request, timeout=10).read())

    def interrupt(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(60)

    @property
    def printed(self) -> str:
        return self.log.read_text(errors="replace")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path / "var")
    yield run
    if run.process.poll() is None:
        os.killpg(run.process.pid, signal.SIGTERM)
        run.process.wait(60)


def test_a_newcomers_first_run_from_start_to_ctrl_c(run: Run, tmp_path: Path):
    """OPS-20 to OPS-22, OPS-31; the contracts of `make run`."""
    until(lambda: "one-time password" in run.printed, READY_SECONDS, run)
    assert f"http://127.0.0.1:{run.port}" in run.printed
    assert re.search(r"admin +one-time password +\S{20,}", run.printed)
    both = {"process-uploads", "process-participants"}
    until(lambda: {d["name"] for d in run.prefect("deployments/filter")} >= both, READY_SECONDS, run)

    study = run.flask("study", "create", "--name", "First study")["object_id"]
    (person,) = run.flask("participant", "create", "--study", study)
    phone = Phone(person["patient_id"], person["password"], Platform.ANDROID, Transport(f"http://127.0.0.1:{run.port}"))
    assert phone.register().status == 200
    phone.collect("gps", 1_700_002_800_000, 1_700_004_600_000)
    assert [answer.status for answer in phone.upload_round()] == [200]
    chunk = tmp_path / "var/objects/CHUNKED_DATA" / study / person["patient_id"] / "gps/2023-11-14T23:00:00.csv.zst"
    until(chunk.exists, CHUNK_SECONDS, run)
    until(lambda: artifacts(run).get("files", 0) >= 2, 60, run)
    answer = urllib.request.urlopen(f"http://127.0.0.1:{run.port}/background_processing_status", timeout=5)
    assert answer.status == 200

    assert run.interrupt() == 0
    assert [p.cmdline() for p in psutil.process_iter(["pid"]) if mentions(p, str(tmp_path))] == []


def artifacts(run: Run) -> dict[str, int]:
    """The newest table of a processing run, by what it counts."""
    found = run.prefect("artifacts/latest/filter", artifacts={"key": {"any_": ["processed-uploads"]}})
    return {row["what"]: row["count"] for row in json.loads(found[0]["data"])} if found else {}


def mentions(process: psutil.Process, text: str) -> bool:
    try:
        return text in " ".join(process.cmdline()) or text in process.environ().get("VAR_DIR", "")
    except psutil.Error:
        return False


def until(found: Callable[[], Any], seconds: float, run: Run) -> Any:
    """Waits for a true answer and gives it; fails with what the run has printed."""
    end = time.monotonic() + seconds
    while True:
        try:
            if answer := found():
                return answer
        except OSError:
            pass
        assert run.process.poll() is None, f"it ended:\n{run.printed[-3000:]}"
        assert time.monotonic() < end, run.printed[-3000:]
        time.sleep(0.2)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
