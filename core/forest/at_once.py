"""How many trees run at the same time: by processors, memory and what trees took of it, and database connections."""

import os
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.config import get_settings
from core.database import CONNECTIONS_OF_TREE, MORE_WHEN_NEEDED, pool_size
from core.forest.trees import Tree
from core.models import ForestTask, TaskState

SEEN_TASKS = 1_000
UNSEEN_PEAK_BYTES = 1_500 << 20
"""Above oak's 0.54 GB for a day of 10 Hz half of the time and 1.4 GB at most: taken until a task of it succeeded."""
SHARE = 0.75  # of the machine's memory; the rest is for the other processes
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def trees_at_once(session: Session) -> int:
    """As many as processors, memory and database connections allow, at least one.

    Each is taken to need the highest peak seen, also of trees that failed or were killed.
    """
    newest = (
        sa.select(ForestTask.tree, ForestTask.peak_memory_bytes, ForestTask.state)
        .where(ForestTask.peak_memory_bytes.is_not(None))
        .order_by(ForestTask.id.desc())
        .limit(SEEN_TASKS)
        .subquery()
    )
    is_oak_seen = sa.and_(newest.c.tree == Tree.OAK.value, newest.c.state == TaskState.SUCCESS.value)
    peak, has_oak = session.execute(
        sa.select(sa.func.max(newest.c.peak_memory_bytes), sa.func.bool_or(is_oak_seen)).select_from(newest)
    ).one()
    highest = max(peak or 0, 0 if has_oak else UNSEEN_PEAK_BYTES)
    by_memory = int(SHARE * memory_bytes()) // highest
    by_connections = (pool_size(get_settings()) + MORE_WHEN_NEEDED) // CONNECTIONS_OF_TREE
    return max(1, min(len(os.sched_getaffinity(0)), by_memory, by_connections))


def memory_bytes() -> int:
    """The machine's memory, or the container's limit where that is lower."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in _CGROUP_LIMITS:
        if file.exists() and (text := file.read_text().strip()).isdigit():
            limits.append(int(text))
    return min(limits)
