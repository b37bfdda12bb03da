"""Turns one participant's raw files into new rows by hour (PROC-10 to PROC-15, PROC-30 to PROC-34, PROC-39)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby, pairwise
from typing import NamedTuple

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
# Files of a stream are processed in parts that fit in the processor's cache; larger parts take 1.5 times as long.
PART_BYTES = 2 << 20


class _Piece(NamedTuple):
    """Rows of one part for one chunk, and the times of the first and the last of them in unix milliseconds."""

    text: memoryview
    first: int
    last: int


def bin_files(files: Iterable[RawFile], now: datetime, end: datetime | None = None) -> BinnedBatch:
    """Reads all files of a batch, in ascending order of path, whatever their streams.

    Rows from `end` on are dropped and counted: the participant no longer took part then (CLAR-35).
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
        pieces: dict[ChunkKey, list[_Piece]] = defaultdict(list)
        for part in _parts([(file, csv) for _, _, file, csv in group]):
            for key, piece in _bin_part(batch, stream, survey_id, part, now, end).items():
                pieces[key].append(piece)
        batch.groups |= {key: _joined(several) for key, several in pieces.items()}
    return batch


def _parts(files: Sequence[tuple[RawFile, Csv]]) -> Iterator[list[tuple[RawFile, Csv]]]:
    part: list[tuple[RawFile, Csv]] = []
    size = 0
    for file, csv in files:
        part.append((file, csv))
        size += len(csv.body)
        if size >= PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _joined(pieces: Sequence[_Piece]) -> NewRows:
    """Joins the rows of several parts for one chunk; parts already in order of time are only concatenated."""
    if len(pieces) == 1:
        return NewRows(pieces[0].text)
    texts = [piece.text for piece in pieces]
    if all(before.last < after.first for before, after in pairwise(pieces)):
        return NewRows(b"".join(texts))
    rows = Rows.of_text(*texts)
    return NewRows(rows.in_order(rows.first_fields().value).text().data)


def _bin_part(
    batch: BinnedBatch,
    stream: DataStream,
    survey_id: str | None,
    part: Sequence[tuple[RawFile, Csv]],
    now: datetime,
    end: datetime | None,
) -> dict[ChunkKey, _Piece]:
    """Bins files of one stream (and survey) in one pass, and reports on each of them."""
    files, csvs = zip(*part, strict=True)
    rows = Rows.of_text(*(csv.body for csv in csvs))
    fields = rows.first_fields()
    is_kept = fields.is_number & (fields.digits >= MIN_DIGITS)
    is_kept &= (fields.seconds >= EARLIEST.timestamp()) & (fields.seconds <= (now + LATEST_AHEAD).timestamp())
    is_after_end = is_kept & (fields.seconds >= end.timestamp()) if end else np.zeros_like(is_kept)
    is_kept &= ~is_after_end
    kept = np.flatnonzero(is_kept)
    hours = fields.seconds[kept] // SECONDS_PER_HOUR

    file_starts = np.cumsum([0] + [len(csv.body) + 1 for csv in csvs])
    row_counts = np.diff(np.searchsorted(rows.starts, file_starts))
    file_of_row = np.repeat(np.arange(len(files)), row_counts)
    keys = _keys_by_file(stream, survey_id, len(files), file_of_row[kept], hours)
    dropped = _dropped_by_file(len(files), file_of_row, fields, is_kept, is_after_end)
    kept_counts = np.bincount(file_of_row[kept], minlength=len(files)).tolist()
    for index, (file, csv) in enumerate(zip(files, csvs, strict=True)):
        has_unexpected_header = bool(keys[index]) and csv.header != SPECS[stream].file_header(file.platform).encode()
        batch.reports[file.path] = FileReport(
            file.path, keys[index], kept_counts[index], dropped[index], has_unexpected_header
        )
        batch.problems += [
            FileProblem(file.path, reason.value, count, is_failed=False) for reason, count in dropped[index].items()
        ]
    if not len(kept):
        return {}
    return _pieces(stream, survey_id, rows.chosen(kept), fields.digits[kept], fields.value[kept], hours)


def _pieces(
    stream: DataStream, survey_id: str | None, rows: Rows, digits: Integers, times: Integers, hours: Integers
) -> dict[ChunkKey, _Piece]:
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
    firsts, lasts = times[begins], times[ends - 1]
    places = (hours[begins], starts[begins], starts[ends], firsts, lasts)
    view = text.data
    return {
        ChunkKey(stream, survey_id, hour): _Piece(view[start:end], first, last)
        for hour, start, end, first, last in zip(*(place.tolist() for place in places), strict=True)
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
    file_count: int, file_of_row: Integers, fields: FirstFields, is_kept: Flags, is_after_end: Flags
) -> list[dict[DropReason, int]]:
    """Counts of dropped rows, by file and reason. Rows with an empty first field are not counted (PROC-13)."""
    dropped: list[dict[DropReason, int]] = [{} for _ in range(file_count)]
    is_dropped = ~is_kept & ~fields.is_empty
    for reason, is_it in (
        (DropReason.NOT_A_TIME, is_dropped & ~fields.is_number),
        (DropReason.AFTER_END, is_after_end),
        (DropReason.OUTSIDE_LIMITS, is_dropped & fields.is_number & ~is_after_end),
    ):
        for index, count in enumerate(np.bincount(file_of_row[is_it], minlength=file_count).tolist()):
            if count:
                dropped[index][reason] = count
    return dropped
