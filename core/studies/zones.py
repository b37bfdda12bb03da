"""The time zones that a study may have, for lists to choose from (PORTAL-95)."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from core.zones import known_zones

SHOWN_REGIONS = (
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
)


@lru_cache(maxsize=4)
def zones_by_offset(year: int) -> list[tuple[str, str]]:
    """Names with what is shown of each: `UTC−05:00/−04:00 America/New_York`, sorted by offset and name."""
    shown = []
    for name in known_zones():
        if name == "UTC" or name.partition("/")[0] in SHOWN_REGIONS:
            offsets = sorted({_offset(name, year, month) for month in (1, 7)})
            text = "/".join(_text(offset) for offset in offsets)
            shown.append((offsets[0], name, f"UTC{text} {name.replace('_', ' ')}"))
    return [(name, text) for _, name, text in sorted(shown)]


def _offset(name: str, year: int, month: int) -> timedelta:
    return datetime(year, month, 1, tzinfo=UTC).astimezone(ZoneInfo(name)).utcoffset() or timedelta()


def _text(offset: timedelta) -> str:
    minutes = int(offset.total_seconds()) // 60
    sign = "−" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
