"""Many short byte strings inside one array, moved in bulk: the ground under decryption and chunk building.

A row is a pair (start, length) into an array of bytes. Rows are copied as 16-byte windows that numpy gathers and
scatters, which costs about 5 ns per window instead of a Python object per row.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Windows = np.ndarray[Any, np.dtype[np.void]]

WINDOW = 16
# Longer rows are copied one by one: each is then a memory copy worth its Python call.
LONG_ROW = 1024


def windows(data: Bytes, width: int) -> Windows:
    """All `width`-byte windows of a contiguous array, one starting at each byte, without copying.

    `data` must hold at least `width` bytes. Indexing the result gathers (or, when `data` is writable, scatters)
    windows at any byte positions.
    """
    return np.ndarray((len(data) - width + 1,), dtype=np.dtype((np.void, width)), buffer=data.data, strides=(1,))


def copy_rows(target: Bytes, target_starts: Integers, source: Bytes, source_starts: Integers, lengths: Integers) -> None:
    """Copies row i of `source` to `target_starts[i]` of `target`, for all i at once; touches no other byte.

    Starts and lengths are in bytes, one per row; both arrays are contiguous and do not overlap.
    """
    is_long = lengths > LONG_ROW
    if is_long.any():
        chosen = np.flatnonzero(is_long)
        rows = zip(target_starts[chosen].tolist(), source_starts[chosen].tolist(), lengths[chosen].tolist(), strict=True)
        for to, start, length in rows:
            target[to : to + length] = source[start : start + length]
    is_short = lengths < WINDOW
    if is_short.any():
        _copy_short(target, target_starts[is_short], source, source_starts[is_short], lengths[is_short])
    if is_long.any() or is_short.any():
        middle = ~(is_long | is_short)
        target_starts, source_starts, lengths = target_starts[middle], source_starts[middle], lengths[middle]
    if len(lengths):
        _copy_windows(target, target_starts, source, source_starts, lengths)


def _copy_short(target: Bytes, to: Integers, source: Bytes, start: Integers, lengths: Integers) -> None:
    for width in np.flatnonzero(np.bincount(lengths, minlength=WINDOW)).tolist():
        if width:
            same = lengths == width
            windows(target, width)[to[same]] = windows(source, width)[start[same]]


def _copy_windows(target: Bytes, to: Integers, source: Bytes, start: Integers, lengths: Integers) -> None:
    target_windows, source_windows = windows(target, WINDOW), windows(source, WINDOW)
    # The last window ends with its row and may overlap the one before it, so that nothing is written past the row.
    target_windows[to + lengths - WINDOW] = source_windows[start + lengths - WINDOW]
    while True:
        target_windows[to] = source_windows[start]
        more = lengths > 2 * WINDOW
        if not more.all():
            to, start, lengths = to[more], start[more], lengths[more]
        if not len(lengths):
            return
        to, start, lengths = to + WINDOW, start + WINDOW, lengths - WINDOW


def starts_of(lengths: Integers) -> Integers:
    """Where each row begins when rows of these lengths lie end to end, beginning at 0."""
    return np.cumsum(lengths) - lengths
