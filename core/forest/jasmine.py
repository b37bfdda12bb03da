"""Jasmine: mobility from GPS."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from core.forest.clock_changes import days_as_long_as_they_are
from core.forest.daily import daily_rows
from core.forest.job import Job, LeftOut, Row
from core.forest.trees import library_version

STATE_FORMAT = 1
PROCESSES = ("1", "2", "3", "4")  # latitude and longitude, of flights and of pauses
PARTS = ("bv", "alpha", "Q", "C")


def run(job: Job, left_out: list[LeftOut]) -> tuple[list[Row], list[str]]:
    """Runs jasmine over the range, from the job's state if it has one; saves its state. Returns rows, notes."""
    from forest.constants import Frequency
    from forest.jasmine import traj2stats

    notes: list[str] = []
    memory, vectors = None, None
    if job.state_file is not None:
        loaded = load_state(job.state_file)
        if loaded is None:
            notes.append("The saved state is of another version; jasmine began afresh.")
        else:
            memory, vectors = loaded
    # The library changes both dictionaries in place: its pickles need not be read.
    memories, vector_sets = {job.patient_id: memory}, {job.patient_id: vectors}
    with days_as_long_as_they_are(traj2stats) if job.is_corrected else nullcontext():
        traj2stats.gps_stats_main(
            str(job.clean_dir),
            str(job.output_dir),
            job.zone,
            Frequency.DAILY,
            save_traj=False,
            time_start=[job.start.year, job.start.month, job.start.day, 0, 0, 0],
            time_end=[job.after_end.year, job.after_end.month, job.after_end.day, 0, 0, 0],
            participant_ids=[job.patient_id],
            all_memory_dict=memories,
            all_bv_set=vector_sets,
        )
    for pickle in job.output_dir.glob("*.pkl"):
        pickle.unlink()
    if memories[job.patient_id] is not None:
        save_state(job.saved_state, memories[job.patient_id], vector_sets[job.patient_id])
    return daily_rows(job), notes


def save_state(file: Path, memory: Any, vectors: Any) -> None:
    """Writes jasmine's state as arrays (npz), with the library's version."""
    import numpy as np

    arrays = {
        f"{number}_{part}": np.asarray(memory[number][part], dtype=float) for number in PROCESSES for part in PARTS
    }
    about = json.dumps({"format": STATE_FORMAT, "library": library_version()})
    arrays |= {"vectors": np.asarray(vectors, dtype=float), "about": np.array(about)}
    np.savez_compressed(file, allow_pickle=False, **arrays)


def load_state(file: Path) -> tuple[Any, Any] | None:
    """A saved state (memory, basis vectors); None if another version of the library or of this format wrote it.

    Arrays of numbers only: nothing in the file is run (FOREST-6).
    """
    import numpy as np

    with np.load(file, allow_pickle=False) as saved:
        about = json.loads(str(saved["about"]))
        if about != {"format": STATE_FORMAT, "library": library_version()}:
            return None
        memory = {
            number: {part: saved[f"{number}_{part}"] if saved[f"{number}_{part}"].size else [] for part in PARTS}
            for number in PROCESSES
        }
        for process in memory.values():
            process["bv"] = list(process["bv"])  # the library appends to it
        return memory, saved["vectors"]
