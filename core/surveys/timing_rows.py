"""Timings as rows of `schedules`, and back."""

import hashlib
import uuid
from typing import Any

from core.models import Schedule
from core.surveys.schedules import (
    KIND_OF,
    Absolute,
    Arm,
    FixedTiming,
    Planned,
    Random,
    Relative,
    ScheduleKind,
    Timing,
    Weekly,
)


def timing_of(schedule: Schedule) -> Timing:
    """A row of `schedules` as what it means; a relative one by its intervention's id."""
    if schedule.kind == ScheduleKind.RANDOM:
        assert schedule.weekdays is not None and schedule.window_last is not None
        assert schedule.prompts is not None and schedule.distance_minutes is not None
        days = tuple(day for day in range(7) if schedule.weekdays >> day & 1)
        return Random(days, schedule.time_of_day, schedule.window_last, schedule.prompts, schedule.distance_minutes)
    return fixed_timing_of(schedule)


def fixed_timing_of(schedule: Schedule) -> FixedTiming:
    """The timing of a row that is not random."""
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


def arm_of(schedule: Schedule) -> Arm | None:
    """The arm of a row, by its field's id; None for everybody."""
    if schedule.arm_field_id is None:
        return None
    assert schedule.arm_value is not None
    return Arm(schedule.arm_field_id, schedule.arm_value)


def planned_of(schedule: Schedule) -> Planned:
    """A row with its arm, as what it means."""
    return Planned(timing_of(schedule), arm_of(schedule))


_COLUMNS = (
    "weekday",
    "falls_on",
    "intervention_id",
    "days_after",
    "weekdays",
    "window_last",
    "prompts",
    "distance_minutes",
    "seed",
    "arm_field_id",
    "arm_value",
)


def row_of(survey_id: int, timing: Timing, arm: Arm | None = None) -> dict[str, Any]:
    """The columns of a survey's schedule. A relative timing goes by its intervention's id, an arm by its field's.

    A random timing gets a seed, from which follows what is drawn for each participant and day (CLAR-52). It is made
    from survey, timing and arm, so that a preview draws what saving will, and a schedule that comes back draws as
    before.
    """
    row: dict[str, Any] = {"survey_id": survey_id, "kind": KIND_OF[type(timing)].value}
    row |= dict.fromkeys(_COLUMNS)
    if arm:
        row |= {"arm_field_id": arm.field, "arm_value": arm.value}
    match timing:
        case Weekly(weekday, at):
            return row | {"time_of_day": at, "weekday": weekday}
        case Absolute(day, at):
            return row | {"time_of_day": at, "falls_on": day}
        case Relative(intervention, days_after, at):
            return row | {"time_of_day": at, "intervention_id": intervention, "days_after": days_after}
        case Random(weekdays, first, last, prompts, distance_minutes):
            window = {"time_of_day": first, "window_last": last, "weekdays": sum(1 << day for day in weekdays)}
            drawn = {"prompts": prompts, "distance_minutes": distance_minutes, "seed": _seed(survey_id, timing, arm)}
            return row | window | drawn


def _seed(survey_id: int, timing: Random, arm: Arm | None) -> uuid.UUID:
    return uuid.UUID(bytes=hashlib.sha256(f"{survey_id} {timing} {arm}".encode()).digest()[:16])
