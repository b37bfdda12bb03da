"""How benchmarks measure: the best of a few runs in time, and the peak memory of a fresh process."""

import json
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def best_seconds(run: Callable[[], object], times: int) -> float:
    """The shortest of several runs, in seconds: what the code costs when the machine is left alone."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def peak_memory_mb(module: str, inputs: object) -> float:
    """What a run of `python -m <module> --memory FILE` prints, with `inputs` pickled in FILE: see growth_mb."""
    with tempfile.NamedTemporaryFile(suffix=".pickle") as file:
        pickle.dump(inputs, file)
        file.flush()
        command = [sys.executable, "-m", module, "--memory", file.name]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def inputs_for_memory() -> Any:
    """The inputs that peak_memory_mb passed to this process; None in the process that measures time."""
    return pickle.loads(Path(sys.argv[2]).read_bytes()) if sys.argv[1:2] == ["--memory"] else None


def growth_mb(run: Callable[[], object]) -> float:
    """By how much a run raises this process's resident memory at its highest, in MB: the cost beyond the inputs."""
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of making the inputs
    before = resident_now_mb()
    run()
    return round(resident_peak_mb() - before, 1)


def resident_now_mb() -> float:
    """This process's resident memory."""
    return _resident_mb("VmRSS")


def resident_peak_mb() -> float:
    """The most it has been since the start, or since /proc/self/clear_refs was written."""
    return _resident_mb("VmHWM")


def report(name: str, **figures: float) -> None:
    """Prints one JSON line."""
    print(json.dumps({"name": name, **{key: round(value, 2) for key, value in figures.items()}}))


def _resident_mb(name: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024
