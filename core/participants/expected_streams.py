"""The streams that a phone should send on a day, according to the study's app settings of that day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
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
class _Switches:
    """The switches of the scheduled streams from a moment on."""

    since: datetime
    is_on: Mapping[str, bool]


def expected_by_day(session: Session, study: Study, os_type: str | None) -> ExpectedOn:
    """A function from a day in the study's zone to the scheduled streams that phones with this system record then.

    A stream counts on a day if it was switched on from its start to its end, so that a change of settings makes no gap.
    One query, which reads the switches alone.
    """
    history = _history(session, study.id)
    platform = Platform(os_type) if os_type else None
    settings = {stream: setting for stream, setting in SCHEDULED.items() if platform in SPECS[stream].platforms}

    def on(day: date) -> set[int]:
        held = _held_during(history, day, study.zone)
        return {
            SPECS[stream].number
            for stream, setting in settings.items()
            if held and all(switches.is_on[setting] for switches in held)
        }

    return on


def _history(session: Session, study_id: int) -> list[_Switches]:
    names = list(SCHEDULED.values())
    rows = session.execute(
        sa.select(AppSettingsVersion.at, *(AppSettingsVersion.values[name].as_boolean() for name in names))
        .where(AppSettingsVersion.study_id == study_id)
        .order_by(AppSettingsVersion.at, AppSettingsVersion.id)
    )
    return [_Switches(at, {name: bool(is_on) for name, is_on in zip(names, row, strict=True)}) for at, *row in rows]


def _held_during(history: Sequence[_Switches], day: date, zone: ZoneInfo) -> list[_Switches]:
    """Those that held at some time of the day; before the first version, the first."""
    start, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    at_start = [switches for switches in history if switches.since <= start][-1:] or list(history[:1])
    return at_start + [switches for switches in history if start < switches.since < end and switches not in at_start]
