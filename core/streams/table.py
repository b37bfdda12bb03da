"""The one table of data streams: every fact about a stream that does not depend on a file (processing.md, Streams)."""

from dataclasses import dataclass
from enum import StrEnum


class Platform(StrEnum):
    """The phone's operating system, under the names that the database and the data API use."""

    ANDROID = "ANDROID"
    IOS = "IOS"


class DataStream(StrEnum):
    """Every stream, by its name in chunk paths, the registry and the data API."""

    ACCELEROMETER = "accelerometer"
    APP_LOG = "app_log"
    BLUETOOTH = "bluetooth"
    CALLS = "calls"
    DEVICEMOTION = "devicemotion"
    GPS = "gps"
    GYRO = "gyro"
    IDENTIFIERS = "identifiers"
    IOS_LOG = "ios_log"
    MAGNETOMETER = "magnetometer"
    POWER_STATE = "power_state"
    PROXIMITY = "proximity"
    REACHABILITY = "reachability"
    SURVEY_TIMINGS = "survey_timings"
    TEXTS = "texts"
    WIFI = "wifi"
    SURVEY_ANSWERS = "survey_answers"
    AUDIO_RECORDINGS = "audio_recordings"
    AMBIENT_AUDIO = "ambient_audio"


class Fix(StrEnum):
    """What turns a stream's raw file into a CSV whose first column is the time (PROC-20 to PROC-24)."""

    CALLS = "calls"
    WIFI = "wifi"
    IDENTIFIERS = "identifiers"
    APP_LOG = "app_log"
    SURVEY_TIMINGS = "survey_timings"


ANDROID = frozenset({Platform.ANDROID})
IOS = frozenset({Platform.IOS})
BOTH = ANDROID | IOS


@dataclass(frozen=True)
class StreamSpec:
    """One stream. `number` is its stable small integer in the database; it is never changed or used again."""

    stream: DataStream
    number: int
    upload_aliases: tuple[str, ...]
    platforms: frozenset[Platform]
    columns: str = ""
    """Column names of a chunk after `timestamp,UTC time,`; empty when the stream is not chunked."""
    ios_columns: str | None = None
    """Column names of chunks of iOS phones, where they differ."""
    fix: Fix | None = None
    has_survey: bool = False
    """Raw paths hold a survey id. Only chunked streams have one chunk per survey."""

    @property
    def is_chunked(self) -> bool:
        """False for files that are registered as uploaded (PROC-39)."""
        return bool(self.columns)

    @property
    def is_chunked_by_survey(self) -> bool:
        """True where each survey has chunks of its own (PROC-30)."""
        return self.is_chunked and self.has_survey

    @property
    def only_platform(self) -> Platform | None:
        """The platform of every file of this stream; None where both have it."""
        return next(iter(self.platforms)) if len(self.platforms) == 1 else None

    def chunk_header(self, platform: Platform | None) -> str:
        """First line of a chunk, without its line feed, for a participant of this platform (PROC-36)."""
        return f"timestamp,UTC time,{self._columns_on(platform)}"

    def file_header(self, platform: Platform | None) -> str:
        """First line expected of a raw file of this platform, once fixed and cleaned (PROC-12, PROC-20 to PROC-24)."""
        return f"timestamp,{self._columns_on(platform)}"

    def _columns_on(self, platform: Platform | None) -> str:
        return self.ios_columns if platform is Platform.IOS and self.ios_columns is not None else self.columns


_SURVEY_COLUMNS = "question id,survey id,question type,question text,question answer options,answer"
_MOTION_COLUMNS = (
    "roll,pitch,yaw,rotation_rate_x,rotation_rate_y,rotation_rate_z,gravity_x,gravity_y,gravity_z,"
    "user_accel_x,user_accel_y,user_accel_z,magnetic_field_calibration_accuracy,"
    "magnetic_field_x,magnetic_field_y,magnetic_field_z"
)
_IDENTIFIERS_COLUMNS = (
    "patient_id,MAC,phone_number,device_id,device_os,os_version,product,brand,hardware_id,manufacturer,model,"
    "beiwe_version"
)

_D, _S = DataStream, StreamSpec
SPECS: dict[DataStream, StreamSpec] = {
    spec.stream: spec
    for spec in (
        _S(_D.ACCELEROMETER, 1, ("accel",), BOTH, "accuracy,x,y,z"),
        _S(_D.APP_LOG, 2, ("logFile",), ANDROID, "event", fix=Fix.APP_LOG),
        _S(_D.BLUETOOTH, 3, ("bluetoothLog",), ANDROID, "hashed MAC,RSSI"),
        _S(_D.CALLS, 4, ("callLog",), ANDROID, "hashed phone number,call type,duration in seconds", fix=Fix.CALLS),
        _S(_D.DEVICEMOTION, 5, ("devicemotion",), IOS, _MOTION_COLUMNS),
        _S(_D.GPS, 6, ("gps",), BOTH, "latitude,longitude,altitude,accuracy"),
        _S(_D.GYRO, 7, ("gyro",), BOTH, "accuracy,x,y,z", ios_columns="x,y,z"),
        _S(_D.IDENTIFIERS, 8, ("identifiers",), BOTH, _IDENTIFIERS_COLUMNS, fix=Fix.IDENTIFIERS),
        _S(_D.IOS_LOG, 9, ("ios_log", "ios/log"), IOS, "launchId,memory,battery,event,msg,d1,d2,d3,d4"),
        _S(_D.MAGNETOMETER, 10, ("magnetometer",), BOTH, "x,y,z"),
        _S(_D.POWER_STATE, 11, ("powerState",), BOTH, "event", ios_columns="event,level"),
        _S(_D.PROXIMITY, 12, ("proximity",), IOS, "event"),
        _S(_D.REACHABILITY, 13, ("reachability",), IOS, "event"),
        _S(
            _D.SURVEY_TIMINGS,
            14,
            ("surveyTimings",),
            BOTH,
            _SURVEY_COLUMNS,
            ios_columns=_SURVEY_COLUMNS + ",event",
            fix=Fix.SURVEY_TIMINGS,
            has_survey=True,
        ),
        _S(_D.TEXTS, 15, ("textsLog",), ANDROID, "hashed phone number,sent vs received,message length,time sent"),
        _S(_D.WIFI, 16, ("wifiLog",), ANDROID, "hashed MAC,frequency,RSSI", fix=Fix.WIFI),
        _S(_D.SURVEY_ANSWERS, 17, ("surveyAnswers",), BOTH, has_survey=True),
        _S(_D.AUDIO_RECORDINGS, 18, ("voiceRecording",), BOTH, has_survey=True),
        _S(_D.AMBIENT_AUDIO, 19, ("ambientAudio",), BOTH),
    )
}

_BY_NUMBER = {spec.number: spec.stream for spec in SPECS.values()}


def stream_by_number(number: int) -> DataStream:
    """The stream that the database holds as this number; raises KeyError."""
    return _BY_NUMBER[number]
