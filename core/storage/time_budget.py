"""Limits the total time that the store may take during one request of a phone (STORE-8).

Only time inside calls of the store counts. The budget belongs to one thread; threads that it starts have no limit.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from core.storage.errors import StoreUnavailable


class TimeIsUp(StoreUnavailable):
    """The next call of the store might take longer than the remaining time."""


@dataclass
class _Budget:
    """Remaining seconds, and during a call of the store the time at which they end."""

    seconds: float
    end: float = math.inf


_budget: ContextVar[_Budget | None] = ContextVar("store_time_budget", default=None)


@contextmanager
def store_time_limited_to(seconds: float) -> Iterator[None]:
    """Limits the total time of this thread's S3 calls in the block; a call beyond it raises TimeIsUp."""
    token = _budget.set(_Budget(seconds))
    try:
        yield
    finally:
        _budget.reset(token)


@contextmanager
def spending() -> Iterator[None]:
    """Counts the time of the block against the budget."""
    budget = _budget.get()
    if budget is None or budget.end < math.inf:
        yield
        return
    began = time.monotonic()
    budget.end = began + budget.seconds
    try:
        yield
    finally:
        budget.seconds -= time.monotonic() - began
        budget.end = math.inf


def is_limited() -> bool:
    """Whether this thread has a budget."""
    return _budget.get() is not None


def require(seconds: float) -> None:
    """Raises TimeIsUp if fewer than so many seconds are left."""
    budget = _budget.get()
    if budget is not None and time.monotonic() + seconds > budget.end:
        raise TimeIsUp(f"no answer from the store within the time for this request ({seconds:.0f} s are not left)")
