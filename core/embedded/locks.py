"""Kernel locks on files. The kernel releases one when the last process that holds it ends, however it ends.

They are not inherited by programs that the process starts, except where the descriptor is passed on by name.
"""

import fcntl
import os
from pathlib import Path


def take_lock(path: Path, *, shared: bool = False, wait: bool = True) -> int | None:
    """The descriptor that holds the lock, or None where another process has it and `wait` is false.

    Closing the descriptor gives the lock back. Raises OSError where the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_free(path: Path, *, shared: bool = False) -> bool:
    """Whether the lock could be taken at this moment."""
    descriptor = take_lock(path, shared=shared, wait=False)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True
