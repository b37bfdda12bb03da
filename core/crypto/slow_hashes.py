"""Slow password hashes, computed one at a time with low processor priority (CLAR-9)."""

from concurrent.futures import ThreadPoolExecutor

from core.crypto.passwords import verify_password
from core.threads import lower_priority

_one = ThreadPoolExecutor(1, "slow-hash", initializer=lower_priority)


def verify_slowly(password: str, stored: str) -> bool:
    """Like `verify_password`, one call at a time: many clients' guesses must not slow down uploads."""
    return _one.submit(verify_password, password, stored).result()
