"""The hour in which the running test began.

A constant made when the tests are imported is from the day before in the tests that run after midnight.
"""

from datetime import UTC, datetime

_began = datetime.now(UTC)


def begin() -> None:
    """Takes the time anew; tests/conftest.py calls it before each test."""
    global _began
    _began = datetime.now(UTC)


def this_hour() -> datetime:
    """Start of the hour in which the running test began, in UTC; the same during the whole test."""
    return _began.replace(minute=0, second=0, microsecond=0)
