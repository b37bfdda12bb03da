"""Removes database folders that killed test runs left in memory."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from core.embedded.folder import Folder
from core.embedded.locks import is_free

PREFIX = "beiwe-tests-"
OLD_S = 3_600


def remove_left_folders(parent: Path) -> None:
    """Removes folders of test databases that are older than an hour and whose server has ended, however it did.

    The kernel's lock of the server tells, which its last process frees.
    """
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another run's removal was faster, or it is another user's
            if time.time() - folder.stat().st_mtime > OLD_S and is_free(Folder(folder).server_lock):
                shutil.rmtree(folder, ignore_errors=True)
