"""Reading what phones post (PHONE-7 to PHONE-10): iOS percent-encodes or sends parts, Android encodes nothing."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_to_bytes

from flask import Request

from webapp.phone.multipart import parse_multipart

# Larger multipart bodies go through a file, so that the body and the file in it are not in memory together.
MOST_BYTES_AT_ONCE = 8 << 20
# A field `file` at the very start or behind another; in an Android upload it is the last one.
_FILE_FIELD = re.compile(rb"(?:^|&)file=")


@dataclass(frozen=True)
class PhoneForm:
    """A phone's fields as text (the last of a repeated name wins), and the uploaded file's bytes or None."""

    fields: dict[str, str]
    file: bytes | None


def read_phone_form(request: Request) -> PhoneForm:
    """The form of a phone's request, whatever its shape. A file part wins over a field `file`.

    No field holds a NUL, which no text column can take (MODEL-7).

    Raises what Werkzeug raises for a body that is too large (413) or that broke off (400).
    """
    form = _read(request)
    return PhoneForm({name: value.replace("\0", "") for name, value in form.fields.items()}, form.file)


def _read(request: Request) -> PhoneForm:
    if request.mimetype == "multipart/form-data":
        if (request.content_length or MOST_BYTES_AT_ONCE) < MOST_BYTES_AT_ONCE:
            body = request.get_data(parse_form_data=False)
            if form := parse_multipart(body, request.mimetype_params.get("boundary", "")):
                return PhoneForm(*form)
        fields = {name: values[-1] for name, values in request.form.lists()}
        text = fields.pop("file", None)
        if "file" in request.files:
            return PhoneForm(fields, request.files["file"].stream.read())
        return PhoneForm(fields, None if text is None else text.encode())
    return parse_urlencoded(request.get_data(cache=False, parse_form_data=False))


def parse_urlencoded(body: bytes) -> PhoneForm:
    """Fields of a form body as bytes, so that damage inside the file harms nothing else (PHONE-8, PHONE-9).

    The file reaches to the body's end, as Android writes it, unless it is percent-encoded, as form libraries do.
    """
    match = _FILE_FIELD.search(body)
    if match is None:
        return PhoneForm(_fields(body), None)
    before, file = body[: match.start()], body[match.end() :]
    if b"\n" in file or b"%" not in file:
        return PhoneForm(_fields(before), file)
    encoded, _, after = file.partition(b"&")
    fields = _fields(before + b"&" + after) if after else _fields(before)
    return PhoneForm(fields, unquote_to_bytes(encoded.replace(b"+", b" ")))


def _fields(body: bytes) -> dict[str, str]:
    try:
        body.decode()
        encoding = "utf-8"
    except UnicodeDecodeError:
        encoding = "latin-1"
    return dict(parse_qsl(body.decode(encoding), keep_blank_values=True, encoding=encoding, errors="replace"))
