"""`make run` when its parts, or all of it, are killed, and when its database is somebody else's first."""

import os
import re
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from core.embedded import Folder
from tests.core.embedded.processes import kill_everything, staying
from tests.ops.test_run import CHUNK_SECONDS, HOUR_MS
from tests.ops.whole_system import WholeSystem


@pytest.mark.long
@pytest.mark.timeout(600)
def test_each_part_is_started_again_by_itself(run: WholeSystem):
    """OPS-23: after kills of Prefect, worker and PostgreSQL uploads go on, and all ends with the terminal."""
    run.until_up()
    phone = run.new_phone()
    for name, words in (("prefect", "ops.prefect_server"), ("worker", "worker"), ("postgres", "")):
        run.until(lambda words=words: run.part(words or "core.embedded.keeper"))
        number = run.server if name == "postgres" else run.part(words).pid
        assert number
        os.kill(number, signal.SIGKILL)
        run.until(lambda name=name: re.search(rf"\| {name} .*it is started again in \d+ s", run.printed))
        run.until(lambda words=words: run.part(words or "core.embedded.keeper"))
    run.until(lambda: run.server)
    run.until(lambda: urllib.request.urlopen(f"{run.portal}/readyz", timeout=10).status == 200)
    run.until(lambda: urllib.request.urlopen(f"{run.prefect_address}/api/health", timeout=10).status == 200)
    phone.collect("gps", HOUR_MS, HOUR_MS + 1_800_000)
    # A connection that PostgreSQL has left behind answers 503 once, and a phone comes back.
    run.until(lambda: 200 in [answer.status for answer in phone.upload_round()])
    run.until(run.chunk(phone, "gps/2023-11-14T23:00:00.csv").exists, CHUNK_SECONDS)
    run.process.send_signal(signal.SIGHUP)
    assert run.interrupt(signal.SIGHUP) == 0  # a terminal and `make` may both say so
    assert run.left() == []


def killed_and_started_again(run: WholeSystem, rounds: int) -> None:
    """SIGKILL to everything, a file of process ids that names another process, and a start, so often."""
    for _ in range(rounds):
        run.until(lambda: "Portal  " in run.printed)
        run.kill_everything()
        file = Folder(run.var_dir).data / "postmaster.pid"
        file.write_text(f"{os.getppid()}\n{file.parent}\n{int(time.time())}\n")
        run.start()
    run.until_up()
    assert run.interrupt(signal.SIGTERM) == 0
    assert run.left() == []


@pytest.mark.timeout(600)
@pytest.mark.long
def test_a_system_that_was_killed_comes_up_again_and_leaves_nothing(run: WholeSystem):
    """CLAR-2: twenty times in the long lane."""
    killed_and_started_again(run, 1)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_system_that_is_killed_twenty_times_comes_up_again_and_leaves_nothing(run: WholeSystem):
    """CLAR-2."""
    killed_and_started_again(run, 20)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_server_that_a_command_has_started_is_taken_over(tmp_path: Path):
    """CLAR-2: and the other way round, a command that still works at Ctrl-C keeps the database to its end."""
    var_dir = tmp_path / "var"
    before = staying(var_dir)
    server = Folder(var_dir).server_pid()
    run = WholeSystem(var_dir)
    try:
        run.until(lambda: "Portal  " in run.printed)
        before.communicate()
        assert run.server == server
        after = staying(var_dir)
        assert run.interrupt() == 0
        assert "PostgreSQL goes on until the commands that use it have ended" in run.printed
        assert run.server == server
        after.communicate()
        kill_when_late = time.monotonic() + 30
        while run.left() and time.monotonic() < kill_when_late:
            time.sleep(0.1)
        assert run.left() == []
    finally:
        run.clean_up()
        kill_everything(var_dir, before)
