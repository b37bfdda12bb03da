"""When sensors are on, as stretches of a strip of 24 hours or of one hour (SURVEY-43)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.streams import Platform
from core.studies.duty_cycle import DutyCycle, duty_cycle
from core.studies.expected_data import SECONDS_OF_DAY, SENSORS_WITH_CYCLES

ANDROID, IOS = Platform.ANDROID, Platform.IOS
ON_EVENTS: Mapping[str, tuple[Platform, ...]] = {
    "calls": (ANDROID,),
    "texts": (ANDROID,),
    "power_state": (ANDROID, IOS),
    "proximity": (IOS,),
    "reachability": (IOS,),
}
"""Streams that get a row when something happens, at any time of the day."""
MOST_STRETCHES = 144
"""A strip shows at most this many stretches: one in ten minutes of a day, one in 25 seconds of an hour."""
SECONDS_OF_HOUR = 3_600
WIFI_SCAN_SECONDS = 10
"""How long a scan is drawn; a scan's own length is not a setting."""


@dataclass(frozen=True)
class Strip:
    """A sensor's day. `stretches` are (start, length) in seconds of the day; times are drawn from midnight on, while
    a phone counts from its own start. `is_merged`: cycles are too short to draw, so one stretch stands for them all
    and `share` says how much of the time it is on. `first_hour` has the stretches of one hour where cycles are shorter
    than that. `is_on_events`: rows come when something happens.
    """

    sensor: str
    platforms: tuple[Platform, ...]
    stretches: tuple[tuple[float, float], ...]
    share: float
    first_hour: tuple[tuple[float, float], ...] = ()
    on_seconds: int = 0
    cycle_seconds: int = 0
    is_merged: bool = False
    is_on_events: bool = False


def strips(settings: Mapping[str, Any]) -> list[Strip]:
    """A strip for every sensor that is switched on, in the order of the form."""
    drawn = []
    for sensor, platforms in SENSORS_WITH_CYCLES.items():
        if settings[sensor]:
            drawn.append(_cycles(sensor, platforms, duty_cycle(settings, sensor)))
    if settings["bluetooth"]:
        offset = settings["bluetooth_global_offset_seconds"]
        drawn.append(_cycles("bluetooth", (ANDROID,), duty_cycle(settings, "bluetooth"), offset))
    if settings["wifi"]:
        scans = replace(duty_cycle(settings, "wifi"), on_seconds=WIFI_SCAN_SECONDS)
        drawn.append(_cycles("wifi", (ANDROID,), scans))
    for sensor, platforms in ON_EVENTS.items():
        if settings[sensor]:
            drawn.append(Strip(sensor, platforms, ((0, SECONDS_OF_DAY),), 1, is_on_events=True))
    return drawn


def _cycles(sensor: str, platforms: tuple[Platform, ...], of: DutyCycle, offset: int = 0) -> Strip:
    cycle = max(1, of.cycle_seconds)
    on = min(of.on_seconds, cycle)
    all_day = _stretches(on, cycle, offset, SECONDS_OF_DAY)
    return Strip(
        sensor,
        platforms,
        stretches=all_day or ((0, SECONDS_OF_DAY),),
        share=of.share,
        first_hour=_stretches(on, cycle, offset, SECONDS_OF_HOUR) if on < cycle < SECONDS_OF_HOUR else (),
        on_seconds=on,
        cycle_seconds=cycle,
        is_merged=not all_day,
    )


def _stretches(on: int, cycle: int, offset: int, length: int) -> tuple[tuple[float, float], ...]:
    """The stretches within `length` seconds from midnight on; none if they are too many to draw."""
    if on >= cycle:
        return ((0, length),)
    if length / cycle > MOST_STRETCHES:
        return ()
    first = offset % cycle
    starts = range(first - cycle if first + on > cycle else first, length, cycle)
    cut = ((max(0, start), min(length, start + on)) for start in starts)
    return tuple((start, end - start) for start, end in cut if end > start)
