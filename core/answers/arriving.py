"""Files of answers and recordings before they are rows: one kind of file, from a phone or from the store."""

from dataclasses import dataclass, field
from datetime import datetime

from core.streams import DataStream, UnknownStream, stream_of_path
from core.streams.paths import below_participant

MOST_FILE_BYTES = 1 << 20
"""Files of answers have a few kB; larger ones are not read."""
MISSING = "missing in the store"
BROKEN = "does not open"
TOO_LARGE = "too large to be a file of answers"


@dataclass(frozen=True)
class ArrivedFile:
    """A raw file of answers, or a recording. `submitted_at` is the time in its name.

    `contents` are those of a file of answers; None for a recording, and where `problem` says why they are not there.
    """

    path: str
    submitted_at: datetime
    received_at: datetime
    os_type: str | None
    app_version: str = ""
    is_recording: bool = False
    contents: bytes | None = field(default=None, repr=False)
    problem: str | None = None


def answer_stream(path: str) -> DataStream | None:
    """Whether a raw file is one of answers or a recording for a survey; None for all others."""
    try:
        stream = stream_of_path(below_participant(path))
    except UnknownStream:
        return None
    return stream if stream in (DataStream.SURVEY_ANSWERS, DataStream.AUDIO_RECORDINGS) else None
