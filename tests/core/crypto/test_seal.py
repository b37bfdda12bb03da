"""The seal at rest (STORE-3 to STORE-5)."""

import os
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from core.crypto.seal import (
    HEADER_BYTES,
    SEGMENT_BYTES,
    TAG_BYTES,
    SealBroken,
    SealContext,
    seal,
    seal_legacy,
    unseal,
    unseal_legacy,
    unseal_whole,
)

CONTEXT = SealContext(b"k" * 32, "Qm4vT8sZ1nB6xK2wR9cJ5hLp", "Qm4vT8sZ1nB6xK2wR9cJ5hLp/ab3kz9qw/gps/1.csv")
INCOMPRESSIBLE = os.urandom(3 * SEGMENT_BYTES)


def sealed(contents: bytes, context: SealContext = CONTEXT) -> bytes:
    return seal(contents, context, 2)


def opened(data: bytes, context: SealContext = CONTEXT) -> bytes:
    """The contents, which both ways of opening must agree on, also on refusing to."""
    try:
        in_pieces = b"".join(unseal((data,), context))
    except SealBroken:
        with pytest.raises(SealBroken):
            unseal_whole(data, context)
        raise
    assert unseal_whole(data, context) == in_pieces
    return in_pieces


@pytest.mark.parametrize("size", [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES])
def test_contents_come_back_whatever_their_size(size: int):
    """STORE-4: one segment, several, and the boundary between them."""
    contents = INCOMPRESSIBLE[:size]
    assert opened(sealed(contents)) == contents


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=3000), st.lists(st.integers(1, 40), max_size=50))
def test_contents_come_back_however_they_are_cut_into_pieces(contents: bytes, cuts: list[int]):
    """STORE-4."""
    data = sealed(contents)
    assert b"".join(unseal(_pieces(data, cuts), CONTEXT)) == contents


def _pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    at = 0
    for cut in cuts:
        yield data[at : at + cut]
        at += cut
    yield data[at:]


@pytest.mark.parametrize("position", [0, 8, 12, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 40, -1, -TAG_BYTES - 1])
def test_one_flipped_bit_anywhere_is_noticed(position: int):
    """STORE-4."""
    data = bytearray(sealed(INCOMPRESSIBLE[:200]))
    data[position] ^= 1
    with pytest.raises(SealBroken):
        opened(bytes(data))


@pytest.mark.parametrize("change", [{"path": CONTEXT.path + "x"}, {"study_id": "A" * 24}, {"study_key": b"x" * 32}])
def test_an_object_of_another_place_study_or_key_does_not_open(change: dict[str, str]):
    """STORE-4: moved objects fail loudly."""
    with pytest.raises(SealBroken):
        opened(sealed(b"contents"), replace(CONTEXT, **change))


def test_cut_reordered_and_repeated_segments_are_noticed():
    """STORE-4."""
    data = sealed(INCOMPRESSIBLE)
    step = SEGMENT_BYTES + TAG_BYTES
    first, second = data[HEADER_BYTES:][:step], data[HEADER_BYTES + step :][:step]
    rest = data[HEADER_BYTES + 2 * step :]
    header = data[:HEADER_BYTES]
    for broken in (
        data[:-1],
        header + first,
        header + first + second,
        header,
        header[:-1],
        b"",
        header + second + first + rest,
        header + first + first + rest,
        header + first + rest,
        data + b"\0",
    ):
        with pytest.raises(SealBroken):
            opened(broken)


def test_no_byte_is_given_before_it_is_verified():
    """STORE-4: the second segment is damaged, so at most the first one's contents come out."""
    data = bytearray(sealed(INCOMPRESSIBLE))
    data[HEADER_BYTES + SEGMENT_BYTES + TAG_BYTES + 5] ^= 1
    got = b""
    with pytest.raises(SealBroken):
        for piece in unseal((bytes(data),), CONTEXT):
            got += piece
    assert INCOMPRESSIBLE.startswith(got)
    assert len(got) <= SEGMENT_BYTES


def test_a_large_object_is_read_in_bounded_memory():
    """STORE-4: 64 MiB through a few MiB."""
    data = sealed(os.urandom(64 * SEGMENT_BYTES))
    pieces = (data[start : start + SEGMENT_BYTES] for start in range(0, len(data), SEGMENT_BYTES))
    tracemalloc.start()
    size = sum(len(piece) for piece in unseal(pieces, CONTEXT))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == 64 * SEGMENT_BYTES
    assert peak < 24 * SEGMENT_BYTES


def test_legacy_objects_open_compressed_and_not():
    """STORE-2, STORE-3, STORE-5: also several frames, and one without a content size."""
    frames = [zstandard.ZstdCompressor().compress(b"one "), _frame_without_size(b"two")]
    for contents, data, is_compressed in (
        (b"text", _cfb8(b"text"), False),
        (b"", _cfb8(b""), False),
        (b"one two", _cfb8(b"".join(frames)), True),
        (b"ours", seal_legacy(b"ours", CONTEXT.study_key, 2), True),
    ):
        assert b"".join(unseal_legacy((data,), CONTEXT, is_compressed=is_compressed)) == contents


def test_a_wrong_key_shows_in_legacy_objects_through_their_compression():
    """STORE-3 has no authentication of its own."""
    data = seal_legacy(b"contents", b"x" * 32, 2)
    with pytest.raises(SealBroken):
        b"".join(unseal_legacy((data,), CONTEXT, is_compressed=True))
    with pytest.raises(SealBroken):
        b"".join(unseal_legacy((b"short",), CONTEXT, is_compressed=False))
    with pytest.raises(SealBroken):  # cut to its IV: not the same as empty contents
        b"".join(unseal_legacy((data[:16],), CONTEXT, is_compressed=True))


def _cfb8(plain: bytes) -> bytes:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB8
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

    iv = os.urandom(16)
    return iv + Cipher(algorithms.AES256(CONTEXT.study_key), CFB8(iv)).encryptor().update(plain)


def _frame_without_size(plain: bytes) -> bytes:
    compressor = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    return compressor.compress(plain) + compressor.flush()
