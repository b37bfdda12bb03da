"""Commands that use the embedded PostgreSQL: together, one after the other, killed, and after everything was killed."""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg2
import pytest

from core.config import REPOSITORY
from core.embedded import Folder, release, running, use
from tests.core.embedded.processes import (
    command,
    end,
    keepers,
    kill_everything,
    nothing_runs,
    run,
    staying,
    until,
)

WRITER = """
import sys, psycopg2
from pathlib import Path
from core.embedded import use
connection = psycopg2.connect(use(Path(sys.argv[1])))
cursor = connection.cursor()
cursor.execute("CREATE TABLE IF NOT EXISTS kept (number integer)")
cursor.execute("SELECT coalesce(max(number), 0) FROM kept")
number = cursor.fetchone()[0]
connection.commit()
while True:
    number += 1
    cursor.execute("INSERT INTO kept VALUES (%s)", (number,))
    connection.commit()
    print(number, flush=True)
"""


@pytest.fixture
def var_dir(tmp_path: Path):
    yield tmp_path / "var"
    kill_everything(tmp_path / "var")


def test_a_command_has_the_server_for_as_long_as_it_runs(var_dir: Path):
    """CLAR-2."""
    process = staying(var_dir)
    assert Folder(var_dir).is_listening()
    end(process)
    nothing_runs(var_dir)
    assert not (Folder(var_dir).data / "postmaster.pid").exists()


def test_the_last_user_ends_the_server_not_the_one_that_started_it(var_dir: Path):
    """CLAR-2."""
    first, second = staying(var_dir), staying(var_dir)
    server = Folder(var_dir).server_pid()
    end(first)
    third = run(var_dir)
    assert third.returncode == 0
    assert Folder(var_dir).server_pid() == server
    end(second)
    nothing_runs(var_dir)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_killed_leaves_no_server(var_dir: Path, number: int):
    """CLAR-2: the kernel drops its lock."""
    process = staying(var_dir)
    process.send_signal(number)
    process.communicate()
    nothing_runs(var_dir)


def test_ten_commands_and_forty_threads_start_at_once(var_dir: Path):
    """CLAR-2."""
    failures: list[str] = []

    def look() -> None:
        try:
            psycopg2.connect(use(var_dir)).close()
        except Exception as error:
            failures.append(repr(error))

    processes = [command(var_dir) for _ in range(10)]
    threads = [threading.Thread(target=look) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    answers = [process.communicate(timeout=120) for process in processes]
    assert failures == []
    assert answers == [("works\n", "")] * 10
    assert len(list(keepers(var_dir))) == 1
    release(var_dir)
    nothing_runs(var_dir)


def test_a_server_that_is_killed_is_started_again_by_its_next_use(var_dir: Path):
    """CLAR-2: also where commands of the application hold pools of lost connections."""
    with running(var_dir):
        for number in (Folder(var_dir).server_pid(), next(keepers(var_dir)).pid):
            assert number
            os.kill(number, signal.SIGKILL)
        psycopg2.connect(use(var_dir)).close()
        assert Folder(var_dir).is_listening()
    nothing_runs(var_dir)


def test_a_server_without_keeper_is_taken_over_and_stopped(var_dir: Path):
    """CLAR-2."""
    with running(var_dir):
        server = Folder(var_dir).server_pid()
        next(keepers(var_dir)).kill()
        until(lambda: not list(keepers(var_dir)), "the keeper lives")
        assert run(var_dir).returncode == 0
        assert Folder(var_dir).server_pid() == server
    nothing_runs(var_dir)


def zombie() -> tuple[str, subprocess.Popen]:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    return str(process.pid), process


@pytest.mark.parametrize("damage", ["another process", "a zombie", "three lines", "empty", "half a line", "rubbish"])
def test_a_stale_file_of_process_ids_is_not_believed(var_dir: Path, damage: str):
    """CLAR-2: everything was killed; then the file names another program, or was only half written."""
    process = staying(var_dir)
    file = Folder(var_dir).data / "postmaster.pid"
    lines = file.read_text().splitlines()
    kill_everything(var_dir, process)
    undead, body = zombie()
    contents = {
        "another process": "\n".join([str(os.getppid()), *lines[1:]]) + "\n",
        "a zombie": "\n".join([undead, *lines[1:]]) + "\n",
        "three lines": "\n".join([str(os.getppid()), *lines[1:3]]) + "\n",
        "empty": "",
        "half a line": str(os.getppid())[:1],
        "rubbish": "[26384] 26384]",
    }[damage]
    file.write_text(contents)
    (Folder(var_dir).data / ".s.PGSQL.5432.lock").write_text(contents)
    done = run(var_dir)
    body.wait()
    assert (done.returncode, done.stdout, done.stderr) == (0, "works\n", "")
    nothing_runs(var_dir)


def killed_again_and_again(var_dir: Path, rounds: int) -> None:
    dice, acknowledged = random.Random(0), 0
    for _ in range(rounds):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(var_dir)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        for _ in range(dice.randint(1, 200)):
            acknowledged = int(process.stdout.readline())
        process.kill()
        kill_everything(var_dir)
        acknowledged = max([acknowledged, *(int(line) for line in process.communicate()[0].split("\n")[:-1])])
    with running(var_dir) as address, psycopg2.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(DISTINCT number), max(number) FROM kept")
        count, different, highest = cursor.fetchone() or ()
    connection.close()
    assert count == different == highest
    assert highest in (acknowledged, acknowledged + 1)


@pytest.mark.long
def test_three_rounds_of_killing_everything_lose_no_committed_row(var_dir: Path):
    """CLAR-2."""
    killed_again_and_again(var_dir, 3)


@pytest.mark.long
def test_twenty_rounds_of_killing_everything_lose_no_committed_row(var_dir: Path):
    """CLAR-2."""
    killed_again_and_again(var_dir, 20)
