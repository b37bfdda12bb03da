"""Past days of data from each of a study's phones, so that a new server has something to show."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from ops.phones.data import HEADERS
from ops.phones.phone import Phone
from ops.phones.platforms import Platform

WINDOW_HOURS = 6
STOPPED_DAYS_AGO = 3

# period, rows in each burst, milliseconds between rows: a fraction of what a phone records, spread over the day
_SAMPLING = {
    "accel": (300_000, 10, 200),
    "gyro": (900_000, 10, 200),
    "magnetometer": (900_000, 5, 200),
    "gps": (600_000, 6, 10_000),
}


class Habit(StrEnum):
    """How regularly a phone reports."""

    STEADY = "steady"
    STOPPED = "stopped"
    GAPS = "gaps"
    NO_ACCELEROMETER = "no accelerometer on some days"
    OFF_AT_NIGHT = "off at night"
    NEVER_REGISTERS = "never registers"


def platform_of(index: int, choice: str) -> Platform:
    """The platform of the n-th phone for a choice of `android`, `ios` or `mixed` (taking turns)."""
    if choice == "mixed":
        return Platform.ANDROID if index % 2 == 0 else Platform.IOS
    return Platform(choice)


def habit_of(index: int, count: int) -> Habit:
    """The n-th phone's habit; of four phones or more the last one never registers."""
    if count >= 4 and index == count - 1:
        return Habit.NEVER_REGISTERS
    turns = (
        Habit.STEADY,
        Habit.STEADY,
        Habit.STOPPED,
        Habit.NO_ACCELEROMETER,
        Habit.GAPS,
        Habit.OFF_AT_NIGHT,
    )
    return turns[index % len(turns)]


def past_days(days: int, zone: str, now: datetime) -> Iterator[datetime]:
    """Local midnights of the last `days` days, oldest first, and of today, which is cut at now."""
    today = now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    for back in range(days, -1, -1):
        yield today - timedelta(days=back)


def collect_day(phone: Phone, habit: Habit, midnight: datetime, now: datetime) -> int:
    """Puts one local day's files into the phone's outbox, six hours each, none that end after now; returns how many.

    Survey answers of the day come along, some days left out.
    """
    dice = random.Random(f"history|{phone.seed}|{midnight.date()}")
    if habit is Habit.STOPPED and now - midnight < timedelta(days=STOPPED_DAYS_AGO):
        return 0
    if habit is Habit.GAPS and dice.random() < 0.3:
        return 0
    before = len(phone.outbox)
    left_out = "accel" if habit is Habit.NO_ACCELEROMETER and dice.random() < 0.4 else ""
    for hour in range(0, 24, WINDOW_HOURS):
        if (habit is Habit.OFF_AT_NIGHT and hour == 0) or (habit is Habit.GAPS and dice.random() < 0.2):
            continue
        start = midnight.replace(hour=hour).astimezone(UTC) + timedelta(milliseconds=dice.randrange(60_000))
        end = min(start + timedelta(hours=WINDOW_HOURS), now)
        if end - start < timedelta(minutes=10):
            continue
        for alias in HEADERS[phone.platform]:
            if alias != left_out and phone.writes(alias):
                _collect(phone, alias, start, end)
    asked = midnight.replace(hour=19).astimezone(UTC) + timedelta(seconds=dice.randrange(7200))
    if asked < now - timedelta(minutes=5) and dice.random() < 0.8:
        phone.answer_surveys(int(asked.timestamp() * 1000))
    return len(phone.outbox) - before


def _collect(phone: Phone, alias: str, start: datetime, end: datetime) -> None:
    period_ms, burst_rows, row_ms = _SAMPLING.get(alias, (60_000, 10, 100))
    start_ms, end_ms = int(start.timestamp() * 1000), int(end.timestamp() * 1000)
    phone.collect(alias, start_ms, end_ms, period_ms, burst_rows, row_ms)
