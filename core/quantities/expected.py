"""Hours of a day in which a stream should have data, according to the study's app settings of that day (PORTAL-226)."""

from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from typing import Any

from sqlalchemy.orm import Session

from core.models import Study
from core.participants.expected_streams import SCHEDULED, settings_during, settings_history
from core.streams import SPECS, DataStream, Platform
from core.studies.duty_cycle import duty_cycle, names_of_cycle

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
    cycle = duty_cycle(settings, sensor)
    return HOURS_OF_DAY * min(1.0, (SECONDS_OF_HOUR + cycle.on_seconds) / max(cycle.cycle_seconds, 1))


def expected_hours(session: Session, study: Study) -> ExpectedHours:
    """A function that tells the expected hours. One query. On a day with a change of settings the fewest count."""
    names = {name for sensor in SCHEDULED.values() for name in (sensor, *names_of_cycle(sensor))}
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
