"""Timings as rows of `schedules`, and back."""

from typing import Any

from core.models import Schedule
from core.surveys.schedules import Absolute, Relative, ScheduleKind, Timing, Weekly


def timing_of(schedule: Schedule) -> Timing:
    """A row of `schedules` as what it means; a relative one by its intervention's id."""
    match schedule.kind:
        case ScheduleKind.WEEKLY:
            assert schedule.weekday is not None
            return Weekly(schedule.weekday, schedule.time_of_day)
        case ScheduleKind.ABSOLUTE:
            assert schedule.falls_on is not None
            return Absolute(schedule.falls_on, schedule.time_of_day)
        case _:
            assert schedule.intervention_id is not None
            assert schedule.days_after is not None
            return Relative(schedule.intervention_id, schedule.days_after, schedule.time_of_day)


def row_of(survey_id: int, timing: Timing) -> dict[str, Any]:
    """The columns of a survey's schedule; a relative timing goes by its intervention's id."""
    row: dict[str, Any] = {"survey_id": survey_id, "time_of_day": timing.time_of_day}
    row |= dict.fromkeys(("weekday", "falls_on", "intervention_id", "days_after"))
    match timing:
        case Weekly(weekday):
            return row | {"kind": ScheduleKind.WEEKLY.value, "weekday": weekday}
        case Absolute(day):
            return row | {"kind": ScheduleKind.ABSOLUTE.value, "falls_on": day}
        case Relative(intervention, days_after):
            named = {"intervention_id": intervention, "days_after": days_after}
            return row | {"kind": ScheduleKind.RELATIVE.value} | named
