"""The streams that a phone should send according to the study's app settings."""

from core.models import AppSettings
from core.streams import SPECS, DataStream, Platform

# Streams that are recorded on a schedule, so that a day without them is a gap; all others only when something happens.
SCHEDULED = {
    DataStream.ACCELEROMETER: "accelerometer",
    DataStream.GPS: "gps",
    DataStream.GYRO: "gyro",
    DataStream.MAGNETOMETER: "magnetometer",
    DataStream.DEVICEMOTION: "devicemotion",
    DataStream.WIFI: "wifi",
    DataStream.BLUETOOTH: "bluetooth",
    DataStream.AMBIENT_AUDIO: "ambient_audio",
}


def expected_streams(settings: AppSettings, os_type: str | None) -> set[int]:
    """Numbers of the scheduled streams that are switched on and that phones with this system record."""
    platform = Platform(os_type) if os_type else None
    return {
        SPECS[stream].number
        for stream, setting in SCHEDULED.items()
        if platform in SPECS[stream].platforms and getattr(settings, setting)
    }
