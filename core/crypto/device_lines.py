"""The data lines of a device file: finds the regular and the irregular ones, decrypts both (PHONE-95 to PHONE-109).

A regular line is one as the apps write it: an IV of 16 bytes and a ciphertext of whole blocks, each in padded base64,
with a colon between. One base64 decoding and one AES call serve all regular lines of a piece (PHONE-116).
"""

import binascii
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from core.byte_rows import Bytes, Flags, Integers, copy_rows, starts_of, windows
from core.crypto.lenient_base64 import ALPHABET, decode_groups, decode_lenient

BLOCK_BYTES = 16
# Longer lines (recordings) are faster one by one: each is one library call, and a file has few of them.
MOST_REGULAR_BYTES = 1 << 16
# Characters of a padded IV and its colon, and bytes that the IV decodes to with its padding read as zero bits.
_IV_CHARACTERS = 24
_IV_DECODED_BYTES = 18
_LF, _COLON, _EQUALS = b"\n:="

_IS_SPECIAL = bytes(byte not in ALPHABET + b"+/" for byte in range(256))


class LineErrorKind(StrEnum):
    """Why a data line was left out, under the names that operators of the existing platform know (PHONE-109)."""

    MALFORMED_CONFIG = "MALFORMED_CONFIG"
    PADDING_ERROR = "PADDING_ERROR"
    LINE_EMPTY = "LINE_EMPTY"
    IV_MISSING = "IV_MISSING"
    IV_BAD_LENGTH = "IV_BAD_LENGTH"


@dataclass(frozen=True)
class Lines:
    """The non-empty lines of a piece: where each starts and ends (before its line feed), and which are regular."""

    starts: Integers
    ends: Integers
    is_regular: Flags

    def __len__(self) -> int:
        return len(self.starts)

    def line(self, piece: bytes, index: int) -> bytes:
        """One line without its line feed."""
        return piece[int(self.starts[index]) : int(self.ends[index])]

    def regular_between(self, begin: int, end: int) -> Integers:
        """Indexes of the regular lines in [begin, end)."""
        return begin + np.flatnonzero(self.is_regular[begin:end])


@dataclass(frozen=True)
class Record:
    """One decrypted line; `is_verified` if its padding is valid PKCS#7."""

    record: bytes
    is_verified: bool


def find_lines(piece: bytes) -> Lines:
    """Finds the lines of a piece that ends with a line feed, and which of them are regular."""
    data = np.frombuffer(piece, dtype=np.uint8)
    special = np.flatnonzero(np.frombuffer(piece.translate(_IS_SPECIAL), dtype=np.bool_))
    feeds = np.flatnonzero(data[special] == _LF)
    ends = special[feeds]
    starts = np.concatenate(([0], ends[:-1] + 1))
    specials = np.diff(feeds, prepend=-1) - 1
    filled = ends > starts
    if not filled.all():
        starts, ends, specials = starts[filled], ends[filled], specials[filled]
    return Lines(starts, ends, _are_regular(data, starts, ends, specials))


def _are_regular(data: Bytes, starts: Integers, ends: Integers, specials: Integers) -> Flags:
    """A line is regular when its lengths fit and its only special characters are the colon and the padding due."""
    characters = ends - starts - _IV_CHARACTERS - 1
    padding = _decoded_bytes(characters) % BLOCK_BYTES
    is_regular: Flags = (characters >= _IV_CHARACTERS) & (characters <= MOST_REGULAR_BYTES)
    is_regular &= (characters % 4 == 0) & (padding <= 2) & (specials == 3 + padding)
    start, end, pad = starts[is_regular], ends[is_regular], padding[is_regular]
    is_regular[is_regular] = (
        (data[start + _IV_CHARACTERS] == _COLON)
        & (data[start + _IV_CHARACTERS - 1] == _EQUALS)
        & (data[start + _IV_CHARACTERS - 2] == _EQUALS)
        & ((data[end - 1] == _EQUALS) | (pad < 1))
        & ((data[end - 2] == _EQUALS) | (pad < 2))
    )
    return is_regular


def _decoded_bytes(characters: Integers) -> Integers:
    return characters // 4 * 3


def decrypt_regular_lines(
    piece: bytes, lines: Lines, chosen: Integers, aes_key: bytes
) -> tuple[memoryview, Integers, int]:
    """Decrypts the regular lines with the given indexes, all at once.

    Returns the records end to end, each with a line feed in front; where each begins, and the end of the last; and
    how many had a padding that is not PKCS#7.
    """
    if not len(chosen):
        return memoryview(b""), np.zeros(1, dtype=np.int64), 0
    decoded_bytes = _decoded_bytes(lines.ends[chosen] - lines.starts[chosen] - _IV_CHARACTERS - 1)
    blocks = decoded_bytes // BLOCK_BYTES
    # The rows of a line are its IV and its blocks, so that the row before a block is what CBC combines it with.
    iv_rows = starts_of(blocks + 1)
    last_rows = iv_rows + blocks
    row_starts = np.repeat(starts_of(_IV_DECODED_BYTES + decoded_bytes) + 2 - BLOCK_BYTES * iv_rows, blocks + 1)
    row_starts += np.arange(0, BLOCK_BYTES * len(row_starts), BLOCK_BYTES)
    row_starts[iv_rows] -= 2
    rows = windows(decode_groups(_characters(piece, lines, chosen)), BLOCK_BYTES)[row_starts]
    plain = _decrypt_rows(rows, aes_key)

    padding = plain[BLOCK_BYTES * last_rows + BLOCK_BYTES - 1].astype(np.int64)
    lengths = np.maximum(BLOCK_BYTES * blocks - padding, 0)
    begins = BLOCK_BYTES * iv_rows + BLOCK_BYTES - 1
    plain[begins] = _LF  # over the last byte of the IV's row, which has no other use
    starts = np.concatenate(([0], np.cumsum(lengths + 1)))
    text = np.empty(int(starts[-1]), dtype=np.uint8)
    copy_rows(text, starts[:-1], plain, begins, lengths + 1)
    is_verified = _are_pkcs7(plain.reshape(-1, BLOCK_BYTES)[last_rows], padding)
    return text.data, starts, int(np.count_nonzero(~is_verified))


def _characters(piece: bytes, lines: Lines, chosen: Integers) -> bytes:
    """The base64 characters of the chosen lines, end to end, without colons and line feeds."""
    if len(chosen) < len(lines):
        gaps = np.flatnonzero(np.diff(chosen) > 1)
        first = lines.starts[chosen[np.concatenate(([0], gaps + 1))]].tolist()
        last = lines.ends[chosen[np.concatenate((gaps, [len(chosen) - 1]))]].tolist()
        piece = b"".join([piece[start:end] for start, end in zip(first, last, strict=True)])
    return piece.translate(None, b":\n")


def _decrypt_rows(rows: np.ndarray[tuple[int], np.dtype[np.void]], aes_key: bytes) -> Bytes:
    """AES-CBC over rows of 16 bytes: each is decrypted and combined with the row before it."""
    decryptor = Cipher(algorithms.AES(aes_key), modes.ECB()).decryptor()
    plain = np.empty(len(rows) * BLOCK_BYTES + BLOCK_BYTES - 1, dtype=np.uint8)
    decryptor.update_into(rows.data.cast("B"), plain.data)
    plain = plain[: len(rows) * BLOCK_BYTES]
    words, previous = plain.view(np.uint64), rows.view(np.uint64)
    np.bitwise_xor(words[2:], previous[:-2], out=words[2:])
    return plain


def _are_pkcs7(tails: Bytes, padding: Integers) -> Flags:
    is_padding = np.arange(BLOCK_BYTES) >= BLOCK_BYTES - padding[:, None]
    consistent: Flags = ((tails == padding[:, None]) | ~is_padding).all(axis=1)
    return consistent & (padding >= 1) & (padding <= BLOCK_BYTES)


def decrypt_line(line: bytes, aes_key: bytes) -> Record | LineErrorKind:
    """Decrypts any one line as the existing platform does, or says why it is left out (PHONE-107 to PHONE-109)."""
    if line.count(b":") != 1:
        return LineErrorKind.MALFORMED_CONFIG
    colon = line.index(b":")
    try:
        iv, data = decode_lenient(line[:colon]), decode_lenient(line[colon + 1 :])
    except binascii.Error:
        return LineErrorKind.PADDING_ERROR
    if len(data) < BLOCK_BYTES:
        return LineErrorKind.LINE_EMPTY
    if len(iv) < BLOCK_BYTES:
        return LineErrorKind.IV_MISSING
    if len(iv) > BLOCK_BYTES:
        return LineErrorKind.IV_BAD_LENGTH
    data = data[: len(data) // BLOCK_BYTES * BLOCK_BYTES]
    plain = Cipher(algorithms.AES(aes_key), modes.CBC(iv)).decryptor().update(data)
    padding = plain[-1]
    is_verified = 1 <= padding <= BLOCK_BYTES and plain.endswith(bytes([padding]) * padding)
    return Record(plain[: max(len(plain) - padding, 0)], is_verified)
