"""How much data phones should send with given app settings, and what that asks of the battery (SURVEY-43, CLAR-30).

Sizes are those of the CSV rows that are downloaded. `ROW_BYTES` has the smallest and the largest median row that was
measured, with the measured rows; nothing is said of streams and rates that were not measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.streams import Platform
from core.studies.duty_cycle import duty_cycle

SECONDS_OF_DAY = 86_400
ANDROID, IOS = Platform.ANDROID, Platform.IOS


@dataclass(frozen=True)
class Range:
    """Two ends of an estimate, in bytes."""

    low: float
    high: float

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.high + other.high)

    def times(self, count: float) -> "Range":
        return Range(self.low * count, self.high * count)


NOTHING = Range(0, 0)
_TIME_COLUMN = 24
"""Bytes that the column `UTC time` adds to a row of a phone's file when it is written to a chunk."""
ROW_BYTES: Mapping[tuple[str, Platform], Range] = {
    # Medians of: rows in tests/vectors/chunks/accel-*/expected (78); 400 rows of android_accel_400_rows in
    # tests/vectors/device_files (47 + 24); 7,200 rows of simulated phones, ops/phones/data.py (48 + 24 and 54 + 24).
    ("accelerometer", ANDROID): Range(47 + _TIME_COLUMN, 78),
    ("accelerometer", IOS): Range(78, 78),
    # tests/vectors/chunks/gyro-*/expected (78 and 75.5); 7,200 rows of simulated phones (47 + 24 and 45 + 24).
    ("gyro", ANDROID): Range(47 + _TIME_COLUMN, 78),
    ("gyro", IOS): Range(45 + _TIME_COLUMN, 75.5),
    # tests/vectors/chunks/gps-*/expected (73); android_gps and ios_gps in tests/vectors/device_files (95 + 24 and
    # 94 + 24); 7,200 rows of simulated phones (64 + 24).
    ("gps", ANDROID): Range(73, 95 + _TIME_COLUMN),
    ("gps", IOS): Range(73, 94 + _TIME_COLUMN),
}
FIXED_ROWS_PER_SECOND: Mapping[str, float] = {"gps": 1}
"""Rates that no setting changes: rows of android_gps and ios_gps in tests/vectors/device_files are a second apart."""
SENSORS_WITH_CYCLES: Mapping[str, tuple[Platform, ...]] = {
    "gps": (ANDROID, IOS),
    "accelerometer": (ANDROID, IOS),
    "gyro": (ANDROID, IOS),
    "magnetometer": (IOS,),
    "devicemotion": (IOS,),
    "ambient_audio": (ANDROID,),
}
"""Sensors that are on for some seconds and off for others, with the platforms that have them."""
NOT_MEASURED: Mapping[str, tuple[Platform, ...]] = {
    "magnetometer": (IOS,),
    "devicemotion": (IOS,),
    "wifi": (ANDROID,),
    "bluetooth": (ANDROID,),
    "calls": (ANDROID,),
    "texts": (ANDROID,),
    "power_state": (ANDROID, IOS),
    "proximity": (IOS,),
    "reachability": (IOS,),
}
"""Streams whose rows a day nobody has measured: they depend on the phone, the place or the participant."""


class BatteryClass(StrEnum):
    """How much the sensors ask of a battery, by the share of time for which they are on."""

    LOW = "low"
    MIDDLE = "middle"
    HIGH = "high"


@dataclass(frozen=True)
class BatteryRule:
    """From which share of the time on a sensor puts a phone into the middle and into the high class."""

    sensor: str
    middle: float
    high: float


BATTERY_RULES = (
    BatteryRule("gps", 0.10, 0.40),
    BatteryRule("bluetooth", 0.25, 0.60),
    BatteryRule("ambient_audio", 0.10, 0.50),
    BatteryRule("accelerometer", 0.50, 0.95),
    BatteryRule("gyro", 0.30, 0.80),
    BatteryRule("magnetometer", 0.30, 0.80),
    BatteryRule("devicemotion", 0.30, 0.80),
)
"""The thresholds of the three classes. They order settings; hours of battery life were not measured."""


@dataclass(frozen=True)
class ExpectedData:
    """What one platform makes of the settings, for a phone that records all day.

    `bytes_of` has the streams with an estimate, `not_known` the streams that are on and have none.
    """

    platform: Platform
    bytes_of: Mapping[str, Range]
    not_known: tuple[str, ...]
    battery: BatteryClass
    battery_because: tuple[str, ...]

    @property
    def total(self) -> Range:
        """The sum of the streams with an estimate."""
        return sum(self.bytes_of.values(), NOTHING)


def duty_share(settings: Mapping[str, Any], sensor: str) -> float:
    """The share of the time for which a sensor is on, 0 to 1; 0 if it is switched off."""
    if not settings[sensor]:
        return 0.0
    return duty_cycle(settings, sensor).share


def expected_data(settings: Mapping[str, Any], platform: Platform) -> ExpectedData:
    """Bytes a day and the battery class of a participant with a phone of this platform."""
    bytes_of = {
        sensor: ROW_BYTES[sensor, platform].times(_rows_a_day(settings, sensor))
        for sensor, of in ROW_BYTES
        if of is platform and settings[sensor]
    }
    if platform is ANDROID and settings["ambient_audio"]:
        # The size of a recording follows from its bit rate.
        a_day = settings["ambient_audio_bitrate"] / 8 * SECONDS_OF_DAY * duty_share(settings, "ambient_audio")
        bytes_of["ambient_audio"] = Range(a_day, a_day)
    battery, because = _battery(settings, platform)
    return ExpectedData(
        platform=platform,
        bytes_of=bytes_of,
        not_known=tuple(name for name, platforms in NOT_MEASURED.items() if platform in platforms and settings[name]),
        battery=battery,
        battery_because=because,
    )


def _rows_a_day(settings: Mapping[str, Any], sensor: str) -> float:
    rate = FIXED_ROWS_PER_SECOND.get(sensor) or settings[f"{sensor}_frequency"]
    return SECONDS_OF_DAY * duty_share(settings, sensor) * float(rate)


def _battery(settings: Mapping[str, Any], platform: Platform) -> tuple[BatteryClass, tuple[str, ...]]:
    """The class, and the sensors that put the phone into it."""
    platforms = {**SENSORS_WITH_CYCLES, "bluetooth": (ANDROID,)}
    shares = [(rule, duty_share(settings, rule.sensor)) for rule in BATTERY_RULES if platform in platforms[rule.sensor]]
    if high := tuple(rule.sensor for rule, share in shares if share >= rule.high):
        return BatteryClass.HIGH, high
    if middle := tuple(rule.sensor for rule, share in shares if share >= rule.middle):
        return BatteryClass.MIDDLE, middle
    return BatteryClass.LOW, ()
