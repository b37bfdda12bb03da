"""The time zones of the zone database, by name."""

from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones


@cache
def known_zones() -> frozenset[str]:
    """All names of time zones; listing them takes tens of milliseconds, so the result is cached."""
    return frozenset(available_timezones())


@lru_cache(maxsize=1_024)
def known_zone(name: str | None) -> ZoneInfo | None:
    """The zone of that name; None where the zone database has none."""
    return ZoneInfo(name) if name in known_zones() else None
