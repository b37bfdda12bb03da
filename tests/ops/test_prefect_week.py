"""The simulated history is what the flows themselves write, and fits the tables of the installed Prefect (OPS-22)."""

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from prefect.server.database import orm_models as tables

from core.processing.report import ProcessingReport
from tests.prefect_week.fill import Deployed, open_database, write
from tests.prefect_week.history import Run
from tests.prefect_week.week import DISPATCHER, FLOWS, PROCESSING, Week

UNTIL = datetime(2026, 5, 10, 12, tzinfo=UTC)
DAYS = 2


def play(seed: int) -> list[Run]:
    """The two days before, with the schedules of the dispatcher and of purges, and all else that a week may have."""
    minutes = [UNTIL - timedelta(days=DAYS) + timedelta(minutes=m) for m in range(DAYS * 24 * 60)]
    nightly = [at for at in minutes if (at.hour, at.minute) == (3, 17)]
    schedules = {
        DISPATCHER: minutes,
        "purge-participants": minutes[::10],
        "prune-history": nightly,
        "audit-data": nightly,
    }
    return Week(UNTIL, seed, DAYS).play(schedules, {name: {} for name in FLOWS})


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return play(seed=0)


def prefects_database(folder: Path) -> sa.Engine:
    """An empty one, as the server makes it."""
    environment = os.environ | {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder / 'prefect.db'}",
    }
    prefect = str(Path(sys.executable).with_name("prefect"))
    subprocess.run(
        [prefect, "server", "database", "upgrade", "--yes"], env=environment, check=True, capture_output=True
    )
    return open_database(folder / "prefect.db")


def of(runs: list[Run], flow: str, state: str) -> list[Run]:
    return [run for run in runs if run.flow == flow and run.last.name == state]


def test_empty_looks_are_marked_and_the_others_say_what_they_started(runs: list[Run]):
    """OPS-22: as `flows.process_uploads` says it."""
    looks = Counter(run.last.name for run in runs if run.flow == DISPATCHER)
    assert looks["NothingWaiting"] + looks["Completed"] == DAYS * 24 * 60
    assert 0.5 < looks["NothingWaiting"] / looks.total() < 0.9
    started = [run for run in of(runs, DISPATCHER, "Completed") if "1 runs started" in (run.last.message or "")]
    assert len(started) == len([run for run in runs if run.flow == PROCESSING])


def test_processing_leaves_the_table_that_the_flow_writes(runs: list[Run]):
    """OPS-21."""
    for run in of(runs, PROCESSING, "Completed"):
        (table,) = (json.loads(shown.data) for shown in run.artifacts if shown.key == "processed-uploads")
        counts = {row["what"]: row["count"] for row in table}
        assert counts.keys() & ProcessingReport().counts().keys() >= {"files", "failed"}
        assert run.tasks and all(task.last.name == "Completed" for task in run.tasks)


def test_a_store_that_is_away_is_retried_and_fails_runs_by_name(runs: list[Run]):
    """OPS-20: each task is tried four times; the runs go on failing until the store is back."""
    failed = of(runs, PROCESSING, "Failed")
    assert len(failed) > 3
    assert all("StoreUnavailable: " in (run.last.message or "") for run in failed)
    assert [step.name for step in failed[0].tasks[0].steps].count("Retrying") == 3


def test_a_killed_run_ends_in_the_middle_of_a_task(runs: list[Run]):
    (killed,) = of(runs, PROCESSING, "Crashed")
    assert killed.tasks[0].last.name == "Running"
    assert killed.artifacts == []


def test_the_same_seed_gives_the_same_history(runs: list[Run]):
    assert play(seed=0) == runs


@pytest.mark.long
def test_it_fits_the_tables_of_the_installed_prefect(runs: list[Run], tmp_path: Path):
    engine = prefects_database(tmp_path)
    deployments = {}
    with engine.begin() as connection:
        for name in FLOWS:
            deployments[name] = Deployed(uuid4(), uuid4(), None, "processing", ["a tag"], {}, [])
            connection.execute(sa.insert(tables.Flow), [{"id": deployments[name].flow_id, "name": name}])
    some = [run for run in runs if run.expected > UNTIL - timedelta(hours=8)]
    write(engine, some, deployments, seed=0)
    with engine.connect() as connection:
        written = connection.execute(sa.select(tables.FlowRun.name, tables.FlowRun.state_name)).all()
        newest = connection.scalar(sa.select(tables.ArtifactCollection.latest_id).filter_by(key="processed-uploads"))
        last = connection.scalars(
            sa.select(tables.Artifact.id).filter_by(key="processed-uploads").order_by(tables.Artifact.created.desc())
        ).first()
        states = connection.scalar(sa.select(sa.func.count(tables.FlowRunState.id)))
    engine.dispose()
    assert sorted(tuple(row) for row in written) == sorted((run.new_name or run.name, run.last.name) for run in some)
    assert states == sum(len(run.steps) for run in some)
    assert newest == last
