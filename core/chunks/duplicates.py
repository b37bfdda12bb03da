"""Finds duplicate rows (PROC-34), by hash and then byte for byte, without a Python object per row."""

import numpy as np
import numpy.typing as npt

from core.byte_rows import Bytes, Flags, Integers, copy_rows, starts_of, windows

WORD_BYTES = 8
_TAIL_MASKS = np.array([(1 << 8 * size) - 1 for size in range(WORD_BYTES + 1)], dtype=np.uint64)
# Large odd numbers without structure; any such would do.
_MIX = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)
_Words = npt.NDArray[np.uint64]


def first_occurrences(data: Bytes, starts: Integers, lengths: Integers, times: Integers) -> Flags:
    """True for each row that no identical row precedes.

    Rows are in order of `times`, and rows with different times differ. `data` holds at least 8 bytes more after the
    end of the last row.
    """
    is_first = np.ones(len(starts), dtype=np.bool_)
    same_as_before = np.concatenate(([False], times[1:] == times[:-1], [False]))
    if not same_as_before.any():
        return is_first
    # Two rows of one time are the common case (a file sent twice) and need no hash.
    is_pair = same_as_before[1:-1] & ~same_as_before[:-2] & ~same_as_before[2:]
    left = np.flatnonzero(is_pair)
    is_first[left + 1] = ~_are_equal(data, starts, lengths, left, left + 1)
    in_run = same_as_before[:-1] | same_as_before[1:]
    in_run[left] = in_run[left + 1] = False
    chosen = np.flatnonzero(in_run)
    if len(chosen):
        is_first[chosen] = _first_among(data, starts[chosen], lengths[chosen], times[chosen])
    return is_first


def _are_equal(data: Bytes, starts: Integers, lengths: Integers, left: Integers, right: Integers) -> Flags:
    """Whether rows left[i] and right[i] are equal, for each i."""
    equal: Flags = lengths[left] == lengths[right]
    candidates = np.flatnonzero(equal)
    left, right = left[candidates], right[candidates]
    length = lengths[left]
    begins = starts_of(length)
    one, other = np.empty((2, int(length.sum())), dtype=np.uint8)
    copy_rows(one, begins, data, starts[left], length)
    copy_rows(other, begins, data, starts[right], length)
    differing = np.flatnonzero(one != other)
    equal[candidates[np.searchsorted(begins, differing, side="right") - 1]] = False
    return equal


def _first_among(data: Bytes, starts: Integers, lengths: Integers, times: Integers) -> Flags:
    hashes = _hashes(data, starts, lengths)
    # Sorting is stable, so that of equal rows the first in order stands first.
    order = np.lexsort((hashes, times))
    before, after = order[:-1], order[1:]
    looks_equal = (times[before] == times[after]) & (hashes[before] == hashes[after])
    before, after = before[looks_equal], after[looks_equal]
    is_first = np.ones(len(starts), dtype=np.bool_)
    is_first[after] = False
    if not _are_equal(data, starts, lengths, before, after).all():
        return _first_one_by_one(data, starts, lengths)
    return is_first


def _hashes(data: Bytes, starts: Integers, lengths: Integers) -> _Words:
    """A 64-bit hash of each row, from its 8-byte words and their places; no row is empty."""
    counts = (lengths + WORD_BYTES - 1) // WORD_BYTES
    word_starts = starts_of(counts)
    places = np.arange(int(counts.sum())) - np.repeat(word_starts, counts)
    words: _Words = windows(data, WORD_BYTES)[np.repeat(starts, counts) + WORD_BYTES * places].view("<u8")
    words[word_starts + counts - 1] &= _TAIL_MASKS[lengths - WORD_BYTES * (counts - 1)]
    words ^= places.astype(np.uint64) * _MIX[0]
    words *= _MIX[1]
    words ^= words >> np.uint64(32)
    words *= _MIX[2]
    sums: _Words = np.add.reduceat(words, word_starts)
    return sums


def _first_one_by_one(data: Bytes, starts: Integers, lengths: Integers) -> Flags:
    """Compares rows one by one: the slow fallback for two different rows with the same hash."""
    seen: set[bytes] = set()
    is_first = np.empty(len(starts), dtype=np.bool_)
    for index, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        row = data[start : start + length].tobytes()
        is_first[index] = row not in seen
        seen.add(row)
    return is_first
