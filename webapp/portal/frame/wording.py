"""How the portal writes times, sizes, counts and names; the Jinja filters of its templates."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import humanize
from flask import g

from core.streams import SPECS, DataStream, Platform, stream_by_number

DAY = timedelta(days=1)
PLATFORMS = {Platform.ANDROID: "Android", Platform.IOS: "iOS"}
STREAMS = {
    DataStream.ACCELEROMETER: "Accelerometer",
    DataStream.AMBIENT_AUDIO: "Ambient audio",
    DataStream.APP_LOG: "App log",
    DataStream.BLUETOOTH: "Bluetooth",
    DataStream.CALLS: "Calls",
    DataStream.DEVICEMOTION: "Device motion",
    DataStream.GPS: "GPS",
    DataStream.GYRO: "Gyroscope",
    DataStream.IDENTIFIERS: "Identifiers",
    DataStream.IOS_LOG: "iOS log",
    DataStream.MAGNETOMETER: "Magnetometer",
    DataStream.POWER_STATE: "Power state",
    DataStream.PROXIMITY: "Proximity",
    DataStream.REACHABILITY: "Reachability",
    DataStream.SURVEY_ANSWERS: "Survey answers",
    DataStream.SURVEY_TIMINGS: "Survey timings",
    DataStream.TEXTS: "Texts",
    DataStream.AUDIO_RECORDINGS: "Audio recordings",
    DataStream.WIFI: "Wi-Fi",
}
JUST_NOW = timedelta(seconds=5)


def when(at: datetime, now: datetime) -> str:
    """How long ago while fresh, the study's date and time beyond a day (PORTAL-10)."""
    if now - at < JUST_NOW:
        return "just now"
    if now - at < DAY:
        return f"{span(now - at)} ago"
    local = at.astimezone(zone())
    is_this_year = local.year == now.astimezone(zone()).year
    return f"{local.day} {local:%b %H:%M}" if is_this_year else f"{local.day} {local:%b %Y}"


def span(length: timedelta) -> str:
    """A length of time by its largest unit: `22 seconds`, `1 minute`, `5 hours`, `40 days`."""
    said = humanize.naturaldelta(max(length, timedelta(seconds=1)), months=False)
    return re.sub("^an? ", "1 ", said)  # figures, as beside them in a table


def number(value: int) -> str:
    """`1,204`."""
    return f"{value:,}"


def counted(count: int, thing: str) -> str:
    """`1 file`, `1,204 files`."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def moment(at: datetime) -> str:
    """Date and time in the study's zone: `3 Oct 2026, 09:14`."""
    local = at.astimezone(zone())
    return f"{local.day} {local:%b %Y, %H:%M}"


def day(at: date) -> str:
    """A date; that of the study's zone for a moment: `3 Oct 2026`."""
    local = at.astimezone(zone()) if isinstance(at, datetime) else at
    return f"{local.day} {local:%b %Y}"


def long_day(of: date) -> str:
    """`Sunday 22 November`."""
    return f"{of:%A} {of.day} {of:%B}"


def utc(at: datetime) -> str:
    """A time in UTC, shown when the mouse is over a local time."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def size(size_bytes: int | None) -> str:
    """`1.3 MB`, in powers of 1,000."""
    return humanize.naturalsize(size_bytes or 0)


def stream_name(stream: int | None) -> str:
    """The stream's name in words, by its number in the database."""
    return "Unknown" if stream is None else STREAMS[stream_by_number(stream)]


def is_chunked(stream: int | None) -> bool:
    """Whether the rows of that stream go to chunks, so that a file of it may hold none."""
    return stream is not None and SPECS[stream_by_number(stream)].is_chunked


def platform_name(os_type: str | None) -> str:
    """`Android`, `iOS`, or nothing where no phone is known."""
    return PLATFORMS[Platform(os_type)] if os_type else ""


def city(zone_name: str) -> str:
    """`New York` of `America/New_York`."""
    return zone_name.rsplit("/", 1)[-1].replace("_", " ")


def zone() -> Any:
    """The time zone of the page: the study's, or UTC where there is no study."""
    study = g.get("study")
    return study.zone if study else UTC


FILTERS: dict[str, Callable[..., Any]] = {
    "when": when,
    "span": span,
    "counted": counted,
    "number": number,
    "moment": moment,
    "day": day,
    "long_day": long_day,
    "utc": utc,
    "size": size,
    "stream_name": stream_name,
    "platform_name": platform_name,
    "is_chunked": is_chunked,
    "city": city,
}
