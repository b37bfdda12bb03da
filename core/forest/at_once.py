"""How many trees run at the same time: by the machine's processors and memory, and what trees were seen to take."""

import os
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import ForestTask

SEEN_TASKS = 1_000
UNSEEN_PEAK_BYTES = 3_500 << 20
"""Oak's for a day of 10 Hz, by far the highest: taken until a task of it was measured."""
SHARE = 0.75  # of the machine's memory; the rest is for the other processes
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def trees_at_once(session: Session) -> int:
    """As many as there are processors and room in memory, at least one; each is taken to need the highest peak seen."""
    newest = (
        sa.select(ForestTask.tree, ForestTask.peak_memory_bytes)
        .where(ForestTask.peak_memory_bytes.is_not(None))
        .order_by(ForestTask.id.desc())
        .limit(SEEN_TASKS)
        .subquery()
    )
    peaks = session.execute(sa.select(newest.c.tree, sa.func.max(newest.c.peak_memory_bytes)).group_by(newest.c.tree))
    by_tree = {tree: int(peak) for tree, peak in peaks}
    highest = max([*by_tree.values(), *([] if "oak" in by_tree else [UNSEEN_PEAK_BYTES])])
    return max(1, min(len(os.sched_getaffinity(0)), int(SHARE * memory_bytes()) // highest))


def memory_bytes() -> int:
    """The machine's memory, or the container's limit where that is lower."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in _CGROUP_LIMITS:
        if file.exists() and (text := file.read_text().strip()).isdigit():
            limits.append(int(text))
    return min(limits)
