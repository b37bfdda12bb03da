"""Writes runs into the database of a Prefect server, with its own tables; the server goes on meanwhile.

The server's interface would give its own time to every state, and take a quarter of an hour.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from prefect.client.schemas.objects import StateType
from prefect.server.database import orm_models as tables
from prefect.server.schemas.core import CreatedBy
from prefect.server.schemas.schedules import CronSchedule
from sqlalchemy.orm import Session

from tests.prefect_week.history import Run, Shown, Steps, TaskRun
from tests.prefect_week.stage import WORKER

Rows = dict[type[Any], list[dict[str, Any]]]
RUNS_AT_ONCE = 500
LOCK_SECONDS = 60
STEP = timedelta(hours=12)  # a schedule gives 1,000 times at once


@dataclass(frozen=True)
class Deployed:
    """A deployment as the server has it."""

    id: UUID
    flow_id: UUID
    queue_id: UUID | None
    queue: str | None
    tags: list[str]
    parameters: dict[str, Any]
    schedules: list[CronSchedule]

    def times(self, start: datetime, end: datetime) -> list[datetime]:
        """When its schedules run it, from start to before end (UTC)."""
        found: list[datetime] = []
        for schedule in self.schedules:
            at = start
            while at < end:
                until = min(at + STEP, end) - timedelta(seconds=1)
                found += [
                    datetime.fromtimestamp(date.timestamp(), UTC)
                    for date in asyncio.run(schedule.get_dates(start=at, end=until))
                ]
                at += STEP
        return sorted(found)


def open_database(file: Path) -> sa.Engine:
    """The server's SQLite file."""
    return sa.create_engine(f"sqlite:///{file}", connect_args={"timeout": LOCK_SECONDS})


def read_deployments(engine: sa.Engine) -> dict[str, Deployed]:
    """By name."""
    with Session(engine) as session:
        return {
            row.name: Deployed(
                row.id,
                row.flow_id,
                row.work_queue_id,
                row.work_queue_name,
                list(row.tags),
                dict(row.parameters),
                [one.schedule for one in row.schedules if isinstance(one.schedule, CronSchedule)],
            )
            for row in session.scalars(sa.select(tables.Deployment))
        }


def write(engine: sa.Engine, runs: Sequence[Run], deployments: dict[str, Deployed], seed: int) -> None:
    """Adds the runs, and the newest artifact of each key to the server's collection of these."""
    dice = Random(seed)
    newest: dict[str, dict[str, Any]] = {}
    for number in range(0, len(runs), RUNS_AT_ONCE):
        rows: Rows = {table: [] for table in _ORDER}
        for run in runs[number : number + RUNS_AT_ONCE]:
            _add_run(rows, run, deployments[run.flow], dice)
        newest |= {row["key"]: row for row in rows[tables.Artifact]}
        _insert(engine, rows)
    _insert(engine, {tables.ArtifactCollection: [_collected(row, dice) for row in newest.values()]})


def make_ready(engine: sa.Engine, now: datetime) -> None:
    """Makes the pool and its queues appear ready, as if a worker polled them."""
    with engine.begin() as connection:
        pool = connection.scalar(sa.select(tables.WorkPool.id))
        for table in (tables.WorkPool, tables.WorkQueue, tables.Deployment):
            given = {"status": "READY"} | ({"last_polled": now} if hasattr(table, "last_polled") else {})
            connection.execute(sa.update(table).values(given))
        worker = {"name": WORKER, "work_pool_id": pool, "last_heartbeat_time": now, "status": "ONLINE"}
        connection.execute(sa.insert(tables.Worker), [worker | {"heartbeat_interval_seconds": 30}])


def drop_overdue(engine: sa.Engine) -> None:
    """Deletes overdue scheduled runs: the server keeps scheduling runs, and no worker executes them."""
    late = sa.and_(
        tables.FlowRun.state_type == StateType.SCHEDULED, tables.FlowRun.expected_start_time < datetime.now(UTC)
    )
    with engine.begin() as connection:
        connection.execute(sa.delete(tables.FlowRun).where(late))


_ORDER = (
    tables.FlowRun,
    tables.FlowRunState,
    tables.TaskRun,
    tables.TaskRunState,
    tables.Log,
    tables.Artifact,
)


def _insert(engine: sa.Engine, rows: Rows) -> None:
    with engine.begin() as connection:
        for table, those in rows.items():
            if those:
                connection.execute(sa.insert(table), those)


def _add_run(rows: Rows, run: Run, deployed: Deployed, dice: Random) -> None:
    id_ = _new_id(dice)
    rows[tables.FlowRun].append(
        _common(run, id_, rows[tables.FlowRunState], "flow_run_id", dice)
        | {
            "name": run.new_name or run.name,
            "flow_id": deployed.flow_id,
            "deployment_id": deployed.id,
            "parameters": run.parameters,
            "expected_start_time": run.expected,
            "work_queue_id": deployed.queue_id,
            "work_queue_name": deployed.queue,
            "tags": [*(["auto-scheduled"] if run.is_scheduled else []), *deployed.tags],
            "auto_scheduled": run.is_scheduled,
            "created_by": CreatedBy(type="SCHEDULE", display_value="CronSchedule") if run.is_scheduled else None,
        }
    )
    rows[tables.Log] += _logged(run, id_, None, "prefect.flow_runs")
    for number, task in enumerate(run.tasks):
        _add_task(rows, task, id_, number, dice)
    rows[tables.Artifact] += [_artifact(shown, id_, dice) for shown in run.artifacts]


def _add_task(rows: Rows, task: TaskRun, flow_run: UUID, number: int, dice: Random) -> None:
    id_ = _new_id(dice)
    rows[tables.TaskRun].append(
        _common(task, id_, rows[tables.TaskRunState], "task_run_id", dice)
        | {
            "name": task.name,
            "flow_run_id": flow_run,
            "task_key": task.key,
            "dynamic_key": str(number),
            "expected_start_time": task.steps[0].at,
            "flow_run_run_count": 1,
        }
    )
    rows[tables.Log] += _logged(task, flow_run, id_, "prefect.task_runs")


def _common(run: Steps, id_: UUID, states: list[dict[str, Any]], column: str, dice: Random) -> dict[str, Any]:
    """What flow runs and task runs both have; their states go to `states`."""
    ids = [_new_id(dice) for _ in run.steps]
    states += [
        {column: id_, "id": state, "type": step.type, "timestamp": step.at, "name": step.name, "message": step.message}
        for state, step in zip(ids, run.steps, strict=True)
    ]
    last = run.last
    return {
        "id": id_,
        "created": run.steps[0].at,
        "updated": last.at,
        "state_id": ids[-1],
        "state_type": last.type,
        "state_name": last.name,
        "state_timestamp": last.at,
        "run_count": run.attempts,
        "start_time": run.began,
        "end_time": run.ended,
        "total_run_time": run.ran_for,
    }


def _logged(run: Run | TaskRun, flow_run: UUID, task_run: UUID | None, logger: str) -> Iterator[dict[str, Any]]:
    for line in run.lines:
        yield {
            "name": logger,
            "level": line.level,
            "message": line.message,
            "timestamp": line.at,
            "flow_run_id": flow_run,
            "task_run_id": task_run,
        }


def _artifact(shown: Shown, flow_run: UUID, dice: Random) -> dict[str, Any]:
    return {
        "id": _new_id(dice),
        "created": shown.at,
        "updated": shown.at,
        "key": shown.key,
        "type": shown.type,
        "data": shown.data,
        "description": shown.description,
        "flow_run_id": flow_run,
    }


def _collected(artifact: dict[str, Any], dice: Random) -> dict[str, Any]:
    return artifact | {"id": _new_id(dice), "latest_id": artifact["id"]}


def _new_id(dice: Random) -> UUID:
    return UUID(int=dice.getrandbits(128), version=4)
