"""Multipart bodies of phones: the fast parser agrees with Werkzeug's, and leaves to it bodies that no app sends."""

import pytest
from flask import Flask

from webapp.multipart import parse_multipart
from webapp.phone.forms import PhoneForm, read_phone_form

HEAD = b'Content-Disposition: form-data; name="%s"'
FILE_HEAD = HEAD % b'file"; filename="x.csv' + b"\r\nContent-Type: text/csv"


def body_of(*parts: tuple[bytes, bytes]) -> bytes:
    """Parts of (head, content) between boundaries `b`."""
    return b"".join(b"--b\r\n%s\r\n\r\n%s\r\n" % part for part in parts) + b"--b--\r\n"


def read(app: Flask, body: bytes) -> PhoneForm:
    with app.test_request_context(method="POST", data=body, content_type="multipart/form-data; boundary=b") as context:
        return read_phone_form(context.request)


@pytest.mark.parametrize("file", [b"", b"\r\n", b"\r\n\r\n--", b"--b\r\n\r\n", b"\x00\xff\r\n--a\r\n"])
def test_file_bytes_are_kept_exactly(file: bytes):
    """PHONE-7."""
    body = body_of((HEAD % b"patient_id", b"abc"), (HEAD % b"empty", b""), (FILE_HEAD, file))
    assert parse_multipart(body, "b") == ({"patient_id": "abc", "empty": ""}, file)


def test_the_last_of_a_repeated_field_counts_and_a_file_part_wins_over_a_field():
    """PHONE-10; the order of the parts does not matter."""
    body = body_of((FILE_HEAD, b"part"), (HEAD % b"a", b"1"), (HEAD % b"a", b"2"), (HEAD % b"file", b"field"))
    assert parse_multipart(body, "b") == ({"a": "2"}, b"part")


@pytest.mark.parametrize(
    "head",
    [
        HEAD % b"a" + b"\r\nContent-Transfer-Encoding: binary",
        b"Content-Type: text/plain\r\n" + HEAD % b"a",
        HEAD % b'a\\"b',
    ],
)
def test_heads_that_apps_do_not_write_are_read_all_the_same(app: Flask, head: bytes):
    body = body_of((head, b"1"), (FILE_HEAD, b"contents"))
    assert parse_multipart(body, "b") is None
    form = read(app, body)
    assert list(form.fields.values()) == ["1"]
    assert form.file == b"contents"


def test_a_body_that_broke_off_is_not_read_as_whole():
    whole = body_of((HEAD % b"a", b"1"), (FILE_HEAD, b"contents"))
    assert all(parse_multipart(whole[:length], "b") is None for length in range(len(whole) - len(b"--\r\n")))
