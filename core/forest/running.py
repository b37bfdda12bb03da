"""Runs a tree in a process of its own, with a limit of time (CLAR-80)."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from core.config import REPOSITORY
from core.forest.job import Answer, Job, NoData, TreeFailed
from core.forest.worker import FAILED, highest_memory

POLL_S = 0.2


class Cancelled(Exception):
    """Someone cancelled the run; its process was killed."""


def run_tree(
    job: Job,
    timeout_s: float,
    *,
    is_cancelled: Callable[[], bool] = lambda: False,
    program: Sequence[str] = ("-m", "core.forest.worker"),
) -> Answer:
    """Runs the job's tree and returns its answer. All that it writes is below `job.folder`.

    The process gets no secrets, no network and no more memory than the job says. It and its children are killed after
    `timeout_s` seconds, when `is_cancelled` (asked a few times a second) says so, and when this process dies.
    Raises TreeFailed with a plain reason, NoData, Cancelled.
    """
    temporary = job.folder / "tmp"
    temporary.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, *program, str(job.write())],
        cwd=REPOSITORY,
        env=_environment(str(temporary)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(job.folder / "stderr.txt").open("wb"),
        start_new_session=True,
    )
    try:
        peak = _wait(process, timeout_s, is_cancelled)
    finally:
        _kill_group(process)
    if process.returncode == 0 and job.answer_file.exists():
        return Answer.read(job.answer_file)
    failed = _why(job, process.returncode)
    failed.peak_memory_bytes = peak or None
    raise failed


def _environment(temporary: str) -> dict[str, str]:
    """No secrets of the server; one thread for each numerical library, since workers share the machine."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    memory = {"NUMPY_MADVISE_HUGEPAGE": "0"}  # arrays take the pages that are written, and not two megabytes for each
    return {"PATH": os.defpath, "HOME": temporary, "TMPDIR": temporary, "LC_ALL": "C.UTF-8", **threads, **memory}


def _wait(process: "subprocess.Popen[bytes]", timeout_s: float, is_cancelled: Callable[[], bool]) -> int:
    """Waits for the end. Returns the process's highest memory in bytes as seen meanwhile, 0 if it was quicker."""
    end, peak = time.monotonic() + timeout_s, 0
    while True:
        try:
            process.wait(POLL_S)
            return peak
        except subprocess.TimeoutExpired:
            peak = highest_memory(process.pid) or peak
            if is_cancelled():
                raise Cancelled from None
            if time.monotonic() > end:
                raise TreeFailed(f"It did not end within {timeout_s:,.0f} seconds and was stopped.") from None


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):  # it and all its children have ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _why(job: Job, status: int) -> TreeFailed:
    try:
        about = json.loads((job.folder / FAILED).read_text())
    except (OSError, ValueError):
        about = None
    if about is not None:
        if about["is_empty"]:
            return NoData()
        return TreeFailed(about["reason"], about["trace"], is_of_the_machine=about["is_of_the_machine"])
    text = (job.folder / "stderr.txt").read_bytes()[-4000:].decode(errors="replace")
    if status == -signal.SIGKILL:
        return TreeFailed(
            f"{job.tree} was killed: the machine's memory may have run out.", text, is_of_the_machine=True
        )
    if status < 0:
        return TreeFailed(f"{job.tree} died of signal {-status}; its memory limit may be too low.", text)
    return TreeFailed(f"{job.tree} ended with status {status} and no answer.", text)
