"""The time zones that the zone database knows."""

from functools import cache
from zoneinfo import available_timezones


@cache
def known_zones() -> frozenset[str]:
    """All names; finding them takes tens of milliseconds, so it is done once."""
    return frozenset(available_timezones())
