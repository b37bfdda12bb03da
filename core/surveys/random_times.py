"""Random prompts of a day: which minutes can be drawn, and the draw itself (CLAR-52). Pure, without the database.

The minutes of a window are those that clocks show on that day both in the participant's zone and in the study's, as the
time is stored in the study's zone and read on the participant's clock (NOTIF-21). A time that exists twice is its first
one (NOTIF-4). Distances are minutes that pass in the participant's zone.

Every set of minutes that keeps the distances is drawn with the same probability: the sets are counted, and the SHA-512
digest of seed, participant and day chooses the number of one. With its 512 bits no set is likelier than another by more
than one part in 2^300. The same seed, participant, day and zones give the same minutes for ever.
"""

import hashlib
import uuid
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from core.surveys.schedules import Random

MOST_PROMPTS = 24
_DIGEST_BITS = 512


@dataclass(frozen=True)
class Drawn:
    """A time that was drawn: the scheduled time in the study's zone, and when it counts (NOTIF-21).

    Both are whole seconds since 1970.
    """

    scheduled: int
    counts: int


class DayOfPrompts:
    """A day of random prompts for participants of one zone. Make one and draw for each of them."""

    def __init__(self, timing: Random, day: date, zone: ZoneInfo, study_zone: ZoneInfo) -> None:
        self._window = _window(day, minute_of(timing.first), minute_of(timing.last), zone, study_zone)
        self._choices = _choices(self._window, timing.prompts, timing.distance_minutes)
        self._day = day.isoformat().encode()
        self._moments = {
            minute: Drawn(_second(day, minute, study_zone), _second(day, minute, zone))
            for minute in self._window.minutes
        }

    def minutes(self, seed: uuid.UUID, participant: int) -> list[int]:
        """The minutes of the day at which this participant is asked, ascending; `participant` is the row's number.

        Where a clock change makes the window too short, there are as many as fit; in a window that it skips, none.
        """
        digest = hashlib.sha512(b"%s|%d|%s" % (seed.bytes, participant, self._day)).digest()
        return self._choices.chosen(int.from_bytes(digest, "big"))

    def drawn(self, seed: uuid.UUID, participant: int) -> list[Drawn]:
        """The same as moments."""
        return [self._moments[minute] for minute in self.minutes(seed, participant)]


def drawn_times(
    timing: Random, seed: uuid.UUID, participant: int, day: date, zone: ZoneInfo, study_zone: ZoneInfo
) -> list[time]:
    """The times at which one participant is asked on a day, ascending; `zone` is the participant's."""
    minutes = DayOfPrompts(timing, day, zone, study_zone).minutes(seed, participant)
    return [time(minute // 60, minute % 60) for minute in minutes]


def fits(timing: Random) -> bool:
    """Whether the prompts fit into the window at their distance on a day without a clock change."""
    return (timing.prompts - 1) * timing.distance_minutes <= minute_of(timing.last) - minute_of(timing.first)


def minute_of(time_of_day: time) -> int:
    """Whole minutes since midnight on the clock."""
    return time_of_day.hour * 60 + time_of_day.minute


class _Window:
    """Minutes of a day that can be drawn, ascending, each with the minutes that had passed by then in the zone."""

    def __init__(self, minutes: tuple[int, ...], passed: tuple[int, ...]) -> None:
        self.minutes, self.passed = minutes, passed


class _Choices:
    """All sets of so many minutes at a distance, in order, counted.

    `_ways[k][i]` is the number of sets of k minutes from the i-th on, as a negative number, so that it ascends with i.
    """

    def __init__(self, window: _Window, prompts: int, distance: int) -> None:
        self._minutes, passed = window.minutes, window.passed
        many = len(passed)
        self._next = [bisect_left(passed, at + distance) for at in passed]
        self._ways: list[list[int]] = [[-1] * (many + 1)]
        for _ in range(prompts):
            fewer, ways = self._ways[-1], [0] * (many + 1)
            for i in range(many - 1, -1, -1):
                ways[i] = ways[i + 1] + fewer[self._next[i]]
            if not ways[0]:
                break
            self._ways.append(ways)

    def chosen(self, number: int) -> list[int]:
        """The set that a number of 512 bits chooses."""
        rank = number * -self._ways[-1][0] >> _DIGEST_BITS
        found, start = [], 0
        for left in range(len(self._ways) - 1, 0, -1):
            ways = self._ways[left]
            # Sets that begin before the i-th minute come first; there are ways[i] - ways[start] of them.
            i = bisect_right(ways, ways[start] + rank, start) - 1
            rank -= ways[i] - ways[start]
            found.append(self._minutes[i])
            start = self._next[i]
        return found


@lru_cache(maxsize=128)
def _choices(window: _Window, prompts: int, distance: int) -> _Choices:
    return _Choices(window, prompts, distance)


@lru_cache(maxsize=2_048)
def _window(day: date, first: int, last: int, zone: ZoneInfo, study_zone: ZoneInfo) -> _Window:
    if _is_plain(day, first, last, zone) and _is_plain(day, first, last, study_zone):
        return _plain(first, last)
    minutes = tuple(m for m in range(first, last + 1) if _exists(day, m, zone) and _exists(day, m, study_zone))
    start = datetime.combine(day, time(), UTC)
    return _Window(minutes, tuple(int((_moment(day, m, zone) - start).total_seconds() // 60) for m in minutes))


@lru_cache(maxsize=64)
def _plain(first: int, last: int) -> _Window:
    """One object for all days without a clock change, so that its choices are counted once."""
    minutes = tuple(range(first, last + 1))
    return _Window(minutes, minutes)


def _is_plain(day: date, first: int, last: int, zone: ZoneInfo) -> bool:
    """Whether clocks are the same from the hour before the window to the hour after it. No zone ever changed its clocks
    there and back within an hour.
    """
    start = _moment(day, first, zone)
    hours = range(-1, (last - first) // 60 + 3)
    return len({(start + timedelta(hours=h)).astimezone(zone).utcoffset() for h in hours}) == 1


def _exists(day: date, minute: int, zone: ZoneInfo) -> bool:
    """Whether clocks of the zone show this time on this day."""
    shown = _moment(day, minute, zone).astimezone(zone)
    return shown.date() == day and shown.hour * 60 + shown.minute == minute


def _moment(day: date, minute: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(minute // 60, minute % 60), zone).astimezone(UTC)


def _second(day: date, minute: int, zone: ZoneInfo) -> int:
    return int(_moment(day, minute, zone).timestamp())
