"""What Prefect costs a busy run of `process-participants`: `python -m tests.benchmarks.bench_prefect`.

Ten days of two participants through the flow, against a Prefect server of its own, in tasks so short that there are as
many as in a full run of five minutes. Prints one JSON line: seconds in which no batch is worked on, processor time of
the server and of the start of a run's process, and the sum of these as a share of a full run.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from prefect.testing.utilities import prefect_test_harness

from core.database import get_engine
from core.processing.run import Scope, process_everything
from flows import process_participants as flow
from tests.benchmarks.bench_end_to_end import FEW, TEN, fill
from tests.benchmarks.measure import report
from tests.benchmarks.serving import cpu_seconds, migrated
from webapp.stores import object_store, settings

SHORT_SECONDS = 3
Interval = tuple[float, float]


def main() -> None:
    """Runs the benchmark."""
    with migrated(), prefect_test_harness(server_startup_timeout=60):
        fill(most_files=FEW)
        process_everything(get_engine(), object_store(), settings(), Scope())
        size_mb, files = fill(days=TEN)
        server, intervals = psutil.Process(), []
        with watched(intervals):
            server_before = children_cpu_seconds(server)
            begin = time.perf_counter()
            flow.process_participants(linger_seconds=0)
            seconds = time.perf_counter() - begin
            server_seconds = children_cpu_seconds(server) - server_before
    outside, start = seconds - covered(intervals), start_cpu_seconds()
    report(
        "a busy run through Prefect",
        files=files,
        mb_per_s=size_mb / seconds,
        seconds=seconds,
        tasks=len(intervals),
        seconds_outside_batches=outside,
        server_cpu_seconds=server_seconds,
        start_cpu_seconds=start,
        percent_of_a_full_run=100 * (outside + server_seconds + start) / flow.MOST_SECONDS,
    )


@contextmanager
def watched(intervals: list[Interval]) -> Iterator[None]:
    """Notes when tasks work."""
    process_for = flow.process_for

    def timed(*arguments: Any) -> Any:
        begin = time.perf_counter()
        try:
            return process_for(*arguments)
        finally:
            intervals.append((begin, time.perf_counter()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "process_for", timed)
        patch.setattr(flow, "WORK_SECONDS", SHORT_SECONDS)
        yield


def covered(intervals: list[Interval]) -> float:
    """Seconds in which at least one task works."""
    total = end = 0.0
    for begin, finish in sorted(intervals):
        total += max(finish - max(begin, end), 0)
        end = max(end, finish)
    return total


def children_cpu_seconds(process: psutil.Process) -> float:
    """Of the Prefect server, and of nothing else: PostgreSQL is not our child."""
    return sum(cpu_seconds(child) for child in process.children() if "uvicorn" in " ".join(child.cmdline()))


def start_cpu_seconds() -> float:
    """What a run's process spends before its flow begins: Python, Prefect, our modules."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "import prefect.flow_engine, flows.process_participants"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
