"""Forest's tasks against the library alone, and a night: `python -m tests.benchmarks.bench_forest`.

Prints a JSON line for each tree and a participant's day: seconds of the clock and of the processor, and the highest
memory, of a whole task of ours (chunks in the store to measures in the database) and of the library on a plain folder
in a fresh process; the overhead is that of processor time. Then one line about a night of FOREST_PARTICIPANTS (3)
participants with four trees, jasmine over its window of days, scaled to 100.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from core.audit import SERVER
from core.chunks.model import RawFile
from core.database import db
from core.forest.at_once import trees_at_once
from core.forest.run import Outcome, run_task
from core.forest.running import _environment
from core.forest.sources import lay_out, query_of, write_exports
from core.forest.tasks import claim_next, create_tasks
from core.forest.trees import Tree
from core.models import ForestTask, Participant, Study
from core.streams import DataStream, Platform
from tests.benchmarks.measure import report
from tests.benchmarks.participant_day import DAY_START_MS, participant_day
from tests.benchmarks.serving import migrated
from tests.forest_truth.life import Life
from tests.forest_truth.server import phone_files, settle, store_chunks
from tests.support.factories import Factory
from webapp.stores import object_store, sealed_store, settings

DAY = datetime.fromtimestamp(DAY_START_MS / 1000, UTC).date()
UTC_ZONE = ZoneInfo("UTC")
LAST_DAYS = Life(DAY - timedelta(days=2), UTC_ZONE)
ROUNDS = {Tree.JASMINE: 2, Tree.WILLOW: 2, Tree.SYCAMORE: 2, Tree.OAK: 1}


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock and of the processor, and the highest memory in MB."""

    wall: float
    cpu: float
    peak_mb: float


def main() -> None:
    """Runs the benchmark."""
    with migrated():
        window = settings().forest_window_days
        files = files_of_window(window)
        people = [settled(files) for _ in range(int(os.environ.get("FOREST_PARTICIPANTS", "3")))]
        for tree in Tree:
            compare(tree, people[0])
        night(people, window)


def files_of_window(days: int) -> list[RawFile]:
    """GPS of all days, calls and texts of the last three, the accelerometer of the last: 10 Hz, half of the time on."""
    gps = phone_files(Life(DAY - timedelta(days=days - 1), UTC_ZONE, days), [DataStream.GPS])
    accelerometer = [(path, data) for path, data in participant_day() if path.startswith("accel")]
    of_last_day = [RawFile(path, data, Platform.ANDROID) for path, data in accelerometer]
    return gps + phone_files(LAST_DAYS, [DataStream.CALLS, DataStream.TEXTS]) + of_last_day


def settled(files: Sequence[RawFile]) -> Participant:
    """A participant with surveys and these files, in a study of its own."""
    participant = settle(LAST_DAYS, Factory(), ())
    store_chunks(Factory(), participant, files)
    return participant


def compare(tree: Tree, participant: Participant) -> None:
    """One day: a task of ours against the library alone, alternating; the cheaper run of each."""
    ours, alone = [], []
    with tempfile.TemporaryDirectory() as folder:
        command = library_command(tree, participant, Path(folder))
        for _ in range(ROUNDS[tree]):
            alone.append(run_alone(command))
            ours.append(run_ours(tree, participant))
    our, their = (min(some, key=lambda cost: cost.cpu) for some in (ours, alone))
    report(
        f"forest, {tree}, a participant's day",
        wall_s=our.wall,
        cpu_s=our.cpu,
        peak_mb=our.peak_mb,
        library_wall_s=their.wall,
        library_cpu_s=their.cpu,
        library_peak_mb=their.peak_mb,
        overhead_percent=100 * (our.cpu / their.cpu - 1),
        wall_overhead_percent=100 * (our.wall / their.wall - 1),
    )


def run_ours(tree: Tree, participant: Participant) -> Cost:
    """A whole task in this process, with all processes that it starts."""
    queue(participant, tree, DAY, DAY)
    began, before = time.perf_counter(), cpu_seconds()
    number = claim_next(db.engine, datetime.now(UTC))
    assert number is not None
    outcome = run_task(db.engine, object_store(), settings(), number)
    assert outcome.state == "success", outcome
    cost = Cost(time.perf_counter() - began, cpu_seconds() - before, (outcome.peak_memory_bytes or 0) / (1 << 20))
    db.session.rollback()
    return cost


def library_command(tree: Tree, participant: Participant, folder: Path) -> list[str]:
    """The command that calls the library on the same chunks in a plain folder."""
    study, data = db.session.get_one(Study, participant.study_id), folder / "data"
    query = query_of(tree, DAY, DAY, study.zone)
    laid_out = lay_out(db.session(), sealed_store(study), study, participant, query, data, lambda _: None)
    assert laid_out.files
    exported, _ = write_exports(db.session(), study, participant, folder)
    db.session.rollback()
    command = [sys.executable, "-m", "tests.benchmarks.forest_library", tree.value, participant.patient_id, str(data)]
    return [*command, str(folder / "out"), study.zone.key, str(DAY), str(DAY + timedelta(days=1)), str(exported)]


def run_alone(command: Sequence[str]) -> Cost:
    """The library in a fresh process, with one thread as ours."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in _environment(folder).items() if not name.startswith("NUMPY")}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout is not None
        told = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, status
    return Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime, float(told))


def night(people: Sequence[Participant], window: int) -> None:
    """All participants, four trees, as many at once as the server would run; jasmine over its window."""
    session = db.session()
    at_once = trees_at_once(session)
    for person in people:
        for tree in Tree:
            queue(person, tree, DAY - timedelta(days=window - 1) if tree is Tree.JASMINE else DAY, DAY)
    began, before = time.perf_counter(), cpu_seconds()
    store, of = object_store(), settings()

    def work() -> list[Outcome]:
        done = []
        while (number := claim_next(engine, datetime.now(UTC))) is not None:
            done.append(run_task(engine, store, of, number))
        return done

    engine = db.engine
    with ThreadPoolExecutor(at_once) as pool:
        outcomes = [one for part in [pool.submit(work) for _ in range(at_once)] for one in part.result()]
    wall, cpu = time.perf_counter() - began, cpu_seconds() - before
    assert all(one.state == "success" for one in outcomes), outcomes
    times = sa.select(
        ForestTask.tree, sa.func.avg(sa.extract("epoch", ForestTask.ended_at - ForestTask.started_at))
    ).where(ForestTask.start_on <= DAY, ForestTask.id > sum(ROUNDS.values()))
    seconds = {f"{tree}_s": float(mean) for tree, mean in session.execute(times.group_by(ForestTask.tree))}
    report(
        f"forest, a night of {len(people)} participants and four trees, scaled to 100",
        at_once=at_once,
        wall_minutes=wall / 60 * 100 / len(people),
        cpu_minutes=cpu / 60 * 100 / len(people),
        peak_mb=max(one.peak_memory_bytes or 0 for one in outcomes) / (1 << 20),
        **seconds,
    )


def queue(participant: Participant, tree: Tree, start: date, end: date) -> None:
    study = db.session.get_one(Study, participant.study_id)
    create_tasks(db.session(), study, [participant.patient_id], [tree.value], start, end, actor=SERVER)
    db.session.commit()


def cpu_seconds() -> float:
    """Of this process and all of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
