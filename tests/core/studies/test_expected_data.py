"""Expected data, battery classes and strips, by worked examples (SURVEY-43, CLAR-30)."""

import statistics
from pathlib import Path

import pytest

from core.streams import Platform
from core.studies.expected_data import ROW_BYTES, BatteryClass, duty_share, expected_data
from core.studies.sampling import strips
from core.studies.settings_versions import DEFAULTS
from tests.support.paths import VECTORS

ANDROID, IOS = Platform.ANDROID, Platform.IOS
OFF = DEFAULTS | {name: False for name, default in DEFAULTS.items() if isinstance(default, bool)}


def test_a_day_of_gps_is_its_rows_times_their_size():
    """SURVEY-43: a minute in every eleven, a row a second: 86,400 / 11 rows of 73 to 119 bytes."""
    settings = OFF | {"gps": True, "gps_on_duration_seconds": 60, "gps_off_duration_seconds": 600}
    data = expected_data(settings, ANDROID)
    rows = 86_400 / 11
    assert (data.total.low, data.total.high) == pytest.approx((rows * 73, rows * 119))
    assert set(data.bytes_of) == {"gps"} and data.not_known == ()


def test_a_day_of_accelerometer_follows_frequency_and_cycle():
    """SURVEY-43: half of the time at 20 Hz are 864,000 rows, on iOS of 78 bytes."""
    settings = OFF | {
        "accelerometer": True,
        "accelerometer_on_duration_seconds": 30,
        "accelerometer_off_duration_seconds": 30,
        "accelerometer_frequency": 20,
    }
    assert expected_data(settings, IOS).total.high == pytest.approx(864_000 * 78)
    assert expected_data(settings, ANDROID).total.low == pytest.approx(864_000 * 71)


def test_ambient_audio_is_its_bit_rate():
    """SURVEY-43: 24,000 bits a second for half of a day."""
    data = expected_data(OFF | {"ambient_audio": True}, ANDROID)
    assert data.bytes_of["ambient_audio"].low == pytest.approx(24_000 / 8 * 43_200)
    assert expected_data(OFF | {"ambient_audio": True}, IOS).bytes_of == {}


def test_what_was_not_measured_is_said_not_guessed():
    """CLAR-30."""
    settings = OFF | {"magnetometer": True, "wifi": True, "calls": True, "reachability": True}
    assert expected_data(settings, ANDROID).not_known == ("wifi", "calls")
    assert expected_data(settings, IOS).not_known == ("magnetometer", "reachability")
    assert expected_data(settings, ANDROID).total.high == 0


@pytest.mark.parametrize(
    ("on", "off", "expected"),
    [
        (60, 600, BatteryClass.LOW),
        (60, 540, BatteryClass.MIDDLE),
        (60, 91, BatteryClass.MIDDLE),
        (60, 90, BatteryClass.HIGH),
    ],
)
def test_the_battery_class_follows_the_share_of_time_on(on: int, off: int, expected: BatteryClass):
    """CLAR-30: GPS is in the middle class from 10 % and in the high class from 40 % on."""
    settings = OFF | {"gps": True, "gps_on_duration_seconds": on, "gps_off_duration_seconds": off}
    data = expected_data(settings, IOS)
    assert data.battery is expected
    assert data.battery_because == (() if expected is BatteryClass.LOW else ("gps",))


def test_a_sensor_counts_on_its_own_platform_only():
    """CLAR-30: device motion is iOS only, Bluetooth Android only."""
    settings = OFF | {
        "devicemotion": True,
        "devicemotion_on_duration_seconds": 99,
        "devicemotion_off_duration_seconds": 1,
    }
    assert expected_data(settings, IOS).battery is BatteryClass.HIGH
    assert expected_data(settings, ANDROID).battery is BatteryClass.LOW
    assert duty_share(OFF | {"bluetooth": True}, "bluetooth") == 0.2


def test_a_strip_has_one_stretch_for_each_cycle():
    """SURVEY-43: one hour on of every four."""
    settings = OFF | {"gps": True, "gps_on_duration_seconds": 3600, "gps_off_duration_seconds": 10_800}
    (strip,) = strips(settings)
    assert strip.stretches == tuple((hour * 3600, 3600) for hour in (0, 4, 8, 12, 16, 20))
    assert strip.share == 0.25 and not strip.is_merged


def test_cycles_too_short_to_draw_are_one_stretch_with_their_share():
    """SURVEY-43: ten seconds on and ten off."""
    (strip,) = strips(OFF | {"accelerometer": True})
    assert strip.is_merged and strip.stretches == ((0, 86_400),)
    assert (strip.share, strip.on_seconds, strip.cycle_seconds) == (0.5, 10, 20)
    assert strip.first_hour == (), "180 of them"


def test_cycles_shorter_than_an_hour_are_drawn_for_one_hour_too():
    """SURVEY-43: ten minutes on of every twenty."""
    on_off = {"gps": True, "gps_on_duration_seconds": 600, "gps_off_duration_seconds": 600}
    (strip,) = strips(OFF | on_off)
    assert strip.first_hour == ((0, 600), (1200, 600), (2400, 600)) and len(strip.stretches) == 72


def test_the_offset_of_bluetooth_shifts_its_scans_within_the_day():
    """SURVEY-43: a scan that has begun before midnight is cut there."""
    settings = OFF | {
        "bluetooth": True,
        "bluetooth_on_duration_seconds": 3600,
        "bluetooth_total_duration_seconds": 43_200,
        "bluetooth_global_offset_seconds": 41_400,
    }
    (strip,) = strips(settings)
    assert strip.stretches == ((0, 1800), (41_400, 3600), (84_600, 1800))


def test_streams_of_events_are_shown_as_always_listening():
    """SURVEY-43."""
    assert [s.sensor for s in strips(OFF | {"calls": True, "power_state": True}) if s.is_on_events] == [
        "calls",
        "power_state",
    ]


@pytest.mark.parametrize(
    ("sensor", "alias", "platform"),
    [("accelerometer", "accel", IOS), ("gps", "gps", ANDROID), ("gyro", "gyro", ANDROID), ("gyro", "gyro", IOS)],
)
def test_row_sizes_are_those_of_the_measured_files(sensor: str, alias: str, platform: Platform):
    """CLAR-30: the median row of the example chunks lies in the table's range."""
    folder = VECTORS / "chunks" / f"{alias}-{platform.value.lower()}-two-batches" / "expected"
    median = statistics.median(size for file in folder.rglob("*.csv") for size in row_sizes(file))
    assert ROW_BYTES[sensor, platform].low <= median <= ROW_BYTES[sensor, platform].high


def row_sizes(file: Path) -> list[int]:
    return [len(line) for line in file.read_bytes().splitlines(keepends=True)[1:]]
