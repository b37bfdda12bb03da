"""The columns of Parquet exports: one documented schema for each stream, whatever its files hold (CLAR-74).

A column of one name has one type in all streams, so that all files can be read as one table. docs/exports.md shows the
tables; a test compares them.
"""

from dataclasses import dataclass
from functools import cache

import polars as pl

from core.streams import SPECS, DataStream

UTC_TIME = pl.Datetime("us", "UTC")
TEXT, NUMBER, WHOLE = pl.String(), pl.Float64(), pl.Int64()
TYPE_NAMES: dict[pl.DataType, str] = {
    TEXT: "text",
    NUMBER: "double",
    WHOLE: "int64",
    UTC_TIME: "timestamp[us, UTC]",
    pl.Date(): "date",
    pl.Boolean(): "boolean",
}
"""How the documentation names the types."""


@dataclass(frozen=True)
class Column:
    """One column. `csv_name` is its name in the header of chunks, empty where chunks have no such column.

    `unit` is empty for texts. `unknown` are texts that mean null, besides the empty one.
    """

    name: str
    csv_name: str
    dtype: pl.DataType
    unit: str
    meaning: str
    unknown: tuple[str, ...] = ()


PARTICIPANT = Column("participant_id", "", TEXT, "", "The participant's id.")
TIMESTAMP = Column("timestamp", "timestamp", WHOLE, "ms", "The row's time as the phone wrote it: Unix milliseconds.")
UTC_COLUMN = Column("utc", "", UTC_TIME, "UTC", "The same time; a time stamp below 10^11 is taken as seconds.")
OTHERS = Column("other_columns", "", TEXT, "", "Columns of the file that this table does not know, as a JSON object.")


def _text(csv_name: str, meaning: str, name: str = "") -> Column:
    return Column(name or _plain(csv_name), csv_name, TEXT, "", meaning)


def _number(csv_name: str, unit: str, meaning: str, *unknown: str) -> Column:
    return Column(_plain(csv_name), csv_name, NUMBER, unit, meaning, unknown)


def _whole(csv_name: str, unit: str, meaning: str, name: str = "") -> Column:
    return Column(name or _plain(csv_name), csv_name, WHOLE, unit, meaning)


def _plain(csv_name: str) -> str:
    return csv_name.lower().replace(" ", "_")


def _axes(prefix: str, unit: str, meaning: str) -> tuple[Column, ...]:
    return tuple(_number(f"{prefix}{axis}", unit, f"{meaning}, {axis} axis.") for axis in "xyz")


_SENSOR_ACCURACY = _number("accuracy", "", "Android's accuracy, 0 to 3; `unknown` is null.", "unknown")
_HASHED_NUMBER = _text("hashed phone number", "The other's number, hashed.")
_RSSI = _whole("RSSI", "dBm", "Strength of the signal.")
_MAC = _text("hashed MAC", "The address of the other device, hashed.")
_STATE = _text("event", "What happened.")
_IDENTIFIERS = (
    ("patient_id", "The id with which the phone registered."),
    ("MAC", "The phone's Bluetooth address, hashed."),
    ("phone_number", "The phone's number, hashed."),
    ("device_id", "The app's id of the phone."),
    ("device_os", "The operating system."),
    ("os_version", "Its version."),
    ("product", "The phone's product name."),
    ("brand", "Its brand."),
    ("hardware_id", "Its hardware id."),
    ("manufacturer", "Its manufacturer."),
    ("model", "Its model; iOS models hold a comma."),
    ("beiwe_version", "The app's version."),
)

_D = DataStream
OWN_COLUMNS: dict[DataStream, tuple[Column, ...]] = {
    _D.ACCELEROMETER: (
        _SENSOR_ACCURACY,
        *_axes("", "as in the file", "Acceleration, Android in m/s², iOS in g"),
    ),
    _D.APP_LOG: (_text("event", "The line of the app's log."),),
    _D.BLUETOOTH: (_MAC, _RSSI),
    _D.CALLS: (
        _HASHED_NUMBER,
        _text("call type", "Outgoing, incoming or missed."),
        _whole("duration in seconds", "s", "How long the call was."),
    ),
    _D.DEVICEMOTION: (
        _number("roll", "rad", "Attitude: roll."),
        _number("pitch", "rad", "Attitude: pitch."),
        _number("yaw", "rad", "Attitude: yaw."),
        *_axes("rotation_rate_", "rad/s", "Rate of rotation"),
        *_axes("gravity_", "g", "Gravity"),
        *_axes("user_accel_", "g", "Acceleration without gravity"),
        _text("magnetic_field_calibration_accuracy", "How well the magnetic field is calibrated, in iOS' words."),
        *_axes("magnetic_field_", "µT", "Magnetic field"),
    ),
    _D.GPS: (
        _number("latitude", "°", "Latitude. Shifted where the study hides places."),
        _number("longitude", "°", "Longitude. Shifted where the study hides places."),
        _number("altitude", "m", "Altitude."),
        _number("accuracy", "m", "Radius within which the place is, as the phone estimates it.", "unknown"),
    ),
    _D.GYRO: (_SENSOR_ACCURACY, *_axes("", "rad/s", "Rate of rotation")),
    _D.IDENTIFIERS: tuple(_text(name, meaning) for name, meaning in _IDENTIFIERS),
    _D.IOS_LOG: (
        _text("launchId", "Which launch of the app wrote it.", "launch_id"),
        _number("memory", "MB", "Memory that the app used."),
        _number("battery", "0 to 1", "Charge of the battery."),
        _text("event", "What happened."),
        _text("msg", "More words about it."),
        *(_text(f"d{n}", "A detail of the event.") for n in range(1, 5)),
    ),
    _D.MAGNETOMETER: _axes("", "µT", "Magnetic field"),
    _D.POWER_STATE: (_STATE, _number("level", "0 to 1", "Charge of the battery; iOS alone writes it.")),
    _D.PROXIMITY: (_STATE,),
    _D.REACHABILITY: (_STATE,),
    _D.SURVEY_TIMINGS: (
        _text("question id", "The question."),
        _text("survey id", "The survey."),
        _text("question type", "The question's type."),
        _text("question text", "The question as it was shown."),
        _text("question answer options", "The options as they were shown."),
        _text("answer", "The answer."),
        _text("event", "What the participant did; iOS alone writes it."),
    ),
    _D.TEXTS: (
        _HASHED_NUMBER,
        _text("sent vs received", "Sent or received, SMS or MMS."),
        _whole("message length", "characters", "Length of the message."),
        _whole("time sent", "ms", "When it was sent: Unix milliseconds."),
    ),
    _D.WIFI: (_MAC, _whole("frequency", "MHz", "Frequency of the network."), _RSSI),
}
"""The columns that a stream has besides those of all streams. Files of other streams are no tables."""

TAKES_COMMAS = {DataStream.APP_LOG: "event", DataStream.IDENTIFIERS: "model"}
"""The column, by its name in the header, whose texts may hold commas (PROC-23, PHONE-34)."""

MALFORMED = (
    Column("participant_id", "", TEXT, "", "The participant's id."),
    Column("stream", "", TEXT, "", "The stream of the file."),
    Column("file", "", TEXT, "", "The file's name, as a download gives it."),
    Column("reason", "", TEXT, "", "Why the row is not in the table."),
    Column("line", "", TEXT, "", "The row as it is in the file; bytes that are not UTF-8 as `\\xff`."),
)
SUMMARY = (
    Column("participant_id", "", TEXT, "", "The participant's id."),
    Column("stream", "", TEXT, "", "The stream."),
    Column("files", "", WHOLE, "", "Files read."),
    Column("rows", "", WHOLE, "", "Rows in the table."),
    Column("malformed_rows", "", WHOLE, "", "Rows in `_malformed`."),
    Column("missing_files", "", WHOLE, "", "Files that are missing or damaged in the store."),
    Column("csv_bytes", "", WHOLE, "bytes", "Size of the files read."),
)


@cache
def columns_of(stream: DataStream) -> tuple[Column, ...]:
    """All columns of a stream's table, in their order. Raises KeyError for a stream whose files are no tables."""
    return (PARTICIPANT, TIMESTAMP, UTC_COLUMN, *OWN_COLUMNS[stream], OTHERS)


@cache
def polars_schema(columns: tuple[Column, ...]) -> pl.Schema:
    """The columns' names and types."""
    return pl.Schema({column.name: column.dtype for column in columns})


@cache
def headers_by_length(stream: DataStream) -> dict[int, tuple[str, ...]]:
    """The known headers of the stream's chunks by their number of fields.

    A chunk with rows of two platforms has the header of one of them (PROC-36).
    """
    spec = SPECS[stream]
    headers = [tuple(spec.chunk_header(platform).split(",")) for platform in spec.platforms]
    return {len(header): header for header in headers}
