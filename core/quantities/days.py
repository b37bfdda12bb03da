"""Which days a table of data quantities shows (PORTAL-222, PORTAL-223)."""

import re
from dataclasses import dataclass
from datetime import date, timedelta

DAY = timedelta(days=1)
USUAL_DAYS = 7
MOST_DAYS = 366
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
EARLIEST = date(2014, 8, 1)
"""Days before are those of clocks that were wrong; they are left out."""


class BadDay(ValueError):
    """A day that cannot be read: `YYYY-MM-DD` is expected."""


@dataclass(frozen=True)
class Days:
    """The shown days, `start` to `end`, of those with data, `first` to `last`; all inclusive."""

    first: date
    last: date
    start: date
    end: date

    @property
    def all(self) -> list[date]:
        """Each shown day."""
        return [self.start + number * DAY for number in range(self.count)]

    @property
    def count(self) -> int:
        """How many days are shown."""
        return (self.end - self.start).days + 1

    @property
    def previous(self) -> tuple[date, date] | None:
        """The range of the same length before this one, not before the first day; None at the first day."""
        if self.start <= self.first:
            return None
        start = max(self.first, self.start - self.count * DAY)
        return start, min(self.last, start + (self.count - 1) * DAY)

    @property
    def next(self) -> tuple[date, date] | None:
        """The range of the same length behind this one, not behind the last day; None at the last day."""
        if self.end >= self.last:
            return None
        end = min(self.last, self.end + self.count * DAY)
        return max(self.first, end - (self.count - 1) * DAY), end


def parse_day(text: str) -> date | None:
    """The day of `YYYY-MM-DD`; None for an empty text. Raises BadDay."""
    typed = text.strip()
    if not typed:
        return None
    try:
        if _DAY.fullmatch(typed):
            return date.fromisoformat(typed)
    except ValueError:
        pass
    raise BadDay(f"“{typed[:20]}” is not a day such as 2026-03-01.")


def shown_days(first: date, last: date, start: date | None, end: date | None) -> Days:
    """The days to show of those with data (`first` to `last`), for what was asked.

    Without a start the last week; with a start alone a week from it; with both that range, in either order, cut to the
    days with data and to 366 days.
    """
    if start is None:
        return Days(first, last, max(first, last - (USUAL_DAYS - 1) * DAY), last)
    if end is None:
        end = start + (USUAL_DAYS - 1) * DAY if start <= last else start
    start, end = min(start, end), max(start, end)
    start, end = min(max(start, first), last), max(min(end, last), first)
    return Days(first, last, start, min(end, start + (MOST_DAYS - 1) * DAY))
