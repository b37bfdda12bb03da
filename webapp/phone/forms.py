"""Parses form bodies of phones (PHONE-7 to PHONE-10). iOS encodes them or uses multipart; Android encodes nothing."""

import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from typing import IO, Any

from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import MultiPartParser

from webapp.form_bodies import TooManyFields, decode_percent, split_fields
from webapp.multipart import parse_multipart
from webapp.phone.spool import PIECE_BYTES, contents_of, pieces_of, spool_file, spooled

# Larger bodies go to disk while they arrive, so that a slow phone uses no memory.
MOST_BYTES_IN_MEMORY = 4 << 20
# The fields of a large body come before its file, within this many bytes.
HEAD_BYTES = 1 << 20
# Limits for bodies that no app sends but that are read too: a percent-encoded file, and any kind of multipart body.
MOST_ENCODED_BYTES = 128 << 20
MOST_FIELDS, MOST_PARTS, MOST_PART_BYTES = 200, 50, 2 << 20
# A field `file` at the start of the body or after another field. In an Android upload it is the last field.
_FILE_FIELD = re.compile(rb"(?:^|&)file=")


class BodyTooLarge(Exception):
    """A body above the limit, of which only the beginning was read. `fields` are those before the file."""

    def __init__(self, fields: dict[str, str], size_bytes: int) -> None:
        super().__init__()
        self.fields = fields
        self.size_bytes = size_bytes


@dataclass(frozen=True)
class PhoneForm:
    """A phone's fields as text (of a repeated name the last), and the bytes of the uploaded file, or None.

    NUL characters are removed from fields, since PostgreSQL cannot store them (MODEL-7).
    """

    fields: dict[str, str]
    file: bytes | mmap.mmap | None


def read_phone_form(request: Request) -> PhoneForm:
    """Parses the form of a phone's request, of any content type. A file part wins over a field `file`.

    Raises BodyTooLarge if `Content-Length` is above the limit, Werkzeug's errors for a body that is larger than it says
    (413) or incomplete (400), and OSError if the disk is full.
    """
    length, limit = request.content_length or 0, request.max_content_length
    if limit is not None and length > limit:
        head = request.environ["wsgi.input"].read(HEAD_BYTES)
        raise BodyTooLarge(_without_nul(_form_of_head(request, head)), length)
    form = _spooled_form(request) if length > MOST_BYTES_IN_MEMORY else _form_in_memory(request)
    return PhoneForm(_without_nul(form), form.file)


def _without_nul(form: PhoneForm) -> dict[str, str]:
    return {name: value.replace("\0", "") for name, value in form.fields.items()}


def _is_multipart(request: Request) -> bool:
    return request.mimetype == "multipart/form-data"


def _boundary(request: Request) -> str:
    return request.mimetype_params.get("boundary", "")


def _form_in_memory(request: Request) -> PhoneForm:
    body = request.get_data(parse_form_data=False)
    if not _is_multipart(request):
        return parse_urlencoded(body)
    if form := parse_multipart(body, _boundary(request)):
        return PhoneForm(*form)
    return _parts(request, BytesIO(body), BytesIO)


def _spooled_form(request: Request) -> PhoneForm:
    if _is_multipart(request):
        return _parts(request, request.stream, spool_file)
    head = b""
    while len(head) < HEAD_BYTES and not _FILE_FIELD.search(head):
        if not (piece := request.stream.read(PIECE_BYTES)):
            break
        head += piece
    match = _FILE_FIELD.search(head)
    start = head[match.end() :] if match else b""
    if match is None:
        return PhoneForm(_fields(head), None)
    if b"\n" not in start and b"%" in start:  # no app's body: a form library encodes the file
        if (request.content_length or 0) > MOST_ENCODED_BYTES:
            raise RequestEntityTooLarge
        return parse_urlencoded(head + request.stream.read())
    file = spooled(chain((start,), pieces_of(request.stream)))
    return PhoneForm(_fields(head[: match.start()]), file)


class _Parts(MultiPartParser):
    """Decodes texts as Latin-1, so that `encode("latin-1")` gives back the original bytes."""

    def get_part_charset(self, headers: Headers) -> str:
        return "latin-1"


def _parts(request: Request, stream: IO[bytes], make_file: Callable[[], IO[bytes]]) -> PhoneForm:
    """Parses any multipart body. The file part is written to the file that `make_file` returns."""
    made: list[IO[bytes]] = []

    def new_file(*_: Any, **__: Any) -> IO[bytes]:
        if made:
            raise ValueError("more than one file")
        made.append(make_file())
        return made[0]

    parser = _Parts(new_file, max_form_memory_size=MOST_PART_BYTES, max_form_parts=MOST_PARTS)
    try:
        form, files = parser.parse(stream, _boundary(request).encode(), request.content_length)
        texts = {name: values[-1].encode("latin-1") for name, values in form.lists()}
        text = texts.pop("file", None)
        fields = {name: value.decode("utf-8", "replace") for name, value in texts.items()}
        return PhoneForm(fields, contents_of(made[0]) if "file" in files else text)
    except ValueError:  # not a valid multipart body
        return PhoneForm({}, None)
    finally:
        for file in made:
            file.close()


def _form_of_head(request: Request, head: bytes) -> PhoneForm:
    """The fields that the beginning of a body contains."""
    if not _is_multipart(request):
        return parse_urlencoded(head)
    closed = head + f"\r\n--{_boundary(request)}--\r\n".encode()
    form = parse_multipart(closed, _boundary(request))
    return PhoneForm(*form) if form else PhoneForm({}, None)


def parse_urlencoded(body: bytes) -> PhoneForm:
    """Parses an urlencoded body. It works on bytes, so that damage in the file does not harm the fields (PHONE-8, 9).

    The file reaches to the end of the body, as Android writes it, unless it is percent-encoded, as form libraries do.
    """
    match = _FILE_FIELD.search(body)
    if match is None:
        return PhoneForm(_fields(body), None)
    before, file = body[: match.start()], body[match.end() :]
    if b"\n" in file or b"%" not in file:
        return PhoneForm(_fields(before), file)
    encoded, _, after = file.partition(b"&")
    fields = _fields(before + b"&" + after) if after else _fields(before)
    return PhoneForm(fields, decode_percent(encoded))


def _fields(body: bytes) -> dict[str, str]:
    try:
        body.decode()
        encoding = "utf-8"
    except UnicodeDecodeError:
        encoding = "latin-1"
    try:
        pairs = split_fields(body, MOST_FIELDS)
    except TooManyFields:
        return {}
    return {name.decode(encoding, "replace"): value.decode(encoding, "replace") for name, value in pairs}
