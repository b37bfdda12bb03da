"""The seal of objects at rest (STORE-3, STORE-4): zstd, then AES-256-GCM in segments, bound to the object's key.

Layout of ours: header = 8 bytes of magic, 1 version byte, 16 bytes of salt; then the zstd frame in segments of 1 MiB
(the last may be shorter), each AES-256-GCM with 16 bytes of tag. The key of an object is HKDF-SHA256(study key, salt,
label); the nonce is the segment's number (11 bytes) and a flag of the last segment (1 byte); associated data is
header, study id, line feed, object key without `.zst`. The construction is STREAM (Hoang, Reyhanitabar, Rogaway,
Vizár 2015), as in Tink's AES256-GCM-HKDF-1MB: nothing can be altered, cut, reordered or moved unnoticed, and no
byte is released before it is verified.

The existing platform's: 16 bytes of IV, then AES-256 in CFB mode with 8-bit segments, without authentication; zstd
inside only under keys that end in `.zst`.
"""

import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.modes import CFB8
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"\x93BEIWE\r\n"
VERSION = b"\x01"
SALT_BYTES = 16
HEADER_BYTES = len(MAGIC) + len(VERSION) + SALT_BYTES
SEGMENT_BYTES = 1 << 20
TAG_BYTES = 16
LABEL = b"beiwe object seal v1"
LEGACY_IV_BYTES = 16
# zstd's fast levels look for repeats with a table of 16,384 to 65,536 places. Rows of numbers repeat what is near: with
# 4,096 places, which stay in the nearest cache, they come out up to a tenth smaller in half to two thirds of the time.
ROW_LEVELS, ROW_HASH_LOG = (1, 2), 12


class SealBroken(Exception):
    """An object cannot be opened: altered, cut, moved, sealed with another key, or its row names another seal."""


@dataclass(frozen=True)
class SealContext:
    """The values that bind an object's seal: the study's key (32 bytes) and id, the object's key without `.zst`."""

    study_key: bytes
    study_id: str
    path: str


def is_our_seal(start: bytes) -> bool:
    """Whether an object that begins with these bytes carries our seal; a random IV does so once in 2^64."""
    return start.startswith(MAGIC)


def seal(plain: bytes, context: SealContext, level: int) -> bytes:
    """The sealed object for these contents."""
    header = MAGIC + VERSION + os.urandom(SALT_BYTES)
    cipher, associated = _cipher(context, header), _associated(context, header)
    frame = _compressor(level).compress(plain)
    segments = [frame[start : start + SEGMENT_BYTES] for start in range(0, len(frame), SEGMENT_BYTES)]
    last = len(segments) - 1
    sealed = [cipher.encrypt(_nonce(n, is_last=n == last), segment, associated) for n, segment in enumerate(segments)]
    return b"".join([header, *sealed])


def unseal(sealed: Iterable[bytes], context: SealContext) -> Iterator[bytes]:
    """The contents of an object under our seal, in pieces, each verified before it is yielded. Raises SealBroken."""
    pieces = _segments(sealed, SEGMENT_BYTES + TAG_BYTES, first=HEADER_BYTES)
    return _decompressed(_verified(pieces, context), context.path)


def unseal_whole(sealed: bytes, context: SealContext) -> bytes:
    """Opens a sealed object in memory, in one call for each step: most objects are small. Raises SealBroken."""
    frame = b"".join(_verified(_cut(sealed), context))
    try:
        if zstandard.frame_content_size(frame) >= 0:
            return _decompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError:
        pass  # several frames, or a broken one: the streaming reader below handles both
    return b"".join(_decompressed((frame,), context.path))


def unseal_frame(sealed: Iterable[bytes], context: SealContext) -> Iterator[bytes]:
    """The zstd frame inside an object under our seal, in pieces, each verified, not decompressed. Raises SealBroken."""
    return _verified(_segments(sealed, SEGMENT_BYTES + TAG_BYTES, first=HEADER_BYTES), context)


def seal_legacy(plain: bytes, study_key: bytes, level: int) -> bytes:
    """The contents under the existing platform's seal, for deployments that may return to that platform (STORE-4)."""
    iv = os.urandom(LEGACY_IV_BYTES)
    encryptor = Cipher(algorithms.AES256(study_key), CFB8(iv)).encryptor()
    return iv + encryptor.update(zstandard.ZstdCompressor(level=level).compress(plain)) + encryptor.finalize()


def unseal_legacy(sealed: Iterable[bytes], context: SealContext, *, is_compressed: bool) -> Iterator[bytes]:
    """The contents of an object of the existing platform, in pieces. A wrong key shows only through zstd."""
    decrypted = _cfb8_decrypted(sealed, context)
    return _decompressed(decrypted, context.path) if is_compressed else decrypted


_kept = threading.local()  # zstd contexts: costly to create, and not thread-safe


def _compressor(level: int) -> zstandard.ZstdCompressor:
    if getattr(_kept, "level", None) != level:
        tuning = {"hash_log": ROW_HASH_LOG} if level in ROW_LEVELS else {}
        parameters = zstandard.ZstdCompressionParameters.from_level(level, write_content_size=True, **tuning)
        _kept.level, _kept.compressor = level, zstandard.ZstdCompressor(compression_params=parameters)
    compressor: zstandard.ZstdCompressor = _kept.compressor
    return compressor


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_kept, "decompressor"):
        _kept.decompressor = zstandard.ZstdDecompressor()
    decompressor: zstandard.ZstdDecompressor = _kept.decompressor
    return decompressor


def _cut(sealed: bytes) -> Iterator[bytes | memoryview]:
    """Header and sealed segments of an object in memory, without copying them."""
    yield sealed[:HEADER_BYTES]
    view = memoryview(sealed)
    for start in range(HEADER_BYTES, len(sealed), SEGMENT_BYTES + TAG_BYTES):
        yield view[start : start + SEGMENT_BYTES + TAG_BYTES]


def _verified(reader: Iterator[bytes | memoryview], context: SealContext) -> Iterator[bytes]:
    header = bytes(next(reader, b""))
    if len(header) != HEADER_BYTES or not header.startswith(MAGIC):
        raise SealBroken(f"{context.path}: no seal of ours")
    if header[len(MAGIC) : len(MAGIC) + 1] != VERSION:
        raise SealBroken(f"{context.path}: sealed by a newer version of this server")
    cipher, associated = _cipher(context, header), _associated(context, header)
    number, waiting = 0, next(reader, None)
    while waiting is not None:
        following = next(reader, None)
        try:
            yield cipher.decrypt(_nonce(number, is_last=following is None), waiting, associated)
        except InvalidTag:
            raise SealBroken(f"{context.path}: altered, cut, moved, or of another study (segment {number})") from None
        number, waiting = number + 1, following
    if number == 0:
        raise SealBroken(f"{context.path}: cut after its header")


def _cfb8_decrypted(sealed: Iterable[bytes], context: SealContext) -> Iterator[bytes]:
    pieces = _segments(sealed, SEGMENT_BYTES, first=LEGACY_IV_BYTES)
    iv = next(pieces, b"")
    if len(iv) != LEGACY_IV_BYTES:
        raise SealBroken(f"{context.path}: shorter than an IV")
    decryptor = Cipher(algorithms.AES256(context.study_key), CFB8(iv)).decryptor()
    for piece in pieces:
        yield decryptor.update(piece)


def _decompressed(compressed: Iterable[bytes], path: str) -> Iterator[bytes]:
    """Any zstd stream: one frame or several, with or without a content size (STORE-5)."""
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    has_data, is_empty = False, True
    try:
        for piece in compressed:
            while piece:
                has_data, is_empty = True, False
                out = decompressor.decompress(piece)
                if out:
                    yield out
                piece = b""
                if decompressor.eof:
                    piece = decompressor.unused_data
                    decompressor = zstandard.ZstdDecompressor().decompressobj()
                    has_data = False
    except zstandard.ZstdError as error:
        raise SealBroken(f"{path}: not readable as zstd ({error}); is it this study's key?") from None
    if has_data or is_empty:
        raise SealBroken(f"{path}: cut inside its zstd frame")


def _segments(pieces: Iterable[bytes], size: int, first: int | None = None) -> Iterator[bytes]:
    """Regroups the bytes: one segment of `first` bytes if given, then segments of at most `size` bytes."""
    buffer = bytearray()
    wanted = first or size
    for piece in pieces:
        buffer += piece
        while len(buffer) >= wanted:
            yield bytes(buffer[:wanted])
            del buffer[:wanted]
            wanted = size
    if buffer:
        yield bytes(buffer)


def _cipher(context: SealContext, header: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt=header[-SALT_BYTES:], info=LABEL).derive(context.study_key))


def _associated(context: SealContext, header: bytes) -> bytes:
    return header + context.study_id.encode() + b"\n" + context.path.encode()


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])
