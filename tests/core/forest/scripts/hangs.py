"""Hangs, with a child that tries to leave its group."""

import os
import time
from typing import Any

from misbehaving import run_in_place_of_oak


def hang(job: Any) -> None:
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
        except PermissionError:
            time.sleep(600)
        time.sleep(600)
    (job.folder / "ids.new").write_text(f"{os.getpid()} {child}")
    (job.folder / "ids.new").rename(job.folder / "ids")
    time.sleep(600)


run_in_place_of_oak(hang)
