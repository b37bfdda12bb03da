"""Workers that are killed in each phase of a task, and two workers on one queue (FOREST-22, FOREST-23)."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from core.config import REPOSITORY, Settings, get_settings
from core.database import db, pool_size
from core.forest import at_once
from core.forest.at_once import trees_at_once
from core.forest.run import remove_orphans
from core.forest.tasks import take_up_lost
from core.models import ForestDay, ForestTask, Participant
from core.streams import DataStream
from tests.core.forest.test_tasks import add_chunks, make, participant, run_next, study_of  # noqa: F401  a fixture
from tests.support.factories import Factory

LONGEST_S = 120.0
PHASES = {
    "data are fetched": "input",
    "the tree runs": "job.json",
    "results are stored": "answer.json",
}
"""The file in the run's folder with which each phase begins."""


def start_worker() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.support.forest_worker"], cwd=REPOSITORY, env=dict(os.environ))


def wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + LONGEST_S
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.0005)


def folders() -> list[Path]:
    return list((get_settings().var_dir / "forest").glob("run-*"))


def processes_below(folder: Path) -> list[str]:
    """Command lines of processes that name the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended
            continue
        if str(folder) in line:
            found.append(line)
    return found


@pytest.mark.parametrize(
    "phase", [pytest.param(name, marks=[pytest.mark.long] * (name != "the tree runs")) for name in PHASES]
)
def test_a_worker_that_is_killed_leaves_nothing_and_its_task_is_taken_up(
    app: Flask,
    participant: Participant,  # noqa: F811
    phase: str,
) -> None:
    """FOREST-23: at a random moment of the phase. No tree goes on, no folder stays, and the next worker finishes it."""
    (task,) = make(participant, "willow")
    db.session.remove()
    worker = start_worker()
    wait_for(lambda: any((folder / PHASES[phase]).exists() for folder in folders()))
    time.sleep(random.uniform(0, 0.02))
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    (folder,) = folders()
    wait_for(lambda: not processes_below(folder))

    session = db.session()
    task = session.get_one(ForestTask, task.id)
    if task.state == "running":  # not when it was killed after its last commit
        assert take_up_lost(session, datetime.now(UTC) + timedelta(minutes=4)) == 1
        task.not_before = datetime.now(UTC)
        session.commit()
        outcome = run_next()
        assert (outcome.state, outcome.days) == ("success", 3)
        assert session.get_one(ForestTask, task.id).tries == 2
    else:
        assert (task.state, task.days_written) == ("success", 3)
    remove_orphans(get_settings().var_dir / "forest")
    assert folders() == []
    assert session.scalar(sa.select(sa.func.count()).select_from(ForestDay)) == 3


@pytest.mark.long
def test_two_workers_share_a_queue(app: Flask, factory: Factory, participant: Participant) -> None:  # noqa: F811
    """FOREST-22: each task runs once, and never two of one participant and tree at a time."""
    other = factory.participant(study_of(participant), "second22")
    for stream in (DataStream.CALLS, DataStream.TEXTS):
        add_chunks(factory, other, stream)
    for _ in range(2):
        make(participant, "willow")
        make(other, "willow")
    db.session.remove()
    workers = [start_worker(), start_worker()]
    assert [worker.wait(LONGEST_S) for worker in workers] == [0, 0]
    tasks = db.session.scalars(sa.select(ForestTask).order_by(ForestTask.started_at)).all()
    assert [(task.state, task.tries, task.days_written) for task in tasks] == [("success", 1, 3)] * 4
    for one in (participant.id, other.id):
        first, second = [task for task in tasks if task.participant_id == one]
        assert first.ended_at and second.started_at and first.ended_at <= second.started_at
    assert tasks[0].ended_at and tasks[1].started_at and tasks[1].started_at < tasks[0].ended_at  # side by side
    assert folders() == []


def test_as_many_trees_run_as_processors_and_memory_allow(
    app: Flask,
    participant: Participant,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CLAR-80: by the highest peak measured; oak's is assumed until one succeeded. Each needs two connections."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)))
    monkeypatch.setattr(at_once, "memory_bytes", lambda: 12 << 30)
    session = db.session()
    assert trees_at_once(session) == 6  # 9 GiB hold six times 1,500 MiB
    willow, oak = make(participant, "willow", "oak")
    willow.peak_memory_bytes = oak.peak_memory_bytes = 100 << 20
    assert trees_at_once(session) == 6
    willow.state = oak.state = "error"
    oak.peak_memory_bytes = 3 << 30
    assert trees_at_once(session) == 3
    oak.state = "success"
    oak.peak_memory_bytes = 1 << 30
    assert trees_at_once(session) == 9
    oak.peak_memory_bytes = 60 << 30
    assert trees_at_once(session) == 1
    oak.peak_memory_bytes = 100 << 20
    assert trees_at_once(session) == 10  # as many as the pool has connections for
    monkeypatch.setenv("WEB_THREADS", "24")
    get_settings.cache_clear()
    assert trees_at_once(session) == 14


def test_settings_may_ask_for_more_trees_than_connections_are_kept_for(settings: Settings) -> None:
    """FOREST_TASKS trees have two connections each."""
    assert pool_size(settings) == 16
    assert pool_size(settings.model_copy(update={"forest_tasks": 30})) == 60
