"""Puts a function in a tree's place and runs the tree's process."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path.cwd()))


def run_in_place_of_oak(function: Callable[[Any], None]) -> None:
    """Calls the function instead of oak with the job, then ends as the tree's process does."""
    from core.forest import worker
    from core.forest.trees import Tree

    def tree(job: Any, left_out: Any) -> tuple[list[Any], list[str]]:
        function(job)
        return [], []

    worker.RUN[Tree.OAK] = tree
    worker.clean_input = lambda job: []
    sys.exit(worker.main(Path(sys.argv[-1])))
