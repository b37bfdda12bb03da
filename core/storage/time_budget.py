"""How long the store may keep somebody waiting: all its answers to one request of a phone together (STORE-8).

Only time that a store takes counts, not what is done between two questions. Threads that the one with the budget
starts have none.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from core.storage.errors import StoreUnavailable


class TimeIsUp(StoreUnavailable):
    """What was asked of the store might not end in the time that was left."""


@dataclass
class _Budget:
    """Seconds that are left, and when they will be over while a question is asked."""

    seconds: float
    end: float = math.inf


_budget: ContextVar[_Budget | None] = ContextVar("store_time_budget", default=None)


@contextmanager
def store_time_limited_to(seconds: float) -> Iterator[None]:
    """What this thread asks of an S3 store inside takes no longer than that altogether, else it raises TimeIsUp."""
    token = _budget.set(_Budget(seconds))
    try:
        yield
    finally:
        _budget.reset(token)


@contextmanager
def spending() -> Iterator[None]:
    """The time inside is the store's."""
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
    """Raises TimeIsUp where fewer seconds are left than what comes next may take."""
    budget = _budget.get()
    if budget is not None and time.monotonic() + seconds > budget.end:
        raise TimeIsUp(f"no answer from the store within the time for this request ({seconds:.0f} s are not left)")
