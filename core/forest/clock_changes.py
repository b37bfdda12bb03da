"""Jasmine's days of 23 and 25 hours.

The library cuts its trajectory into pieces of 24 hours from the first midnight on: after a change of clocks each would
begin an hour off, and the last day of the range would be lost or another come twice.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

DAY_S = 86_400
# Columns of a trajectory: a flight or pause from one place and time to another.
X0, Y0, T0, X1, Y1, T1, IS_OBSERVED = range(1, 8)
DURATIONS = [
    "obs_duration",
    "obs_day",
    "obs_night",
    "home_time",
    "total_flight_time",
    "av_flight_duration",
    "sd_flight_duration",
    "total_pause_time",
    "av_pause_duration",
    "sd_pause_duration",
]


@contextmanager
def days_as_long_as_they_are(library: Any) -> Iterator[None]:
    """Within it, the library (`forest.jasmine.traj2stats`) summarizes by the zone's days.

    Ranges without a change of clocks are summarized by the library in one go, as ever. In others it gets each day of
    23 or 25 hours alone, and the days between together, with one home for all. The times of such a day are stretched or
    shrunk to 24 hours, and its durations back: exact, but for the quarter of an hour after which a place counts as
    significant (14.4 or 15.6 minutes) and for the borders of day and night.
    """
    summarize, locate_home = library.gps_summaries, library.locate_home

    def summaries(trajectory: Any, zone: str, *others: Any) -> tuple[Any, dict[str, Any]]:
        parts = stretches(trajectory[0, T0], trajectory[-1, T1], ZoneInfo(zone))
        if all(seconds == DAY_S for _, _, seconds in parts):
            whole: tuple[Any, dict[str, Any]] = summarize(trajectory, zone, *others)
            return whole
        home = locate_home(trajectory[trajectory[:, IS_OBSERVED] == 1], zone)
        library.locate_home = lambda *_: home
        return _joined(summarize, trajectory, zone, others, parts)

    library.gps_summaries = summaries
    try:
        yield
    finally:
        library.gps_summaries, library.locate_home = summarize, locate_home


def stretches(first: float, last: float, zone: ZoneInfo) -> list[tuple[date, date, int]]:
    """The days from one moment to another (Unix seconds), in groups of equal length: first and last day, seconds.

    Days of another length than 24 hours are alone.
    """
    day, end = (datetime.fromtimestamp(at, zone).date() for at in (first, last))
    found: list[tuple[date, date, int]] = []
    while day <= end:
        seconds = round(_midnight(day + timedelta(days=1), zone) - _midnight(day, zone))
        if found and found[-1][2] == seconds == DAY_S:
            found[-1] = (found[-1][0], day, seconds)
        else:
            found.append((day, day, seconds))
        day += timedelta(days=1)
    return found


def _joined(
    summarize: Callable[..., tuple[Any, dict[str, Any]]],
    trajectory: Any,
    zone: str,
    others: tuple[Any, ...],
    parts: list[tuple[date, date, int]],
) -> tuple[Any, dict[str, Any]]:
    import pandas as pd

    tables: list[Any] = []
    tags: dict[str, Any] = {}
    for first, last, seconds in parts:
        begin, end = _midnight(first, ZoneInfo(zone)), _midnight(last + timedelta(days=1), ZoneInfo(zone))
        part = _cut(trajectory, begin, end)
        if not len(part):
            continue
        ratio = seconds / DAY_S
        if ratio != 1:
            is_last = part[:, T1] == end
            part[:, [T0, T1]] = begin + (part[:, [T0, T1]] - begin) / ratio
            part[is_last, T1] = begin + DAY_S  # a hair less, and the library takes the rest of the day as imputed
        table, more = summarize(part, zone, *others)
        days = pd.to_datetime(table[["year", "month", "day"]]).dt.date
        table = table[(days >= first) & (days <= last)].copy()  # one that ends at midnight has an empty day more
        if ratio != 1:
            table[DURATIONS] = table[DURATIONS].apply(pd.to_numeric) * ratio
        tables.append(table)
        tags |= more
    return pd.concat(tables), tags


def _cut(trajectory: Any, begin: float, end: float) -> Any:
    """The part from one moment to another; flights across them are cut in proportion. Some take no time: they stay."""
    import numpy as np

    part = trajectory[(trajectory[:, T0] < end) & (trajectory[:, T1] > begin)].copy()
    starts, places, lengths = part[:, [T0]].copy(), part[:, [X0, Y0]].copy(), part[:, [T1]] - part[:, [T0]]
    ways = part[:, [X1, Y1]] - places
    ends = (([X0, Y0, T0], part[:, [T0]].clip(begin), 0.0), ([X1, Y1, T1], part[:, [T1]].clip(None, end), 1.0))
    for columns, moments, whole in ends:
        share = np.divide(moments - starts, lengths, out=np.full_like(lengths, whole), where=lengths > 0)
        part[:, columns[:2]] = places + ways * share
        part[:, columns[2:]] = moments
    return part


def _midnight(day: date, zone: ZoneInfo) -> float:
    return datetime.combine(day, time(), zone).astimezone(UTC).timestamp()
