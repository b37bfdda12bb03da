"""A batch of one participant's raw files to new rows by hour (PROC-10 to PROC-15, PROC-30 to PROC-34, PROC-39)."""

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

import numpy as np

from core.byte_rows import Flags, Integers
from core.chunks.fixes import Csv, UnreadableFile, read_csv
from core.chunks.model import (
    BinnedBatch,
    ChunkKey,
    DropReason,
    FileProblem,
    FileReport,
    NewRows,
    RawFile,
    UnchunkedFile,
)
from core.chunks.rows import Rows, text_with_utc_column
from core.chunks.times import MIN_DIGITS, FirstFields
from core.streams import SPECS, BadFileTime, DataStream, UnknownStream, stream_of_path
from core.streams.paths import EARLIEST, LATEST_AHEAD, file_time, survey_of_path

SECONDS_PER_HOUR = 3600


def bin_files(files: Iterable[RawFile], now: datetime) -> BinnedBatch:
    """Reads all files of a batch, in ascending order of path, whatever their streams.

    Nothing is raised for what a file holds: a file that cannot be used is a failed problem and touches no other file.
    """
    batch = BinnedBatch()
    readable: list[tuple[DataStream, str | None, RawFile, Csv]] = []
    for file in sorted(files, key=lambda file: file.path):
        try:
            stream = stream_of_path(file.path)
            if not SPECS[stream].is_chunked:
                batch.unchunked.append(UnchunkedFile(file.path, stream, file_time(file.path, now), len(file.data)))
                continue
            survey_id = survey_of_path(file.path) if SPECS[stream].has_survey else None
            readable.append((stream, survey_id, file, read_csv(file, stream)))
        except (UnknownStream, BadFileTime, UnreadableFile) as error:
            batch.problems.append(FileProblem(file.path, str(error), rows=0, is_failed=True))
    readable.sort(key=lambda item: (item[0], item[1] or ""))  # stable: paths stay ascending
    for (stream, survey_id), group in groupby(readable, key=lambda item: item[:2]):
        members = list(group)
        _bin_stream(batch, stream, survey_id, [item[2] for item in members], [item[3] for item in members], now)
    return batch


def _bin_stream(
    batch: BinnedBatch, stream: DataStream, survey_id: str | None, files: list[RawFile], csvs: list[Csv], now: datetime
) -> None:
    """Bins all files of one stream (and survey) in one pass, and reports on each of them."""
    rows = Rows.of_text(*(csv.body for csv in csvs))
    fields = rows.first_fields()
    is_kept = fields.is_number & (fields.digits >= MIN_DIGITS)
    is_kept &= (fields.seconds >= EARLIEST.timestamp()) & (fields.seconds <= (now + LATEST_AHEAD).timestamp())
    kept = np.flatnonzero(is_kept)
    hours = fields.seconds[kept] // SECONDS_PER_HOUR

    file_starts = np.cumsum([0] + [len(csv.body) + 1 for csv in csvs])
    row_counts = np.diff(np.searchsorted(rows.starts, file_starts))
    file_of_row = np.repeat(np.arange(len(files)), row_counts)
    keys = _keys_by_file(stream, survey_id, len(files), file_of_row[kept], hours)
    dropped = _dropped_by_file(len(files), file_of_row, fields, is_kept)
    kept_counts = np.bincount(file_of_row[kept], minlength=len(files)).tolist()
    for index, (file, csv) in enumerate(zip(files, csvs, strict=True)):
        has_unexpected_header = bool(keys[index]) and csv.header != SPECS[stream].file_header(file.platform).encode()
        batch.reports[file.path] = FileReport(
            file.path, keys[index], kept_counts[index], dropped[index], has_unexpected_header
        )
        batch.problems += [
            FileProblem(file.path, reason.value, count, is_failed=False) for reason, count in dropped[index].items()
        ]
    if len(kept):
        batch.groups |= _groups(stream, survey_id, rows.chosen(kept), fields.digits[kept], fields.value[kept], hours)


def _groups(
    stream: DataStream, survey_id: str | None, rows: Rows, digits: Integers, times: Integers, hours: Integers
) -> dict[ChunkKey, NewRows]:
    """Sorts, drops repeats, inserts the UTC column, and cuts into hours."""
    if np.any((times[1:] < times[:-1]) | (hours[1:] < hours[:-1])):
        order = np.lexsort((times, hours))
        rows, digits, times, hours = rows.chosen(order), digits[order], times[order], hours[order]
    unique = rows.without_repeats(times)
    if len(unique) < len(rows):
        rows, digits, times, hours = rows.chosen(unique), digits[unique], times[unique], hours[unique]
    text, starts = text_with_utc_column(rows, digits, times)
    begins = np.flatnonzero(np.diff(hours, prepend=-1))
    ends = np.append(begins[1:], len(hours))
    view = text.data
    return {
        ChunkKey(stream, survey_id, hour): NewRows(view[int(starts[begin]) : int(starts[end])], end - begin)
        for hour, begin, end in zip(hours[begins].tolist(), begins.tolist(), ends.tolist(), strict=True)
    }


def _keys_by_file(
    stream: DataStream, survey_id: str | None, file_count: int, file_of_row: Integers, hours: Integers
) -> list[tuple[ChunkKey, ...]]:
    changes = np.flatnonzero((np.diff(file_of_row, prepend=-1) != 0) | (np.diff(hours, prepend=-1) != 0))
    pairs = np.unique(np.stack((file_of_row[changes], hours[changes])), axis=1)
    hours_of: list[list[int]] = [[] for _ in range(file_count)]
    for index, hour in pairs.T.tolist():
        hours_of[index].append(hour)
    return [tuple(ChunkKey(stream, survey_id, hour) for hour in hours) for hours in hours_of]


def _dropped_by_file(
    file_count: int, file_of_row: Integers, fields: FirstFields, is_kept: Flags
) -> list[dict[DropReason, int]]:
    """Counts of rows left out; those with an empty first field are skipped without a word (PROC-13)."""
    dropped: list[dict[DropReason, int]] = [{} for _ in range(file_count)]
    is_dropped = ~is_kept & ~fields.is_empty
    for reason, is_it in (
        (DropReason.NOT_A_TIME, is_dropped & ~fields.is_number),
        (DropReason.OUTSIDE_LIMITS, is_dropped & fields.is_number),
    ):
        for index, count in enumerate(np.bincount(file_of_row[is_it], minlength=file_count).tolist()):
            if count:
                dropped[index][reason] = count
    return dropped
