"""From schedules to moments: the times that a schedule asks for, and when an event counts.

Pure, without the database: `flask schedules expand` stands on it.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class ScheduleKind(StrEnum):
    """What a schedule's time hangs on (NOTIF-1)."""

    WEEKLY = "weekly"
    ABSOLUTE = "absolute"
    RELATIVE = "relative"


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


Timing = Weekly | Absolute | Relative
"""When a survey is asked: equal timings are one schedule (NOTIF-1)."""


def wall_clock(day: date, time_of_day: time, zone: ZoneInfo) -> datetime:
    """The moment (UTC) at which clocks of the zone show this (NOTIF-4).

    Of a time that exists twice it is the first; one that a clock change skips counts with the offset before the gap.
    Raises OverflowError at the ends of the calendar.
    """
    return datetime.combine(day, time_of_day, zone).astimezone(UTC)


def local_date(moment: datetime, zone: ZoneInfo) -> date:
    """The date in the zone."""
    return moment.astimezone(zone).date()


def wanted_times(timing: Timing, zone: ZoneInfo, now: datetime, intervention_on: date | None = None) -> list[datetime]:
    """The moments (UTC, ascending) of the events that should exist, in the study's zone (NOTIF-5, NOTIF-6).

    `intervention_on` is the participant's date for a relative timing; without it there are none.
    """
    try:
        return [
            wall_clock(day, timing.time_of_day, zone) for day in _days(timing, local_date(now, zone), intervention_on)
        ]
    except OverflowError:  # a date of old data near the year 9999
        return []


def _days(timing: Timing, today: date, intervention_on: date | None) -> list[date]:
    match timing:
        case Weekly(weekday):
            sunday = today - timedelta(days=today.isoweekday() % 7)
            return [sunday + timedelta(days=7 * week + weekday) for week in (-1, 0, 1)]
        case Absolute(day):
            return [day]
        case Relative(_, days_after):
            return [intervention_on + timedelta(days=days_after)] if intervention_on else []


def is_created(timing: Timing, scheduled_at: datetime, now: datetime) -> bool:
    """Whether a wanted event that does not exist is created: weekly ones only when later than now (NOTIF-5)."""
    return scheduled_at > now or not isinstance(timing, Weekly)


def counts_as(scheduled_at: datetime, study_zone: ZoneInfo, participant_zone: ZoneInfo | None) -> datetime:
    """The moment (UTC) at which the participant's clock shows the event's time of the study's zone (NOTIF-21).

    The study's zone stands in while the participant's is unknown.
    """
    wall = scheduled_at.astimezone(study_zone)
    return wall_clock(wall.date(), wall.time(), participant_zone or study_zone)


def is_due(scheduled_at: datetime, study_zone: ZoneInfo, participant_zone: ZoneInfo | None, now: datetime) -> bool:
    """Whether the moment that counts is not after now (NOTIF-21)."""
    return counts_as(scheduled_at, study_zone, participant_zone) <= now
