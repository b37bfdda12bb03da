"""The names of the zone database's time zones."""

from functools import cache
from zoneinfo import available_timezones


@cache
def known_zones() -> frozenset[str]:
    """All names of time zones; listing them takes tens of milliseconds, so the result is cached."""
    return frozenset(available_timezones())
