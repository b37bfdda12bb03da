from collections.abc import Iterator

import pytest

from core.downloads import zip_stream
from core.downloads.zip_stream import GATHERED_BYTES, gathered


def test_small_pieces_are_sent_together_and_the_first_at_once():
    """DATA-21."""
    pieces = [b"header", *[b"x" * 300] * 1000, b"y" * 3_000_000, b"end"]
    asked = 0

    def counted() -> Iterator[bytes]:
        nonlocal asked
        for piece in pieces:
            asked += 1
            yield piece

    sent = gathered(counted())
    assert next(sent) == b"header" and asked == 1
    others = list(sent)
    assert b"".join(others) == b"".join(pieces[1:]) and len(others) == 300_000 // GATHERED_BYTES + 2


def test_slow_pieces_are_sent_every_half_second(monkeypatch: pytest.MonkeyPatch):
    """DATA-21: where each piece takes its time, some go together, not all."""
    seconds = iter(n / 10 for n in range(100, 200))
    monkeypatch.setattr(zip_stream, "monotonic", lambda: next(seconds))
    assert [len(piece) for piece in gathered([b"x"] * 20)][:3] == [1, 6, 6]
