"""The first field of many rows at once: read as an integer, and written as the UTC column (PROC-14, PROC-31)."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from core.byte_rows import Bytes, Flags, Integers, windows

# So many bytes from the start of each row are read, even if the row is shorter.
LOOKAHEAD_BYTES = 16
MIN_DIGITS, MAX_DIGITS = 10, 15
UTC_COLUMN_BYTES = 24  # a comma and YYYY-MM-DDTHH:MM:SS.mmm

_COMMA, _LF = b",\n"
_Words = npt.NDArray[np.uint64]
_UTC_COLUMN = np.dtype([("day", "V12"), ("clock", "V8"), ("fraction", "V4")])


@dataclass(frozen=True)
class FirstFields:
    """First fields of rows, one entry per row.

    `digits`: how many of the first 16 bytes are digits. `is_number`: nothing else is in the field, and it has at most
    15 digits. `is_empty`: nothing at all is in it. For a number of at least 10 digits, `value` is the whole field and
    `seconds` its first ten digits; for others both mean nothing.
    """

    digits: Integers
    is_number: Flags
    is_empty: Flags
    value: Integers
    seconds: Integers


def read_first_fields(data: Bytes, starts: Integers) -> FirstFields:
    """Reads the first field of each row; `data` holds at least 16 bytes more after the start of the last one."""
    words: _Words = windows(data, LOOKAHEAD_BYTES)[starts].view("<u8").reshape(-1, 2) ^ _repeated(0x30)
    low, high = words[:, 0], words[:, 1]
    low_digits = _leading_digits(low)
    digits = low_digits + np.where(low_digits == 8, _leading_digits(high), 0)
    stop = data[starts + np.minimum(digits, MAX_DIGITS)]  # of sixteen digits the last, so that they do not end
    is_ended = (stop == _COMMA) | (stop == _LF)
    high_digits = np.clip(digits - 8, 1, 8)
    first_eight = _read_eight(low)
    high_aligned: _Words = high << (64 - 8 * high_digits).astype(np.uint64)
    value = first_eight * 10**high_digits + _read_eight(high_aligned)
    ninth, tenth = (high & _LOW_FOUR).astype(np.int64), (high >> _ONE_BYTE & _LOW_FOUR).astype(np.int64)
    seconds = first_eight * 100 + ninth * 10 + tenth
    return FirstFields(digits, is_ended & (digits > 0), is_ended & (digits == 0), value, seconds)


def _repeated(byte: int) -> np.uint64:
    return np.uint64(byte * 0x0101010101010101)


_LOW_FOUR, _ONE_BYTE, _ONE = np.uint64(0xF), np.uint64(8), np.uint64(1)
# Multipliers and masks that add neighbouring digits, then pairs, then fours, inside one word.
_PAIR, _FOUR, _EIGHT = np.uint64(2561), np.uint64(6553601), np.uint64(42949672960001)
_PAIRS_APART, _FOURS_APART = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)


def _leading_digits(words: _Words) -> Integers:
    """How many of the eight bytes, exclusive-ored with `0`, are digits up to the first that is not."""
    is_above_nine: _Words = (((words & _repeated(0x7F)) + _repeated(0x76)) | words) & _repeated(0x80)
    below_first: _Words = (is_above_nine & (~is_above_nine + _ONE)) - _ONE
    return (np.bitwise_count(below_first) // 8).astype(np.int64)


def _read_eight(words: _Words) -> Integers:
    """Eight digit values, the first in the lowest byte, as one integer."""
    pairs: _Words = (words & _repeated(0x0F)) * _PAIR >> _ONE_BYTE
    fours: _Words = (pairs & _PAIRS_APART) * _FOUR >> np.uint64(16)
    return ((fours & _FOURS_APART) * _EIGHT >> np.uint64(32)).astype(np.int64)


def utc_columns(value_ms: Integers) -> npt.NDArray[np.void]:
    """`,YYYY-MM-DDTHH:MM:SS.mmm` for each time in unix milliseconds (PROC-31), as one 24-byte item each.

    Fast when times of one day stand together.
    """
    seconds, fraction = np.divmod(value_ms, 1000)
    days, second_of_day = np.divmod(seconds, 86400)
    column = np.empty(len(value_ms), dtype=_UTC_COLUMN)
    column["clock"] = _clock_texts()[second_of_day]
    column["fraction"] = _fraction_texts()[fraction]
    changes = np.flatnonzero(np.diff(days, prepend=-1))
    column["day"] = np.repeat(_day_texts(days[changes]), np.diff(changes, append=len(days)))
    return column.view(f"V{UTC_COLUMN_BYTES}")


def _day_texts(days: Integers) -> npt.NDArray[np.void]:
    texts = np.empty((len(days), 12), dtype=np.uint8)
    texts[:, 0], texts[:, 11] = _COMMA, ord("T")
    texts[:, 1:11] = np.datetime_as_string(days.astype("M8[D]")).astype("S10").view(np.uint8).reshape(-1, 10)
    return texts.view("V12").reshape(-1)


@cache
def _clock_texts() -> npt.NDArray[np.void]:
    second = np.arange(86400)
    texts = np.full((86400, 8), ord(":"), dtype=np.uint8)
    for place, pair in ((0, second // 3600), (3, second // 60 % 60), (6, second % 60)):
        texts[:, place], texts[:, place + 1] = ord("0") + pair // 10, ord("0") + pair % 10
    return texts.view("V8").reshape(-1)


@cache
def _fraction_texts() -> npt.NDArray[np.void]:
    return np.array([f".{ms:03}".encode() for ms in range(1000)], dtype="S4").view("V4")
