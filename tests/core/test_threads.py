"""Small pieces of work on a few threads."""

import threading

import pytest

from core.threads import Threads


@pytest.mark.parametrize("count", [1, 4])
def test_results_come_in_the_order_of_the_arguments(count: int):
    with Threads(count) as threads:
        assert threads.map(lambda a, b: a * b, range(100), range(100)) == [n * n for n in range(100)]
        assert threads.map(str, []) == []


@pytest.mark.parametrize("count", [1, 4])
def test_an_error_is_raised_and_nothing_more_begins(count: int):
    """A store that does not answer is not asked for each of a hundred files."""
    begun = []
    everybody = threading.Barrier(count)

    def fail(number: int) -> None:
        begun.append(number)
        everybody.wait(5)
        raise OSError(number)

    with Threads(count) as threads, pytest.raises(OSError, match="0"):
        threads.map(fail, range(100))
    assert len(begun) == count
