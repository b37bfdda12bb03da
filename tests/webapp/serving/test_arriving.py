"""Arriving requests, the queue of downloads, and delays: rules that need no server."""

from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.form_bodies import PIECE_BYTES, TooManyFields, decode_percent, fields_at_the_start, split_fields
from webapp.serving.arriving import (
    BODY_SECONDS,
    HEAD_SECONDS,
    LEAST_BYTES_PER_SECOND,
    UNCHECKED_BYTES,
    Arriving,
    Parser,
    Progress,
)
from webapp.serving.body_rules import forwarded_address
from webapp.serving.lanes import FairQueue, Lane, lane_of


class Cfg:
    """Gunicorn's own defaults."""

    def __new__(cls):
        from gunicorn.config import Config

        return Config()


def arriving_body(length: int, tmp_path: Path) -> Arriving:
    arriving = Arriving(tmp_path, now=0.0)
    parser = Parser(Cfg(), ("127.0.0.1", 1))
    head = f"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()
    assert arriving.add(head, 0.0) is Progress.HEAD_IS_THERE
    arriving.begin_body(parser.parse_head(bytes(arriving.head)), parser.take_rest(), 1 << 30, 0.0)
    return arriving


def test_slowness_is_judged_by_bytes_that_arrived(tmp_path: Path):
    """PHONE-13, PHONE-18: a phone on a bad line is waited for as long as bytes come; silence is not."""
    arriving = Arriving(tmp_path, now=0.0)
    assert not arriving.is_too_slow(HEAD_SECONDS)
    assert arriving.is_too_slow(HEAD_SECONDS + 1)
    arriving = arriving_body(1 << 20, tmp_path)
    now = 0.0
    for _ in range(60):  # twice the least rate
        now += 10
        arriving.add(
            b"x" * 10 * 2 * LEAST_BYTES_PER_SECOND if arriving.received < UNCHECKED_BYTES else b"x" * 20_480, now
        )
        arriving.go_on(now)
        assert not arriving.is_too_slow(now)
        if arriving.received == arriving.length:
            break
    assert arriving_body(1 << 20, tmp_path).is_too_slow(BODY_SECONDS + 1)


def test_a_body_is_whole_at_its_last_byte_and_not_before(tmp_path: Path):
    """PHONE-18: what follows it belongs to the next request."""
    arriving = arriving_body(10, tmp_path)
    assert arriving.add(b"123456789", 1.0) is Progress.MORE
    assert arriving.add(b"0GET /", 2.0) is Progress.COMPLETE
    assert (arriving.body().read(), arriving.rest) == (b"1234567890", b"GET /")


def test_large_bodies_wait_for_a_look_at_who_sends(tmp_path: Path):
    """Report row 29: nothing more is read before the check."""
    arriving = arriving_body(2 * UNCHECKED_BYTES, tmp_path)
    assert arriving.add(b"x" * UNCHECKED_BYTES, 1.0) is Progress.CHECK_SENDER
    arriving.go_on(1.0)
    assert arriving.add(b"x" * UNCHECKED_BYTES, 2.0) is Progress.COMPLETE


@pytest.mark.parametrize(
    ("path", "lane"),
    [
        ("/upload", Lane.PHONES),
        ("//upload/ios/", Lane.PHONES),
        ("/graph", Lane.PHONES),
        ("/uploads", Lane.PORTAL),
        ("/get-data/v1", Lane.DOWNLOADS),
        ("/data_access_web_form/12/download", Lane.DOWNLOADS),
        ("/data_access_web_form/12/exports/3/file", Lane.DOWNLOADS),
        ("/data_access_web_form/12/exports", Lane.PORTAL),
        ("/data_access_web_form/12", Lane.PORTAL),
        ("/get-studies/v1", Lane.PROGRAMS),
        ("/tableau/x/v1/y", Lane.PROGRAMS),
        ("/healthz", Lane.PROBES),
        ("/", Lane.PORTAL),
        ("/view_study/1", Lane.PORTAL),
    ],
)
def test_each_kind_of_request_has_its_threads(path: str, lane: Lane):
    """CLAR-9."""
    assert lane_of(path) is lane


def test_downloads_take_turns_by_owner():
    """CLAR-73: no owner gets all threads, and an owner with one job does not wait for one with many."""
    queue: FairQueue[int] = FairQueue(most=3, most_each=2)
    for job in range(5):
        queue.add("often", job)
    queue.add("once", 9)
    started = [queue.start_next() for _ in range(4)]
    assert started == [("often", 0), ("once", 9), ("often", 1), None]
    queue.end("once")
    assert queue.start_next() is None  # two of "often" run
    queue.end("often")
    assert queue.start_next() == ("often", 2)
    assert queue.waiting == 2 and (queue.waiting_of("often"), queue.waiting_of("once")) == (2, 0)
    assert not queue.is_idle
    for _ in range(2):
        queue.end("often")
        assert queue.start_next() is not None
    for _ in range(2):
        queue.end("often")
    assert queue.is_idle


@given(st.binary(max_size=200), st.integers(0, 3))
def test_escapes_are_decoded_in_pieces_as_they_are_whole(value: bytes, shift: int):
    """PHONE-8, OPS-4: also where the end of a piece cuts an escape."""
    long = b"x" * (PIECE_BYTES - 4 + shift) + b"%4a%" + value
    assert decode_percent(long) == unquote_to_bytes(long.replace(b"+", b" "))
    assert decode_percent(value) == unquote_to_bytes(value.replace(b"+", b" "))


def test_fields_are_bounded():
    """OPS-4."""
    assert split_fields(b"a=1&b=&c&=d&&a=%32", 10) == [
        (b"a", b"1"),
        (b"b", b""),
        (b"c", b""),
        (b"", b"d"),
        (b"a", b"2"),
    ]
    with pytest.raises(TooManyFields):
        split_fields(b"a=&" * 11, 10)
    paths = b"registry=CHUNKED_DATA%2Fx.csv&" * 11
    assert split_fields(b"a=1&" + paths + b"registry=%7B%7D&b=2", 10) == [
        (b"a", b"1"),
        (b"registry", b"{}"),
        (b"b", b"2"),
    ]


def test_the_beginning_of_a_body_tells_who_sends():
    """Report row 29: whole fields only, in both shapes."""
    assert fields_at_the_start(b"patient_id=a&password=b&file=xxx", "", "") == {"patient_id": "a", "password": "b"}
    parts = b'--B\r\nContent-Disposition: form-data; name="patient_id"\r\n\r\na\r\n'
    file = b'--B\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n' + b"y" * 100
    assert fields_at_the_start(parts + file, "multipart/form-data", "B") == {"patient_id": "a"}


def test_the_address_that_counts_is_the_one_our_proxies_saw():
    """CLAR-4: what a client writes into the header itself does not count."""
    headers = [("X-FORWARDED-FOR", "1.1.1.1, 2.2.2.2"), ("X-FORWARDED-FOR", "3.3.3.3")]
    peer = ("9.9.9.9", 1)
    assert [forwarded_address(headers, peer, hops) for hops in range(5)] == [
        "9.9.9.9",
        "3.3.3.3",
        "2.2.2.2",
        "1.1.1.1",
        "9.9.9.9",
    ]
