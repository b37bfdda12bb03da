"""Sealed raw objects to sealed chunks and registry rows: `python -m tests.benchmarks.bench_end_to_end`.

A day of two participants, all streams, in a local store and a PostgreSQL that syncs as in production. Prints JSON
lines: plaintext MB per second of one worker on one core, two reference times from the same run, and memory above the
idle process; then the speed of two workers; of ten times the backlog; and where the time of one thread goes.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
import sqlalchemy as sa

from core.config import get_settings
from core.crypto.seal import SealContext, seal, unseal_whole
from core.database import db, get_engine
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
FEW = 100
READY = "ready\n"
PLATFORMS = (Platform.ANDROID, Platform.IOS)


def main() -> None:
    """Runs the benchmark, or with `--work` as one of its workers."""
    if "--work" in sys.argv:
        work(core=int(sys.argv[-1]))
        return
    with migrated():
        loop_seconds, floor_seconds = reference_seconds()
        with workers(1) as one:
            size_mb, files = fill()
            (alone,) = run(one)
        report(
            "end to end, one worker",
            files=files,
            plaintext_mb=size_mb,
            mb_per_s=size_mb / alone["seconds"],
            times_the_plain_loop=loop_seconds / alone["seconds"],
            cpu_seconds=alone["cpu_seconds"],
            cpu_seconds_of_bytes_alone=floor_seconds,
            mb_above_idle=alone["mb_above_idle"],
        )
        with workers(2) as two:
            filled = [fill() for _ in two]  # of fewer participants, one worker's tasks might take them all
            size_mb, files = sum(size for size, _ in filled), sum(count for _, count in filled)
            both = run(two)
        seconds = max(worker["seconds"] for worker in both)
        report("end to end, two workers, twice the backlog", files=files, mb_per_s=size_mb / seconds)
        fill()
        report("where one thread's time goes, in % of it", **shares())
        if "--ten" in sys.argv:
            with workers(1) as one:
                size_mb, files = fill(days=TEN)
                (ten,) = run(one)
            report(
                "end to end, ten times the backlog",
                files=files,
                mb_per_s=size_mb / ten["seconds"],
                times_the_seconds=ten["seconds"] / alone["seconds"],
                mb_above_idle=ten["mb_above_idle"],
            )


def reference_seconds() -> tuple[float, float]:
    """Seconds that the day's files take without store and registry.

    First: a plain loop that makes the chunks from the rows, in memory. Second: the libraries' work alone, which is
    opening the raw objects, and hashing, compressing and encrypting the chunks.
    """
    files = [(path, data, platform) for platform in PLATFORMS for path, data in day_of(platform) if is_chunked(path)]
    begin = time.perf_counter()
    chunks = [
        reference.build([file for file in files if file[2] is platform], {}, platform, NOW) for platform in PLATFORMS
    ]
    loop_seconds = time.perf_counter() - begin
    context, level = SealContext(bytes(32), "", ""), get_settings().data_compression_level
    raw = [seal(data, context, level) for _, data, _ in files]
    begin = time.process_time()
    for sealed_bytes in raw:
        unseal_whole(sealed_bytes, context)
    for contents in chain(*(day.values() for day in chunks)):
        hashlib.md5(contents, usedforsecurity=False)
        hashlib.sha1(contents, usedforsecurity=False)
        seal(contents, context, level)
    return loop_seconds, time.process_time() - begin


def is_chunked(path: str) -> bool:
    return SPECS[stream_of_path(path)].is_chunked


def fill(days: int = 1, most_files: int | None = None) -> tuple[float, int]:
    """Two new participants whose files wait; gives MB of plaintext that go to chunks, and the number of files."""
    study, new = study_with_participants(2)
    size = files = 0
    for created, platform in zip(new, PLATFORMS, strict=True):
        participant = participant_with_study(db.session(), created.patient_id)
        assert participant is not None
        participant.os_type = platform.value
        db.session.commit()
        store = sealed_store(study)
        for path, data in islice(day_of(platform, days=days), most_files):
            stored = store.create(f"{study.object_id}/{participant.patient_id}/{path}", data)
            db.session.execute(*rows_of_upload(participant, stored, platform))
            size += len(data) * is_chunked(path)
            files += 1
        db.session.commit()
    return size / 1e6, files


@contextmanager
def workers(count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """So many worker processes, each on one core, that have worked on two batches and wait to be told to go on."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_end_to_end", "--work"]
    processes = []
    try:
        for number in range(count):
            fill(most_files=FEW)
            process = subprocess.Popen([*command, str(number)], stdin=PIPE, stdout=PIPE, text=True)
            processes.append(process)
            assert process.stdout
            if process.stdout.readline() != READY:
                raise RuntimeError("a worker does not start")
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def run(processes: list[subprocess.Popen[str]]) -> list[dict[str, float]]:
    """Lets the workers work until nothing waits."""
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    return [json.loads(process.communicate()[0]) for process in processes]


def work(core: int) -> None:
    """One worker: prints its seconds, its processor time and its memory above what it had when idle."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})
    store = open_store(get_settings())
    Path("/proc/self/clear_refs").write_text("5")
    idle = resident_now_mb()
    process_everything(get_engine(), store, get_settings(), Scope())
    print(READY, end="", flush=True)
    sys.stdin.readline()
    begin, spent = time.perf_counter(), time.process_time()
    process_everything(get_engine(), store, get_settings(), Scope())
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - spent
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "mb_above_idle": resident_peak_mb() - idle}))


def shares() -> dict[str, float]:
    """How the time of a single-threaded run divides."""
    times: dict[str, float] = defaultdict(float)
    single = settings().model_copy(update={"processing_tasks": 1})
    with measured(times):
        begin = time.perf_counter()
        process_everything(db.engine, object_store(), single, Scope())
        total = time.perf_counter() - begin
    times["rest"] = total - sum(times.values())
    return {name: 100 * seconds / total for name, seconds in sorted(times.items())} | {"seconds": total}


@contextmanager
def measured(times: dict[str, float]) -> Iterator[None]:
    """Clocks around the steps, with one thread instead of several."""
    store = type(object_store())
    places: list[tuple[Any, str, str]] = [
        (store, "read", "fetch"),
        (store, "create", "put"),
        (store, "replace", "put"),
        (batch, "bin_files", "parse and sort into hours"),
        (chunk_writing, "merge_chunk", "merge"),
        (sealed, "seal", "zip and seal"),
        (sealed, "unseal_whole", "unseal and unzip"),
        (sa.engine.default.DefaultDialect, "do_execute", "database statements"),
        (sa.engine.default.DefaultDialect, "do_commit", "database statements"),
    ]
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
