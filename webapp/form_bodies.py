"""Parses form bodies with limits on the number of fields and on the memory that decoding takes (OPS-4)."""

import re
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from htmx_flask.requests import HtmxAwareRequest
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from webapp.multipart import parse_multipart

MOST_FIELDS = 10_000
# The standard library's decoder makes an object for each escape, so the value is decoded in pieces.
PIECE_BYTES = 64 << 10
REGISTRY_PATH = re.compile(rb"(?:^|&)registry=(?!%7[Bb]|\{)[^&]*")


class TooManyFields(RequestEntityTooLarge):
    """More fields than any client sends: 413."""


def decode_percent(value: bytes) -> bytes:
    """Decodes an urlencoded value: `+` to a space, `%XX` to a byte. Needs memory of about twice its size."""
    value = value.replace(b"+", b" ")
    if b"%" not in value:
        return value
    decoded = bytearray()
    start = 0
    while start < len(value):
        end = start + PIECE_BYTES
        cut = value.find(b"%", end - 2, end)  # an escape that the end of the piece would split
        end = cut if cut > start else end
        decoded += unquote_to_bytes(value[start:end])
        start = end
    return bytes(decoded)


def split_fields(body: bytes, most: int) -> list[tuple[bytes, bytes]]:
    """Names and values of an urlencoded body, in order, decoded. Raises TooManyFields.

    Paths of a registry without hashes, of which mano sends one for each file that it has, do not count (CLAR-71).
    """
    if body.count(b"&") > most:
        body = REGISTRY_PATH.sub(b"", body)
    if body.count(b"&") > most:
        raise TooManyFields
    fields = []
    for field in body.split(b"&"):
        if field:
            name, _, value = field.partition(b"=")
            fields.append((decode_percent(name), decode_percent(value)))
    return fields


def fields_at_the_start(first: bytes, media_type: str, boundary: str) -> dict[str, str]:
    """The fields that are complete in `first`, the beginning of a body, as text."""
    if media_type == "multipart/form-data":
        form = parse_multipart(first + f"\r\n--{boundary}--\r\n".encode(), boundary)
        return form[0] if form else {}
    complete = first.rpartition(b"&")[0]
    try:
        fields = split_fields(complete, MOST_FIELDS)
    except TooManyFields:
        return {}
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in fields}


class BoundedFormParser(FormDataParser):
    """Werkzeug's parser with limits on the number of fields and on the memory that escapes take."""

    def _parse_urlencoded(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str]
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, Any]]:
        pairs = split_fields(stream.read(), MOST_FIELDS)
        fields = ((name.decode("utf-8", "replace"), value.decode("utf-8", "replace")) for name, value in pairs)
        return stream, self.cls(fields), self.cls()


class BoundedRequest(HtmxAwareRequest):
    """A request with `htmx` attributes, whose forms are parsed within limits."""

    form_data_parser_class = BoundedFormParser
