"""Processes that use the embedded PostgreSQL of a folder as commands do, and how the tests look at them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from core.config import REPOSITORY
from core.embedded import Folder
from core.embedded.server import processes_in

WAIT_SECONDS = 60
COMMAND = """
import sys, psycopg2
from pathlib import Path
from core.embedded import EmbeddedDatabaseError, use
try:
    connection = psycopg2.connect(use(Path(sys.argv[1])))
except EmbeddedDatabaseError as error:
    sys.exit(f"Error: {error}")
with connection, connection.cursor() as cursor:
    cursor.execute("SELECT 1")
print("works", flush=True)
if sys.argv[2] == "stays":
    sys.stdin.read()
"""


def command(var_dir: Path, *, stays: bool = False, before: list[str] | None = None, **options: Any) -> subprocess.Popen:
    """A process that uses the database, once or until its standard input is closed."""
    arguments = [*(before or [sys.executable]), "-c", COMMAND, str(var_dir), "stays" if stays else "ends"]
    defaults = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(arguments, cwd=REPOSITORY, **(defaults | options))


def run(var_dir: Path, **options: Any) -> subprocess.CompletedProcess:
    """Such a process that has ended."""
    process = command(var_dir, **options)
    printed, errors = process.communicate(timeout=WAIT_SECONDS)
    return subprocess.CompletedProcess(process.args, process.returncode, printed, errors)


def staying(var_dir: Path, **options: Any) -> subprocess.Popen:
    """Such a process that is connected and stays."""
    process = command(var_dir, stays=True, **options)
    assert process.stdout and process.stderr
    assert process.stdout.readline() == "works\n", process.stderr.read()
    return process


def end(process: subprocess.Popen) -> None:
    """Lets it end by itself."""
    process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0


def keepers(var_dir: Path) -> Iterator[psutil.Process]:
    """Keepers of this folder."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if "core.embedded.keeper" in words and words[-1] == str(var_dir):
                yield process


def everything(var_dir: Path) -> list[int]:
    """Ids of keepers and of PostgreSQL's processes of this folder."""
    return [process.pid for process in keepers(var_dir)] + list(processes_in(Folder(var_dir).data))


def kill_everything(var_dir: Path, *more: subprocess.Popen) -> None:
    """SIGKILL to all, and waits until they are gone."""
    for process in more:
        process.kill()
    for number in everything(var_dir):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    for process in more:
        process.communicate()
    nothing_runs(var_dir)


def nothing_runs(var_dir: Path) -> None:
    """Waits until neither a keeper nor a process of PostgreSQL is left."""
    until(lambda: not everything(var_dir), f"still there: {everything(var_dir)}")


def until(is_so: Callable[[], object], otherwise: str, seconds: float = WAIT_SECONDS) -> None:
    """Waits for a condition."""
    last = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < last, otherwise
        time.sleep(0.02)
