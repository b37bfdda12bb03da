"""The streams that a phone should send on a day, according to the study's app settings of that day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import AppSettingsVersion, Study
from core.participants.coverage import ExpectedOn, midnight
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


@dataclass(frozen=True)
class SettingsSince:
    """Some app settings of a study from a moment on, by their names."""

    since: datetime
    values: Mapping[str, Any]


def expected_by_day(session: Session, study: Study, os_type: str | None) -> ExpectedOn:
    """A function from a day in the study's zone to the scheduled streams that phones with this system record then.

    A stream counts on a day if it was switched on from its start to its end, so that a change of settings makes no gap.
    One query, which reads the switches alone.
    """
    history = settings_history(session, study.id, list(SCHEDULED.values()))
    platform = Platform(os_type) if os_type else None
    settings = {stream: setting for stream, setting in SCHEDULED.items() if platform in SPECS[stream].platforms}

    def on(day: date) -> set[int]:
        held = settings_during(history, day, study.zone)
        return {
            SPECS[stream].number
            for stream, setting in settings.items()
            if held and all(values[setting] for values in held)
        }

    return on


def settings_history(session: Session, study_id: int, names: Sequence[str]) -> list[SettingsSince]:
    """These app settings as they were over time, oldest first. One query, which reads these settings alone."""
    rows = session.execute(
        sa.select(AppSettingsVersion.at, *(AppSettingsVersion.values[name] for name in names))
        .where(AppSettingsVersion.study_id == study_id)
        .order_by(AppSettingsVersion.at, AppSettingsVersion.id)
    )
    return [SettingsSince(at, dict(zip(names, row, strict=True))) for at, *row in rows]


def settings_during(history: Sequence[SettingsSince], day: date, zone: ZoneInfo) -> list[Mapping[str, Any]]:
    """Those that held at some time of the day; before the first version, the first."""
    start, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    at_start = [one for one in history if one.since <= start][-1:] or list(history[:1])
    later = [one for one in history if start < one.since < end and one not in at_start]
    return [one.values for one in at_start + later]
