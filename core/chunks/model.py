"""Inputs and results of processing: raw files, chunks, and a report on each file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from core.streams import DataStream, Platform
from core.streams.paths import chunk_name


@dataclass(frozen=True)
class RawFile:
    """An upload as stored: its path below the participant's folder, its plaintext, the platform at upload.

    `platform` is None where the queue does not know it (identifiers of a first registration).
    """

    path: str
    data: bytes = field(repr=False)
    platform: Platform | None


@dataclass(frozen=True, order=True)
class ChunkKey:
    """Which chunk of a participant: its stream, its survey for survey timings, its hour (since the epoch, UTC)."""

    stream: DataStream
    survey_id: str | None
    hour: int

    @property
    def time_bin(self) -> datetime:
        """The start of the hour (PROC-15)."""
        return datetime.fromtimestamp(self.hour * 3600, UTC)

    @property
    def relative_path(self) -> str:
        """The chunk's path below the participant's folder (PROC-37)."""
        return chunk_name(self.stream, self.time_bin, self.survey_id)


@dataclass(frozen=True)
class NewRows:
    """Rows of one batch for one chunk: with their UTC column, sorted, without repeats; a line feed after each."""

    text: bytes | memoryview = field(repr=False)


class DropReason(StrEnum):
    """Why single rows of a usable file were dropped; shown to operators."""

    NOT_A_TIME = "first field is not a time in milliseconds"
    AFTER_END = "time is after the participant's last day in the study"
    OUTSIDE_LIMITS = "time is before 2014-08-01 or more than 90 days ahead"


@dataclass(frozen=True)
class FileProblem:
    """Something about a file that a person should see.

    With `is_failed` nothing of the file was used and it must stay queued; without it, `rows` rows were dropped.
    """

    path: str
    reason: str
    rows: int
    is_failed: bool


@dataclass(frozen=True)
class FileReport:
    """The result of one readable file: the chunks its rows go to (ascending), rows kept, rows dropped by reason.

    `has_unexpected_header` is an event, not an error: the chunk gets the table's header (PROC-36).
    """

    path: str
    keys: tuple[ChunkKey, ...]
    rows_kept: int
    rows_dropped: Mapping[DropReason, int]
    has_unexpected_header: bool

    @property
    def first_time_bin(self) -> datetime | None:
        """Earliest hour that the file feeds; None when it has no rows."""
        return self.keys[0].time_bin if self.keys else None

    @property
    def last_time_bin(self) -> datetime | None:
        """Latest hour that the file feeds; None when it has no rows."""
        return self.keys[-1].time_bin if self.keys else None


@dataclass(frozen=True)
class UnchunkedFile:
    """A file that is registered at its raw path, unchanged (PROC-39)."""

    path: str
    stream: DataStream
    time_bin: datetime
    size_bytes: int


@dataclass
class BinnedBatch:
    """All files of a batch, read: new rows by chunk, files to register as they are, and what happened to each file.

    Each path given is in exactly one of `reports`, `unchunked` and the failed `problems`.
    """

    groups: dict[ChunkKey, NewRows] = field(default_factory=dict)
    unchunked: list[UnchunkedFile] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)
    reports: dict[str, FileReport] = field(default_factory=dict)
