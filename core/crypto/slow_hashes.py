"""Slow password hashes, computed one at a time with low processor priority (CLAR-9)."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from core.crypto.passwords import verify_password

NICENESS = 15


def _yield_to_others() -> None:
    if sys.platform == "linux":  # where a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


_one = ThreadPoolExecutor(1, "slow-hash", initializer=_yield_to_others)


def verify_slowly(password: str, stored: str) -> bool:
    """Like `verify_password`, one call at a time: many clients' guesses must not slow down uploads."""
    return _one.submit(verify_password, password, stored).result()
