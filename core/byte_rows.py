"""Many short byte strings inside one array, copied in bulk. Decryption and chunk building use this.

A row is a pair (start, length) into an array of bytes. Rows are copied as windows of 16 or 32 bytes that numpy gathers
and scatters, which costs about 10 ns per window instead of a Python object per row.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Windows = np.ndarray[Any, np.dtype[np.void]]


def windows(data: Bytes, width: int) -> Windows:
    """All `width`-byte windows of a contiguous array, one starting at each byte, without copying.

    `data` must hold at least `width` bytes. Indexing the result gathers (or, when `data` is writable, scatters)
    windows at any byte positions.
    """
    return np.ndarray((len(data) - width + 1,), dtype=np.dtype((np.void, width)), buffer=data.data, strides=(1,))


def copy_rows(
    target: Bytes, target_starts: Integers, source: Bytes, source_starts: Integers, lengths: Integers
) -> None:
    """Copies row i of `source` to `target_starts[i]` of `target`, for all i at once; touches no other byte.

    Starts and lengths are in bytes, one per row; both arrays are contiguous and do not overlap.
    """
    if not len(lengths):
        return
    shortest, longest = int(lengths.min()), int(lengths.max())
    for kind in _KINDS:
        if kind.shortest <= shortest and longest <= kind.longest:
            kind.copy(target, target_starts, source, source_starts, lengths)
            return
        if shortest <= kind.longest and kind.shortest <= longest:
            chosen = np.flatnonzero((lengths >= kind.shortest) & (lengths <= kind.longest))
            kind.copy(target, target_starts[chosen], source, source_starts[chosen], lengths[chosen])


def _copy_exact(target: Bytes, to: Integers, source: Bytes, start: Integers, lengths: Integers) -> None:
    """Copies short rows, all rows of one length at once."""
    for width in np.flatnonzero(np.bincount(lengths)).tolist():
        if width:
            same = np.flatnonzero(lengths == width)
            windows(target, width)[to[same]] = windows(source, width)[start[same]]


def _copy_windows(width: int, target: Bytes, to: Integers, source: Bytes, start: Integers, lengths: Integers) -> None:
    """Copies rows of at least `width` bytes: the first window of every row, then the second, and so on."""
    target_windows, source_windows = windows(target, width), windows(source, width)
    # The last window ends with its row and may overlap the one before it, so that nothing is written past the row.
    target_windows[to + lengths - width] = source_windows[start + lengths - width]
    while True:
        target_windows[to] = source_windows[start]
        more = lengths > 2 * width
        if not more.all():
            to, start, lengths = to[more], start[more], lengths[more]
        if not len(lengths):
            return
        to, start, lengths = to + width, start + width, lengths - width


def _copy_singly(target: Bytes, to: Integers, source: Bytes, start: Integers, lengths: Integers) -> None:
    """Copies long rows one by one: for these a Python call per row costs little."""
    for place, begin, length in zip(to.tolist(), start.tolist(), lengths.tolist(), strict=True):
        target[place : place + length] = source[begin : begin + length]


class _Kind(NamedTuple):
    shortest: int
    longest: int
    copy: Callable[[Bytes, Integers, Bytes, Integers, Integers], None]


_KINDS = (
    _Kind(0, 15, _copy_exact),
    _Kind(16, 31, partial(_copy_windows, 16)),
    _Kind(32, 1023, partial(_copy_windows, 32)),
    _Kind(1024, sys.maxsize, _copy_singly),
)


def starts_of(lengths: Integers) -> Integers:
    """Where each row begins when rows of these lengths lie end to end, beginning at 0."""
    return np.cumsum(lengths) - lengths
