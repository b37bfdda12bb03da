"""Sealed raw objects to sealed chunks and registry rows: `python -m tests.benchmarks.bench_end_to_end`.

A day of two participants, all streams, in a local store and a PostgreSQL that syncs as in production. Prints JSON
lines: plaintext MB per second of one worker on one core, the ratio to a plain loop over rows in the same run, and
memory above the idle process; the same with two workers; with ten times the backlog; and where the time of one
thread goes.
"""

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.database import db, get_engine
from core.models import QueuedUpload
from core.models.participant import participant_with_study
from core.phones.uploads import rows_of_upload
from core.processing import batch, chunk_writing
from core.processing.run import Scope, process_everything
from core.storage import open_store, sealed
from core.streams import SPECS, Platform, stream_of_path
from tests.benchmarks.measure import report, resident_now_mb, resident_peak_mb
from tests.benchmarks.serving import migrated, study_with_participants
from tests.benchmarks.two_participants import day_of
from tests.reference import chunks as reference
from webapp.stores import object_store, sealed_store, settings

NOW = datetime(2024, 6, 1, tzinfo=UTC)
TEN = 10
PLATFORMS = (Platform.ANDROID, Platform.IOS)


def main() -> None:
    """Runs the benchmark, or with `--work` as one of its workers."""
    if "--work" in sys.argv:
        work()
        return
    with migrated():
        size_mb, files = fill(days=1)
        day = {platform: list(day_of(platform)) for platform in PLATFORMS}
        begin = time.perf_counter()
        for platform, members in day.items():
            chunked = [m for m in members if SPECS[stream_of_path(m[0])].is_chunked]
            reference.build([(path, data, platform) for path, data in chunked], {}, platform, NOW)
        loop_seconds = time.perf_counter() - begin
        del day
        (alone,) = run_workers(1)
        report(
            "end to end, one worker", files=files, plaintext_mb=size_mb, mb_per_s=size_mb / alone["seconds"],
            ratio=loop_seconds / alone["seconds"], cpu_seconds=alone["cpu_seconds"],
            mb_above_idle=alone["mb_above_idle"],
        )  # fmt: skip
        size_mb, files = fill(days=1)
        begin = time.perf_counter()
        run_workers(2)
        report("end to end, two workers", files=files, mb_per_s=size_mb / (time.perf_counter() - begin))
        fill(days=1)
        report("where one thread's time goes, in % of it", **shares())
        if "--ten" in sys.argv:
            size_mb, files = fill(days=TEN)
            (ten,) = run_workers(1)
            report(
                "end to end, ten times the backlog", files=files, mb_per_s=size_mb / ten["seconds"],
                times_the_seconds=ten["seconds"] / alone["seconds"], mb_above_idle=ten["mb_above_idle"],
            )  # fmt: skip


def fill(days: int) -> tuple[float, int]:
    """Two new participants whose files wait; gives MB of plaintext that go to chunks, and the number of files."""
    study, new = study_with_participants(2)
    size = files = 0
    for created, platform in zip(new, PLATFORMS, strict=True):
        participant = participant_with_study(db.session(), created.patient_id)
        assert participant is not None
        participant.os_type = platform.value
        db.session.commit()
        store = sealed_store(study)
        for path, data in day_of(platform, days=days):
            stored = store.create(f"{study.object_id}/{participant.patient_id}/{path}", data)
            db.session.execute(*rows_of_upload(participant, stored))
            size += len(data) * SPECS[stream_of_path(path)].is_chunked
            files += 1
        db.session.commit()
    return size / 1e6, files


def run_workers(count: int) -> list[dict[str, float]]:
    """So many worker processes, each on one core, until nothing waits."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_end_to_end", "--work"]
    processes = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True, env=os.environ)
        for number in range(count)
    ]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError("a worker failed")
    return [dict(zip(("seconds", "cpu_seconds", "mb_above_idle"), map(float, o.split()), strict=True)) for o in outputs]


def work() -> None:
    """One worker: prints its seconds, its processor time and its memory above what it had idle."""
    os.sched_setaffinity(0, {int(sys.argv[-1]) % os.cpu_count()})  # type: ignore[operator]
    from core.config import get_settings

    store = open_store(get_settings())
    with get_engine().connect() as connection:
        connection.execute(sa.select(sa.func.count()).select_from(QueuedUpload))
    Path("/proc/self/clear_refs").write_text("5")
    idle, begin, spent = resident_now_mb(), time.perf_counter(), time.process_time()
    process_everything(get_engine(), store, get_settings(), Scope())
    print(time.perf_counter() - begin, time.process_time() - spent, resident_peak_mb() - idle)


def shares() -> dict[str, float]:
    """How the time of a single-threaded run divides."""
    times: dict[str, float] = defaultdict(float)
    with measured(times):
        begin = time.perf_counter()
        process_everything(db.engine, object_store(), settings(), Scope())
        total = time.perf_counter() - begin
    times["rest"] = total - sum(times.values())
    return {name: 100 * seconds / total for name, seconds in sorted(times.items())} | {"seconds": total}


@contextmanager
def measured(times: dict[str, float]) -> Iterator[None]:
    """Clocks around the steps, with one thread instead of several."""
    store = type(object_store())
    places: list[tuple[Any, str, str]] = [
        (store, "read", "fetch"), (store, "create", "put"), (store, "replace", "put"),
        (batch, "bin_files", "parse and sort into hours"), (chunk_writing, "merge_chunk", "merge"),
        (sealed, "seal", "zip and seal"), (sealed, "unseal_whole", "unseal and unzip"),
        (sa.engine.default.DefaultDialect, "do_execute", "database statements"),
        (sa.engine.default.DefaultDialect, "do_commit", "database statements"),
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "THREADS", 1)
        for owner, name, label in places:
            patch.setattr(owner, name, clocked(getattr(owner, name), times, label))
        yield


def clocked(function: Callable[..., Any], times: dict[str, float], label: str) -> Callable[..., Any]:
    def timed(*arguments: Any, **more: Any) -> Any:
        begin = time.perf_counter()
        try:
            return function(*arguments, **more)
        finally:
            times[label] += time.perf_counter() - begin

    return timed


if __name__ == "__main__":
    main()
