"""What the names of raw files and chunks say: stream, survey and time (PROC-1 to PROC-3, PROC-37).

Raw paths may be given with or without the pieces for study and patient in front.
"""

import re
from datetime import UTC, datetime, timedelta

from core.streams.table import SPECS, DataStream

CHUNKS_PREFIX = "CHUNKED_DATA"
EARLIEST = datetime(2014, 8, 1, tzinfo=UTC)
LATEST_AHEAD = timedelta(days=90)

_DUPLICATE_MARK = "-duplicate"
_ALIASES = {alias: spec.stream for spec in SPECS.values() for alias in spec.upload_aliases}
_TIME_IN_NAME = re.compile(r"(?:^|_)([0-9]+)\.[A-Za-z0-9]+$", re.ASCII)


class UnknownStream(ValueError):
    """No piece of a raw path names a stream (PROC-1): the file is kept and reported."""


class BadFileTime(ValueError):
    """A file's name holds no time, or one outside the limits of PROC-14."""


def without_duplicate_mark(path: str) -> str:
    """The path up to `-duplicate-xxxxxxxxxx`, from which everything else is derived (PROC-2)."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + name.split(_DUPLICATE_MARK, 1)[0]


def below_participant(path: str) -> str:
    """A raw object's key without study and patient id, which may read like an alias themselves."""
    return path.split("/", 2)[2]


def stream_of_path(path: str) -> DataStream:
    """The stream of a raw file (PROC-1); raises UnknownStream."""
    path = without_duplicate_mark(path)
    for piece in path.split("/"):
        if piece in _ALIASES:
            return _ALIASES[piece]
    if "identifiers" in path:
        return DataStream.IDENTIFIERS
    if "ios/log" in path:
        return DataStream.IOS_LOG
    raise UnknownStream(f"no data stream is named in {path}")


def name_digits(path: str) -> str:
    """The digits of a raw file's name before its extension: unix ms, or seconds for some (PHONE-71, PROC-3).

    Raises BadFileTime when there are none.
    """
    match = _TIME_IN_NAME.search(without_duplicate_mark(path).rsplit("/", 1)[-1])
    if match is None:
        raise BadFileTime(f"there is no time in the name {path}")
    return match.group(1)


def file_time(path: str, now: datetime) -> datetime:
    """The exact time in a raw file's name, in whole seconds (PROC-39); raises BadFileTime."""
    seconds = int(name_digits(path)[:10])
    if not EARLIEST.timestamp() <= seconds <= (now + LATEST_AHEAD).timestamp():
        raise BadFileTime(f"the time in the name {path} is before 2014-08-01 or more than 90 days ahead")
    return datetime.fromtimestamp(seconds, UTC)


def survey_of_path(path: str) -> str | None:
    """The survey id in a raw path of a survey stream: the piece before the file's name (PROC-24)."""
    pieces = path.split("/")
    return pieces[-2] if len(pieces) > 1 and pieces[-2] not in _ALIASES else None


def chunk_name(stream: DataStream, time_bin: datetime, survey_id: str | None) -> str:
    """A chunk's path below the participant's folder (PROC-37): `<stream>[/<survey id>]/YYYY-MM-DDTHH:MM:SS.csv`."""
    folder = f"{stream}/{survey_id}" if survey_id is not None and SPECS[stream].is_chunked_by_survey else stream.value
    return f"{folder}/{time_bin.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.csv"


def registered_path(
    study_id: str, patient_id: str, path: str | None, stream: DataStream, time_bin: datetime, survey_id: str | None
) -> str:
    """The path of a registry row: what it says, or for chunks, which say nothing, the one that follows (PROC-38)."""
    return path or chunk_path(study_id, patient_id, stream, time_bin, survey_id)


def chunk_path(study_id: str, patient_id: str, stream: DataStream, time_bin: datetime, survey_id: str | None) -> str:
    """A chunk's full key in the object store, without `.zst` (PROC-37)."""
    return f"{CHUNKS_PREFIX}/{study_id}/{patient_id}/{chunk_name(stream, time_bin, survey_id)}"
