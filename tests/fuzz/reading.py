"""A simple, strict parser of request bodies: the form of a fuzzed request, if it can be read in one way only."""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

PART = re.compile(
    rb'\r\nContent-Disposition: form-data; name="([^"\\\r\n]*)"(?:; filename="([^"\\\r\n]*)")?'
    rb"(?:\r\nContent-Type: [^\r\n]*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Form:
    """Fields as text without NULs, the last of a repeated name; the file, or None where there is none."""

    fields: dict[str, str]
    file: bytes | None


def read_form(content_type: str, body: bytes) -> Form | None:
    """The form; None if the body is ambiguous or malformed."""
    if content_type.partition(";")[0] == "application/x-www-form-urlencoded":
        return _urlencoded(body)
    boundary = _boundary(content_type)
    return _multipart(body, boundary) if boundary else None


def is_cut(content_type: str, body: bytes) -> bool:
    """Whether the end of a body of parts is missing, so that its file may be a part of a file only."""
    boundary = _boundary(content_type)
    return boundary is not None and b"--" + boundary + b"--" not in body


def _boundary(content_type: str) -> bytes | None:
    """A boundary that can be read in one way only."""
    kind, _, parameters = content_type.partition(";")
    boundary = parameters.strip().removeprefix("boundary=")
    is_plain = kind == "multipart/form-data" and re.fullmatch(r"[A-Za-z0-9.-]{1,70}", boundary)
    return boundary.encode() if is_plain else None


def _urlencoded(body: bytes) -> Form | None:
    """PHONE-8, PHONE-9: the file reaches to the end, unless it is percent-encoded."""
    before, mark, file = (b"&" + body).partition(b"&file=")
    if not mark:
        return Form(_fields(before), None)
    if b"\n" in file:
        return Form(_fields(before), file)
    if b"%" in file:
        if b"&file=" in file:
            return None
        encoded, _, after = file.partition(b"&")
        return Form(_fields(before + b"&" + after), unquote_to_bytes(encoded.replace(b"+", b" ")))
    return None if b"&" in file else Form(_fields(before), file)


def _fields(body: bytes) -> dict[str, str]:
    encoding = "utf-8" if _is_utf8(body) else "latin-1"
    fields = {}
    for piece in body.split(b"&"):
        if piece:
            name, _, value = (_text(part, encoding) for part in piece.partition(b"="))
            fields[name] = value.replace("\0", "")
    return fields


def _text(part: bytes, encoding: str) -> str:
    return unquote_to_bytes(part.replace(b"+", b" ")).decode(encoding, "replace")


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _multipart(body: bytes, boundary: bytes) -> Form | None:
    """RFC 7578, with no other heads than the apps', and no boundary behind less than a whole line end."""
    if len(re.findall(rb"[\r\n]--" + re.escape(boundary), body)) != body.count(b"\r\n--" + boundary):
        return None
    first, *pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if first or not pieces or not pieces[-1].startswith(b"--") or any(piece.startswith(b"--") for piece in pieces[:-1]):
        return None
    fields: dict[str, str] = {}
    files: list[bytes] = []
    for piece in pieces[:-1]:
        head, blank, content = piece.partition(b"\r\n\r\n")
        match = PART.fullmatch(head)
        if not blank or match is None or not head.isascii():
            return None
        if match[1] == b"file":
            files.append(content)
        elif match[2] is not None:
            return None
        else:
            fields[match[1].decode()] = content.decode("utf-8", "replace").replace("\0", "")
    if len(files) > 1:
        return None
    return Form(fields, files[0] if files else None)
