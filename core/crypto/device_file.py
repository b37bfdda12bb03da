"""Reading the encrypted files that phones upload (PHONE-95 to PHONE-116).

A file is a key line and data lines `IV:ciphertext`. Lines written as the apps write them are found, decoded and
decrypted all at once (`device_lines`); any other line is read by itself, as leniently as the existing platform does.

What the speed buys: 8 MB of accelerometer rows take a twelfth of the time of the plain version, which reads line by
line (280 MB/s on one core, `tests/benchmarks/bench_device_file.py`). A phone waits while its file is decrypted, and
sends everything again if that takes too long. The tests compare with that plain version,
`tests/reference/device_file.py`.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from mmap import mmap

import numpy as np

from core.byte_rows import Integers
from core.crypto.device_lines import (
    BLOCK_BYTES,
    LineErrorKind,
    Lines,
    decrypt_line,
    decrypt_regular_lines,
    find_lines,
)
from core.crypto.lenient_base64 import ALPHABET, decode_lenient
from core.crypto.participant_keys import DevicePrivateKey

# Half a megabyte at a time keeps the work inside the processor's cache and bounds memory, whatever the number of lines.
PIECE_BYTES = 1 << 19
# A file of nothing but broken lines must not cost a Python object, or a private key operation, for each.
MAX_RECORDED_ERRORS = 1000
MAX_FURTHER_KEYS = 16
# Of lines decrypted with another file's key one in 256 ends by chance in a padding that verifies (PHONE-112).
LEAST_VERIFIED = 0.1
KEY_DOES_NOT_FIT = "key does not fit"

_LINE = re.compile(rb"[^\n]+")
_KEY_CHARACTERS = ALPHABET + b"+/="
_KEY_LINE_CHARACTERS = range(300, 400)


class NothingInFile(Exception):
    """Not one non-empty line: there is nothing to lose, the upload is let go (PHONE-104, `discard`)."""


class NoUsableKey(Exception):
    """No AES key can be recovered: the file is kept aside as received (PHONE-106). The message is the reason."""


@dataclass(frozen=True)
class LineError:
    """A line left out: its index among the non-empty lines (0 is the key line) and why (PHONE-109)."""

    line: int
    kind: LineErrorKind


@dataclass(frozen=True)
class DecryptedFile:
    """What a device file held.

    `plaintext` may be empty. `total_lines` counts the non-empty lines, key line included; `failed_lines` those left
    out, of which the first thousand are in `line_errors`. `unverified_lines` were kept although their padding is not
    PKCS#7, so their end may be cut or garbled (PHONE-107).
    """

    plaintext: bytes = field(repr=False)
    total_lines: int
    line_errors: list[LineError]
    failed_lines: int
    unverified_lines: int


def decrypt_device_file(data: bytes | mmap, key: DevicePrivateKey) -> DecryptedFile:
    """The plaintext that must be stored for one uploaded file (PHONE-104).

    Raises NothingInFile for a file without a non-empty line, NoUsableKey where its AES key cannot be recovered or is
    another file's: fewer than one line in ten then has a padding that verifies (PHONE-112). Failed lines are left out
    and recorded, never raised.
    """
    key_line = _LINE.search(data)
    if key_line is None:
        raise NothingInFile("there is no line in the file")
    reading = _Reading(key, file_key(key_line.group(), key))
    for piece in _pieces(data, key_line.end() + 1):
        reading.read(piece)
    if reading.decrypted_lines - reading.unverified_lines < LEAST_VERIFIED * reading.decrypted_lines:
        raise NoUsableKey(KEY_DOES_NOT_FIT)
    return DecryptedFile(
        plaintext=reading.plaintext(),
        total_lines=reading.total_lines,
        line_errors=reading.line_errors,
        failed_lines=reading.failed_lines,
        unverified_lines=reading.unverified_lines,
    )


def file_key(key_line: bytes, key: DevicePrivateKey) -> bytes:
    """The 16-byte AES key that a key line holds (PHONE-105); raises NoUsableKey.

    Unlike the existing platform this accepts a CR at the end and the standard alphabet (PHONE-106, may improve).
    """
    encoded = key_line.rstrip(b"\r")
    if encoded.translate(None, _KEY_CHARACTERS):
        raise NoUsableKey("the key line holds a character outside the base64 alphabet")
    try:
        aes_key = decode_lenient(key.decrypt_raw(decode_lenient(encoded)))
    except binascii.Error:
        raise NoUsableKey("the key line is not base64, or does not hold base64") from None
    if len(aes_key) != BLOCK_BYTES:
        raise NoUsableKey(f"the key line holds an AES key of {len(aes_key)} bytes, not {BLOCK_BYTES}")
    return aes_key


def _pieces(data: bytes | mmap, start: int) -> Iterator[bytes]:
    """The data from `start` on, cut behind line feeds into pieces of about PIECE_BYTES; each ends with a line feed."""
    while start < len(data):
        end = data.find(b"\n", start + PIECE_BYTES) + 1 or len(data)
        piece = data[start:end]
        yield piece if piece.endswith(b"\n") else piece + b"\n"
        start = end


class _Reading:
    """The state of one file's decryption, fed piece by piece."""

    def __init__(self, key: DevicePrivateKey, aes_key: bytes) -> None:
        self._key = key
        self._aes_key = aes_key
        self._further_keys_left = MAX_FURTHER_KEYS
        self.parts: list[bytes | memoryview] = []
        self.total_lines = 1
        self.line_errors: list[LineError] = []
        self.failed_lines = 0
        self.decrypted_lines = 0
        self.unverified_lines = 0

    def read(self, piece: bytes) -> None:
        """Decrypts the lines of a piece, in order, and adds what they give."""
        if len(piece) > PIECE_BYTES and piece.index(b"\n") == len(piece) - 1:  # a recording (PHONE-100)
            self._decrypt_odd(piece[:-1], self.total_lines)
            self.total_lines += 1
            return
        lines = find_lines(piece)
        odd = np.flatnonzero(~lines.is_regular)
        begin = 0
        for index in odd.tolist() if self._further_keys_left else ():
            further = self._further_key(lines.line(piece, index))
            if further is not None:
                self._decrypt(piece, lines, odd, begin, index + 1)
                begin, self._aes_key = index + 1, further
        self._decrypt(piece, lines, odd, begin, len(lines))
        self.total_lines += len(lines)

    def plaintext(self) -> bytes:
        """All results, with a line feed between two (PHONE-104)."""
        parts = [part for part in self.parts if len(part)]
        return b"".join([parts[0][1:], *parts[1:]]) if parts else b""  # each result has a line feed in front

    def _further_key(self, line: bytes) -> bytes | None:
        """The key of a second file that was appended to the first (PHONE-113, may improve)."""
        if b":" in line or len(line) not in _KEY_LINE_CHARACTERS or not self._further_keys_left:
            return None
        self._further_keys_left -= 1
        try:
            return file_key(line, self._key)
        except NoUsableKey:
            return None

    def _decrypt(self, piece: bytes, lines: Lines, odd: Integers, begin: int, end: int) -> None:
        """Decrypts lines [begin, end), which share one key: the regular ones in bulk, the odd ones between them."""
        regular = lines.regular_between(begin, end)
        text, starts, unverified = decrypt_regular_lines(piece, lines, regular, self._aes_key)
        self.unverified_lines += unverified
        self.decrypted_lines += len(regular)
        between = odd[(odd >= begin) & (odd < end)]
        ends_before = starts[np.searchsorted(regular, between)].tolist()
        done = 0
        for index, upto in zip(between.tolist(), ends_before, strict=True):
            if upto > done:
                self.parts.append(text[done:upto])
                done = upto
            self._decrypt_odd(lines.line(piece, index), self.total_lines + index)
        self.parts.append(text[done:])

    def _decrypt_odd(self, line: bytes, number: int) -> None:
        result = decrypt_line(line, self._aes_key)
        if isinstance(result, LineErrorKind):
            self.failed_lines += 1
            if len(self.line_errors) < MAX_RECORDED_ERRORS:
                self.line_errors.append(LineError(number, result))
            return
        self.decrypted_lines += 1
        self.unverified_lines += not result.is_verified
        self.parts += (b"\n", result.record)
