"""Rows of text in one array, found and selected in bulk. Binning and merging share this."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from core.byte_rows import Bytes, Integers, copy_rows, starts_of, windows
from core.chunks.duplicates import first_occurrences
from core.chunks.times import LOOKAHEAD_BYTES, UTC_COLUMN_BYTES, FirstFields, read_first_fields, utc_columns

_LF = ord("\n")


@dataclass(frozen=True)
class Rows:
    """Lines inside `data`, each followed there by a line feed. `lengths` do not count it."""

    data: Bytes
    starts: Integers
    lengths: Integers

    @classmethod
    def of_text(cls, *pieces: bytes | memoryview) -> Self:
        """The lines of several texts, blank ones left out; a text ends its last line, with or without a line feed."""
        padding = b"\n" * LOOKAHEAD_BYTES
        data = np.frombuffer(b"\n".join([*pieces, padding]), dtype=np.uint8)
        ends = np.flatnonzero(data[:-LOOKAHEAD_BYTES] == _LF)
        starts = np.empty_like(ends)
        starts[0], starts[1:] = 0, ends[:-1] + 1
        filled = np.flatnonzero(ends > starts)
        starts = starts[filled]
        return cls(data, starts, ends[filled] - starts)

    def __len__(self) -> int:
        return len(self.starts)

    def first_fields(self) -> FirstFields:
        """The first field of every row."""
        return read_first_fields(self.data, self.starts)

    def chosen(self, index: Integers) -> "Rows":
        """The rows with these indexes, in this order."""
        return Rows(self.data, self.starts[index], self.lengths[index])

    def in_order(self, times: Integers) -> "Rows":
        """The rows sorted by time (stable), each of several identical rows once (PROC-34)."""
        rows = self
        if np.any(times[1:] < times[:-1]):
            order = np.argsort(times, kind="stable")
            rows, times = self.chosen(order), times[order]
        return rows.chosen(rows.without_repeats(times))

    def without_repeats(self, times: Integers) -> Integers:
        """Indexes of the rows that no identical row precedes; rows are in order of `times` (PROC-34)."""
        return np.flatnonzero(first_occurrences(self.data, self.starts, self.lengths, times))

    def text(self) -> Bytes:
        """All rows, a line feed after each."""
        lengths = self.lengths + 1
        if len(self) and np.array_equal(self.starts[1:], (self.starts + lengths)[:-1]):  # already end to end
            return self.data[self.starts[0] : self.starts[-1] + lengths[-1]]
        target = np.empty(int(lengths.sum()), dtype=np.uint8)
        copy_rows(target, starts_of(lengths), self.data, self.starts, lengths)
        return target


def text_with_utc_column(rows: Rows, digits: Integers, times: Integers) -> tuple[Bytes, Integers]:
    """All rows, the UTC column inserted after the first field (PROC-31), a line feed after each row.

    `digits` is the length of each row's first field, `times` its value in unix milliseconds. Returns the text and
    where each row starts in it, and the text's end.
    """
    lengths = rows.lengths + UTC_COLUMN_BYTES + 1
    starts = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=starts[1:])
    text = np.empty(int(starts[-1]), dtype=np.uint8)
    begins = starts[:-1]
    # Sixteen bytes for a first field of up to fifteen: the excess is written over by the column that follows.
    windows(text, LOOKAHEAD_BYTES)[begins] = windows(rows.data, LOOKAHEAD_BYTES)[rows.starts]
    windows(text, UTC_COLUMN_BYTES)[begins + digits] = utc_columns(times)
    copy_rows(text, begins + digits + UTC_COLUMN_BYTES, rows.data, rows.starts + digits, rows.lengths - digits + 1)
    return text, starts
