"""Timings as forms, exports and old clients carry them: lists of numbers (NOTIF-2)."""

from collections.abc import Callable
from datetime import date, time
from typing import Any

from core.surveys.random_times import MOST_PROMPTS, fits
from core.surveys.schedules import Absolute, Random, Relative, ScheduleKind, Timing, Weekly

SECONDS_OF_DAY = 86_400
MOST_DAYS_AFTER = 36_500
LONGEST_ARM = 200
YEARS = range(1900, 3000)


class TimingRefused(Exception):
    """A timing that cannot be; the message names its place in the list (SURVEY-30)."""


def read_timings(kind: ScheduleKind, value: Any) -> list[Timing]:
    """The timings in a list of NOTIF-2, each once, in the list's order. Raises TimingRefused.

    Weekly: seven lists of seconds into the day, Sunday first; absolute: [year, month, day, seconds]; relative:
    [intervention's id or name, days after, seconds]; random: [days of the week, first second, last second, prompts,
    least distance in minutes], 0 = Sunday (CLAR-52). Seconds are cut to whole minutes.
    """
    if not isinstance(value, list):
        raise TimingRefused(f"{kind} timings: a list is expected")
    return list(dict.fromkeys(_READERS[kind](value)))


def seconds_of_day(time_of_day: time) -> int:
    """Seconds since midnight on the clock, of whole minutes."""
    return time_of_day.hour * 3600 + time_of_day.minute * 60


def _weekly(value: list[Any]) -> list[Timing]:
    if len(value) != 7 or not all(isinstance(day, list) for day in value):
        raise TimingRefused("weekly timings: seven lists are expected, Sunday's first")
    return [
        Weekly(weekday, _time(seconds, f"weekly timings, day {weekday}, entry {n}"))
        for weekday, day in enumerate(value)
        for n, seconds in enumerate(day, 1)
    ]


def _absolute(value: list[Any]) -> list[Timing]:
    timings: list[Timing] = []
    for n, entry in enumerate(value, 1):
        place = f"absolute timings, entry {n}"
        if not isinstance(entry, list) or len(entry) != 4 or not all(map(_is_whole, entry)):
            raise TimingRefused(f"{place}: [year, month, day, seconds] is expected")
        year, month, day, seconds = entry
        try:
            on = date(year, month, day)
        except (ValueError, OverflowError):
            raise TimingRefused(f"{place}: there is no such date") from None
        if year not in YEARS:
            raise TimingRefused(f"{place}: the year is far away")
        timings.append(Absolute(on, _time(seconds, place)))
    return timings


def _relative(value: list[Any]) -> list[Timing]:
    timings: list[Timing] = []
    for n, entry in enumerate(value, 1):
        place = f"relative timings, entry {n}"
        if not isinstance(entry, list) or len(entry) != 3 or not (_is_whole(entry[0]) or isinstance(entry[0], str)):
            raise TimingRefused(f"{place}: [intervention, days after, seconds] is expected")
        intervention, days_after, seconds = entry
        if not _is_whole(days_after) or abs(days_after) > MOST_DAYS_AFTER:
            raise TimingRefused(f"{place}: days after are a whole number up to {MOST_DAYS_AFTER:,}")
        timings.append(Relative(intervention, days_after, _time(seconds, place)))
    return timings


def _random(value: list[Any]) -> list[Timing]:
    timings: list[Timing] = []
    for n, entry in enumerate(value, 1):
        place = f"random timings, entry {n}"
        if not isinstance(entry, list) or len(entry) != 5 or not isinstance(entry[0], list):
            raise TimingRefused(f"{place}: [days of the week, from, to, prompts, least distance] is expected")
        days, first, last, prompts, distance = entry
        if not all(_is_whole(day) and 0 <= day <= 6 for day in days):
            raise TimingRefused(f"{place}: days of the week are from 0, Sunday, to 6")
        if not _is_whole(prompts) or not _is_whole(distance):
            raise TimingRefused(f"{place}: prompts and their least distance in minutes are whole numbers")
        timing = Random(tuple(sorted(set(days))), _time(first, place), _time(last, place), prompts, distance)
        if problem := problem_of(timing):
            raise TimingRefused(f"{place}: {problem}")
        timings.append(timing)
    return timings


def problem_of(timing: Random) -> str:
    """Why random times cannot be so, as a sentence without its end; empty if they can (CLAR-52)."""
    if not timing.weekdays:
        return "at least one day of the week is needed"
    if timing.last < timing.first:
        return "the window ends before it begins; it cannot cross midnight"
    if not 1 <= timing.prompts <= MOST_PROMPTS:
        return f"from 1 to {MOST_PROMPTS} prompts a day can be drawn"
    if not 1 <= timing.distance_minutes < 1_440:
        return "the least distance is from 1 to 1,439 minutes"
    if not fits(timing):
        needed = (timing.prompts - 1) * timing.distance_minutes
        window = f"{timing.first:%H:%M} to {timing.last:%H:%M}"
        return (
            f"{timing.prompts} prompts at least {timing.distance_minutes} minutes apart need {needed} minutes,"
            f" more than from {window}"
        )
    return ""


def arm_problem(value: str) -> str:
    """Why this cannot be the value of an arm; empty if it can."""
    if value != value.strip() or not 1 <= len(value) <= LONGEST_ARM or "\0" in value:
        return f"the value of an arm has 1 to {LONGEST_ARM} characters, and no space around it"
    return ""


def random_entry(timing: Random) -> list[Any]:
    """The entry of a list of random timings that stands for this one."""
    window = [seconds_of_day(timing.first), seconds_of_day(timing.last)]
    return [list(timing.weekdays), *window, timing.prompts, timing.distance_minutes]


_READERS: dict[ScheduleKind, Callable[[list[Any]], list[Timing]]] = {
    ScheduleKind.WEEKLY: _weekly,
    ScheduleKind.ABSOLUTE: _absolute,
    ScheduleKind.RELATIVE: _relative,
    ScheduleKind.RANDOM: _random,
}


def _time(seconds: Any, place: str) -> time:
    if not _is_whole(seconds) or not 0 <= seconds < SECONDS_OF_DAY:
        raise TimingRefused(f"{place}: seconds into the day are from 0 to {SECONDS_OF_DAY - 1}")
    return time(seconds // 3600, seconds % 3600 // 60)


def _is_whole(value: Any) -> bool:
    return type(value) is int
