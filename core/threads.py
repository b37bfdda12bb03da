"""Runs many small pieces of work on a few threads, and gives slow work a low priority."""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

Result = TypeVar("Result")
NICENESS = 15


def lower_priority() -> None:
    """Lets others have the processor before this thread, where threads have a priority of their own (Linux).

    For work that takes the processor for long while phones upload (CLAR-9): an initializer of a pool of threads.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


class Threads:
    """Threads that take items from one list as they become free. A future per item would cost as much as a small file.

    A context manager; leaving it waits for running work. With a count of 1, the caller's own thread does the work.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def map(self, function: Callable[..., Result], *arguments: Iterable[Any]) -> list[Result]:
        """The function's results in the order of its arguments. Raises its first error; no further item starts then."""
        items = list(zip(*arguments, strict=True))
        results: list[Any] = [None] * len(items)
        numbers = iter(range(len(items)))  # shared: taking the next one is atomic

        def work() -> None:
            try:
                for number in numbers:
                    results[number] = function(*items[number])
            except BaseException:
                for _ in numbers:
                    pass
                raise

        if self.count == 1:
            work()
            return results
        futures = [self._pool.submit(work) for _ in range(min(self.count, len(items)))]
        for future in futures:
            future.result()
        return results
