"""For how long a sensor is on, and after how long it begins again, according to app settings. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DutyCycle:
    """Seconds for which a sensor is on in each cycle, and seconds of a cycle, as they were set.

    Settings may ask for more than a cycle has: then the sensor is on all the time.
    """

    on_seconds: int
    cycle_seconds: int

    @property
    def share(self) -> float:
        """The share of the time for which the sensor is on, 0 to 1."""
        return min(1.0, self.on_seconds / max(1, self.cycle_seconds))


def duty_cycle(settings: Mapping[str, Any], sensor: str) -> DutyCycle:
    """The cycle of a sensor, whether it is switched on or not. Scans of wifi have no length: they are on for 0 s."""
    first, *second = (int(settings[name]) for name in names_of_cycle(sensor))
    if not second:
        return DutyCycle(0, first)
    return DutyCycle(first, second[0] if sensor == "bluetooth" else first + second[0])


def names_of_cycle(sensor: str) -> tuple[str, ...]:
    """The settings that make the cycle: how long it is on and off; of bluetooth on and in all; of wifi the interval."""
    if sensor == "wifi":
        return ("wifi_log_frequency_seconds",)
    second = "total" if sensor == "bluetooth" else "off"
    return f"{sensor}_on_duration_seconds", f"{sensor}_{second}_duration_seconds"
