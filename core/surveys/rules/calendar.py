"""What a calendar of coming surveys points out: clock changes, and surveys that pile up. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MOST_IN_A_WEEK = 40
CLOSE = timedelta(minutes=1)


@dataclass(frozen=True)
class ClockChange:
    """A clock change: when clocks show `at`, they are set to `to`; the day has `minutes`, 1,380 or 1,500 mostly."""

    at: time
    to: time
    minutes: int

    @property
    def is_forward(self) -> bool:
        return self.minutes < 1_440


@dataclass(frozen=True)
class Close:
    """Two different surveys within one minute of each other, by their numbers; `at` is when the earlier is asked."""

    at: datetime
    surveys: tuple[int, int]


@dataclass(frozen=True)
class FullWeek:
    """A calendar week, by its Sunday, with more surveys than people answer."""

    sunday: date
    count: int


def clock_change(day: date, zone: ZoneInfo) -> ClockChange | None:
    """The clock change of that day in the zone, the first if there are several; None where clocks go on evenly."""
    start, end = (datetime.combine(on, time(), zone).astimezone(UTC) for on in (day, day + timedelta(days=1)))
    minutes = int((end - start).total_seconds()) // 60
    at, last = start - timedelta(minutes=1), end - timedelta(minutes=1)  # a change at midnight is the new day's
    while at < last:
        later = min(at + timedelta(hours=1), last)
        if _offset(at, zone) != _offset(later, zone):
            change = _first_after(at, later, zone)
            wall = (change - timedelta(minutes=1)).astimezone(zone).replace(tzinfo=None) + timedelta(minutes=1)
            return ClockChange(wall.time(), change.astimezone(zone).time(), minutes)
        at = later
    return None


def _first_after(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The minute at which the offset becomes another, between two moments of which it differs."""
    old = _offset(before, zone)
    low, high = 0, int((after - before).total_seconds()) // 60
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(before + timedelta(minutes=middle), zone) == old else (low, middle)
    return before + timedelta(minutes=high)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()


def close_pairs(asked: Sequence[tuple[datetime, int]]) -> list[Close]:
    """Pairs of different surveys at most a minute apart; `asked` are moments and surveys, ascending in time."""
    found = []
    for place, (at, survey) in enumerate(asked):
        for later, other in asked[place + 1 :]:
            if later - at > CLOSE:
                break
            if other != survey:
                found.append(Close(at, (survey, other)))
    return found


def full_weeks(asked: Sequence[tuple[datetime, int]], zone: ZoneInfo, most: int = MOST_IN_A_WEEK) -> list[FullWeek]:
    """Calendar weeks of the zone, which begin on Sunday, with more than so many surveys."""
    counts: dict[date, int] = {}
    for at, _ in asked:
        day = at.astimezone(zone).date()
        sunday = day - timedelta(days=day.isoweekday() % 7)
        counts[sunday] = counts.get(sunday, 0) + 1
    return [FullWeek(sunday, count) for sunday, count in sorted(counts.items()) if count > most]
