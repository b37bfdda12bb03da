"""What a killed test run leaves in memory is removed by a later one."""

import os
import time
from pathlib import Path

from core.embedded.folder import Folder
from core.embedded.locks import take_lock
from tests.support.left_folders import OLD_S, PREFIX, remove_left_folders


def test_old_folders_without_a_server_are_removed_and_others_stay(tmp_path: Path):
    for name in (f"{PREFIX}old", f"{PREFIX}unused", f"{PREFIX}running", f"{PREFIX}new", "another"):
        (tmp_path / name / "postgres").mkdir(parents=True)
    Folder(tmp_path / f"{PREFIX}old").server_lock.touch()
    lock = take_lock(Folder(tmp_path / f"{PREFIX}running").server_lock)
    assert lock is not None
    for name in ("old", "unused", "running"):
        os.utime(tmp_path / f"{PREFIX}{name}", times=(time.time() - OLD_S - 60,) * 2)
    os.utime(tmp_path / "another", times=(0, 0))
    remove_left_folders(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{PREFIX}running", f"{PREFIX}new", "another"}
    os.close(lock)
