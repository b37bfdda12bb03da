"""Hours of a day in which a stream should have data, according to the study's app settings of that day (PORTAL-226)."""

from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from typing import Any

from sqlalchemy.orm import Session

from core.models import Study
from core.participants.expected_streams import SCHEDULED, settings_during, settings_history
from core.streams import SPECS, DataStream, Platform

HOURS_OF_DAY = 24
SECONDS_OF_HOUR = 3600
ExpectedHours = Callable[[DataStream, str | None, date], float | None]
"""Of a stream, the phone's system (None: any) and a day of the study's zone. None where nothing can be expected."""


def hours_by_settings(settings: Mapping[str, Any], stream: DataStream) -> float | None:
    """Hours of a day that should have data of the stream, 0 to 24; None for streams that are not on a schedule.

    An hour counts when the sensor is on for any part of it. A sensor that is on for `on` seconds in each `cycle` meets
    the share (3600 + on) / cycle of all hours, at most all. So a sensor that is on once an hour or oftener has 24.
    """
    if (sensor := SCHEDULED.get(stream)) is None:
        return None
    if not settings[sensor]:
        return 0.0
    on, cycle = _cycle(settings, sensor)
    return HOURS_OF_DAY * min(1.0, (SECONDS_OF_HOUR + on) / max(cycle, on, 1.0))


def expected_hours(session: Session, study: Study) -> ExpectedHours:
    """A function that tells the expected hours. One query. On a day with a change of settings the fewest count."""
    names = {name for sensor in SCHEDULED.values() for name in (sensor, *_names_of_cycle(sensor))}
    history = settings_history(session, study.id, sorted(names))

    @cache
    def held(day: date) -> list[Mapping[str, Any]]:
        return settings_during(history, day, study.zone)

    @cache
    def expected(stream: DataStream, os_type: str | None, day: date) -> float | None:
        if os_type and Platform(os_type) not in SPECS[stream].platforms:
            return None
        hours = [hours_by_settings(settings, stream) for settings in held(day)]
        return min((one for one in hours if one is not None), default=None)

    return expected


def _names_of_cycle(sensor: str) -> tuple[str, ...]:
    if sensor == "wifi":
        return ("wifi_log_frequency_seconds",)
    second = "total" if sensor == "bluetooth" else "off"
    return f"{sensor}_on_duration_seconds", f"{sensor}_{second}_duration_seconds"


def _cycle(settings: Mapping[str, Any], sensor: str) -> tuple[float, float]:
    """For how many seconds the sensor is on, and after how many it begins again."""
    first, *rest = (float(settings[name]) for name in _names_of_cycle(sensor))
    if not rest:
        return 0.0, first
    return first, rest[0] if sensor == "bluetooth" else first + rest[0]
