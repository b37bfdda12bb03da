"""The process of one tree: `python -m core.forest.worker JOB_FILE`. It is confined before it reads any data.

It writes the answer into the job's folder and exits with 0, or writes a reason and exits with 1.
"""

import errno
import hashlib
import json
import logging
import resource
import sys
import traceback
from collections.abc import Callable
from datetime import date
from pathlib import Path

from core.forest import jasmine, oak, sycamore, willow
from core.forest.confinement import CannotConfine, confine, end_with_parent
from core.forest.inputs import clean_input
from core.forest.job import Answer, Job, LeftOut, NoData, Row, TreeFailed
from core.forest.trees import Tree

RUN: dict[Tree, Callable[[Job, list[LeftOut]], tuple[list[Row], list[str]]]] = {
    Tree.JASMINE: jasmine.run,
    Tree.WILLOW: willow.run,
    Tree.SYCAMORE: sycamore.run,
    Tree.OAK: oak.run,
}
FAILED = "failed.json"
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


def main(job_file: Path) -> int:
    """Runs the job of the file. Returns the exit status."""
    job = Job.read(job_file)
    try:
        end_with_parent()
        confine(job.memory_bytes)
        run(job).write(job.answer_file)
    except TreeFailed as error:
        return _failed(job, str(error), error.trace, kind=type(error).__name__)
    except CannotConfine as error:
        return _failed(job, str(error), is_of_the_machine=True)
    except ImportError as error:
        return _failed(
            job, f"The library {error.name} cannot be imported.", traceback.format_exc(), is_of_the_machine=True
        )
    except MemoryError:
        return _failed(job, f"{job.tree} needed more than its limit of {job.memory_bytes >> 20:,} MiB of memory.")
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            return _failed(job, f"The disk failed: {error.strerror}.", traceback.format_exc(), is_of_the_machine=True)
        return _failed(job, f"{job.tree} failed: {type(error).__name__}: {error}"[:500], traceback.format_exc())
    return 0


def run(job: Job) -> Answer:
    """Cleans the input and runs the tree in this process."""
    logs = _Collected()
    logging.getLogger("forest").addHandler(logs)
    left_out = clean_input(job)
    job.output_dir.mkdir(exist_ok=True)
    _seed(job.patient_id, job.tree, job.start)
    rows, notes = RUN[job.tree](job, left_out)
    if not rows and logs.errors:
        raise TreeFailed(f"{job.tree} failed: {logs.errors[0]}"[:500])
    return Answer(rows, left_out, notes + logs.errors, _peak_memory_bytes())


class _Collected(logging.Handler):
    """Keeps what the library logs as an error: willow and jasmine log errors instead of raising them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "survey data found" not in text and "submission data found" not in text:  # nothing found is no error
            self.errors.append(text.replace(str(Path.cwd()), "")[:300])


def _seed(patient_id: str, tree: Tree, day: date) -> None:
    """Jasmine imputes at random: the same participant, tree and first day give the same numbers (CLAR-80)."""
    import numpy as np

    digest = hashlib.sha256(f"{patient_id}/{tree}/{day.isoformat()}".encode()).digest()
    np.random.seed(int.from_bytes(digest[:4], "big"))


def _peak_memory_bytes() -> int:
    """The highest of this process and of its children. The kernel's figure of a process counts who started it, too."""
    return max(highest_memory("self"), 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def highest_memory(process: int | str) -> int:
    """The highest memory in bytes of a process, or of this one (`self`); 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def _failed(
    job: Job, reason: str, trace: str | None = None, *, is_of_the_machine: bool = False, kind: str = "TreeFailed"
) -> int:
    about = {
        "reason": reason,
        "trace": trace,
        "is_of_the_machine": is_of_the_machine,
        "is_empty": kind == NoData.__name__,
    }
    (job.folder / FAILED).write_text(json.dumps(about))
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
