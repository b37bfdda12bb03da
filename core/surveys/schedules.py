"""From schedules to moments: the times that a schedule asks for, and when an event counts.

Pure, without the database: `flask schedules expand` stands on it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class ScheduleKind(StrEnum):
    """What a schedule's time hangs on (NOTIF-1)."""

    WEEKLY = "weekly"
    ABSOLUTE = "absolute"
    RELATIVE = "relative"
    RANDOM = "random"


@dataclass(frozen=True)
class Weekly:
    """Every week on this day, 0 = Sunday."""

    weekday: int
    time_of_day: time


@dataclass(frozen=True)
class Absolute:
    """Once, on this date."""

    day: date
    time_of_day: time


@dataclass(frozen=True)
class Relative:
    """Some days after the participant's date of an intervention (negative: before), which goes by its id or name."""

    intervention: int | str
    days_after: int
    time_of_day: time


@dataclass(frozen=True)
class Random:
    """Some prompts at random minutes of a window, anew for each participant and day (CLAR-52).

    `weekdays` are ascending, 0 = Sunday. The first and the last minute of the window belong to it; it does not cross
    midnight. Prompts of a day are at least `distance_minutes` apart.
    """

    weekdays: tuple[int, ...]
    first: time
    last: time
    prompts: int
    distance_minutes: int


FixedTiming = Weekly | Absolute | Relative
"""A timing with one time of the day."""

Timing = FixedTiming | Random
"""When a survey is asked: equal timings are one schedule (NOTIF-1)."""

KIND_OF: dict[type[Timing], ScheduleKind] = {
    Weekly: ScheduleKind.WEEKLY,
    Absolute: ScheduleKind.ABSOLUTE,
    Relative: ScheduleKind.RELATIVE,
    Random: ScheduleKind.RANDOM,
}


@dataclass(frozen=True)
class Arm:
    """Those participants who have this value of a custom field, which goes by its number or name (CLAR-53)."""

    field: int | str
    value: str


@dataclass(frozen=True)
class Planned:
    """A timing for everybody, or for the participants of one arm only. Equal ones are one schedule (SURVEY-31)."""

    timing: Timing
    arm: Arm | None = None


def wall_clock(day: date, time_of_day: time, zone: ZoneInfo) -> datetime:
    """The moment (UTC) at which clocks of the zone show this (NOTIF-4).

    Of a time that exists twice it is the first; one that a clock change skips counts with the offset before the gap.
    Raises OverflowError at the ends of the calendar.
    """
    return datetime.combine(day, time_of_day, zone).astimezone(UTC)


def local_date(moment: datetime, zone: ZoneInfo) -> date:
    """The date in the zone."""
    return moment.astimezone(zone).date()


def wanted_times(
    timing: FixedTiming, zone: ZoneInfo, now: datetime, intervention_on: date | None = None
) -> list[datetime]:
    """The moments (UTC, ascending) of the events that should exist, in the study's zone (NOTIF-5, NOTIF-6).

    `intervention_on` is the participant's date for a relative timing; without it there are none.
    """
    return [at for _, at in moments_of(timing, wanted_days(timing, local_date(now, zone), intervention_on), zone)]


def moments_of(timing: FixedTiming, days: Iterable[date], zone: ZoneInfo) -> list[tuple[date, datetime]]:
    """These days with the moment (UTC) at which the timing asks; none beyond the ends of the calendar."""
    try:
        return [(day, wall_clock(day, timing.time_of_day, zone)) for day in days]
    except OverflowError:  # a date of old data near the year 9999
        return []


def wanted_days(timing: Timing, today: date, intervention_on: date | None = None) -> list[date]:
    """The dates for which events should exist: of last, this and next week where a timing comes back each week.

    `today` is the date in the study's zone (NOTIF-5). A date beyond the calendar is left out.
    """
    return days_between(timing, *three_weeks(today), intervention_on, is_for_ever=True)


def three_weeks(today: date) -> tuple[date, date]:
    """The Sunday of last week, and the Saturday of next week (NOTIF-5)."""
    sunday = today - timedelta(days=today.isoweekday() % 7)
    return sunday - timedelta(days=7), sunday + timedelta(days=13)


def days_between(
    timing: Timing, first: date, last: date, intervention_on: date | None = None, *, is_for_ever: bool = False
) -> list[date]:
    """The dates, ascending, on which the timing asks from `first` to `last`.

    With `is_for_ever` timings that ask once do so on any date (NOTIF-6).
    """
    match timing:
        case Weekly(weekday):
            days = _of_weekdays((weekday,), first, last)
        case Random(weekdays):
            days = _of_weekdays(weekdays, first, last)
        case Absolute(day):
            days = [day]
        case Relative(_, days_after):
            try:
                days = [intervention_on + timedelta(days=days_after)] if intervention_on else []
            except OverflowError:
                days = []
    is_once = isinstance(timing, Absolute | Relative)
    return days if is_for_ever and is_once else [day for day in days if first <= day <= last]


def _of_weekdays(weekdays: Collection[int], first: date, last: date) -> list[date]:
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if day.isoweekday() % 7 in weekdays]


def is_created(timing: Timing, scheduled_at: datetime, now: datetime) -> bool:
    """Whether a wanted event that does not exist is created: of timings that come back each week only when later than
    now (NOTIF-5, CLAR-52).
    """
    return scheduled_at > now or isinstance(timing, Absolute | Relative)


def counts_as(scheduled_at: datetime, study_zone: ZoneInfo, participant_zone: ZoneInfo | None) -> datetime:
    """The moment (UTC) at which the participant's clock shows the event's time of the study's zone (NOTIF-21).

    The study's zone stands in while the participant's is unknown.
    """
    wall = scheduled_at.astimezone(study_zone)
    return wall_clock(wall.date(), wall.time(), participant_zone or study_zone)


def is_due(scheduled_at: datetime, study_zone: ZoneInfo, participant_zone: ZoneInfo | None, now: datetime) -> bool:
    """Whether the moment that counts is not after now (NOTIF-21)."""
    return counts_as(scheduled_at, study_zone, participant_zone) <= now
