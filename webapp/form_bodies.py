"""Form bodies of any client, read within bounds: the number of fields, and the memory that decoding takes (OPS-4)."""

from typing import IO, Any
from urllib.parse import unquote_to_bytes

from htmx_flask.requests import HtmxAwareRequest
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from webapp.multipart import parse_multipart

MOST_FIELDS = 10_000
# The standard library's decoder makes an object for each escape, so it is given a piece at a time.
PIECE_BYTES = 64 << 10


class TooManyFields(RequestEntityTooLarge):
    """More fields than any client sends: 413."""


def decode_percent(value: bytes) -> bytes:
    """A form's value with `+` as a blank and `%XX` as a byte, in memory of about twice its size."""
    value = value.replace(b"+", b" ")
    if b"%" not in value:
        return value
    decoded = bytearray()
    start = 0
    while start < len(value):
        end = start + PIECE_BYTES
        cut = value.find(b"%", end - 2, end)  # an escape that the piece's end would cut in two
        end = cut if cut > start else end
        decoded += unquote_to_bytes(value[start:end])
        start = end
    return bytes(decoded)


def split_fields(body: bytes, most: int) -> list[tuple[bytes, bytes]]:
    """Names and values of an urlencoded body, in order, decoded. Raises TooManyFields."""
    if body.count(b"&") > most:
        raise TooManyFields
    fields = []
    for field in body.split(b"&"):
        if field:
            name, _, value = field.partition(b"=")
            fields.append((decode_percent(name), decode_percent(value)))
    return fields


def fields_at_the_start(first: bytes, media_type: str, boundary: str) -> dict[str, str]:
    """The fields that stand whole in the beginning of a body, as text."""
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
    """Werkzeug's parser with a bound on the number of fields, and on the memory that escapes take."""

    def _parse_urlencoded(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str]
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, Any]]:
        pairs = split_fields(stream.read(), MOST_FIELDS)
        fields = ((name.decode("utf-8", "replace"), value.decode("utf-8", "replace")) for name, value in pairs)
        return stream, self.cls(fields), self.cls()


class BoundedRequest(HtmxAwareRequest):
    """A request that knows HTMX, and whose forms are read within bounds."""

    form_data_parser_class = BoundedFormParser
