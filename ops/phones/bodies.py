"""Request bodies, byte for byte as the apps build them (PHONE-7, PHONE-8)."""

from collections.abc import Sequence
from urllib.parse import quote

Fields = Sequence[tuple[str, str]]

ANDROID_CONTENT_TYPE = "application/x-www-form-urlencoded"
IOS_CONTENT_TYPE = "application/x-www-form-urlencoded; charset=utf-8"

_PART_TYPES = {"csv": "text/csv", "mp4": "video/mp4", "wav": "audio/x-wav"}


def android_form(fields: Fields) -> bytes:
    """A form as Android writes it: nothing percent-encoded, an `&` after every field, also the last."""
    return "".join(f"{name}={value}&" for name, value in fields).encode()


def android_upload(fields: Fields, content: bytes) -> bytes:
    """An upload as Android writes it: the form, then `file=` and the raw bytes to the end of the body."""
    return android_form(fields) + b"file=" + content


def ios_form(fields: Fields) -> bytes:
    """A form as iOS writes it: keys sorted, percent-encoded UTF-8, with `/` and `?` left as they are."""
    return "&".join(f"{quote(name, safe='/?')}={quote(value, safe='/?')}" for name, value in sorted(fields)).encode()


def ios_upload(fields: Fields, file_name: str, content: bytes, boundary: str) -> bytes:
    """An upload as iOS writes it: multipart, text parts without a content type, the file part last."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields
    ]
    part_type = _PART_TYPES.get(file_name.rpartition(".")[2], "application/octet-stream")
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n'
        f"Content-Type: {part_type}\r\n\r\n"
    )
    return "".join(parts).encode() + content + f"\r\n--{boundary}--\r\n".encode()


def multipart_content_type(boundary: str) -> str:
    """The Content-Type header of a multipart body."""
    return f"multipart/form-data; boundary={boundary}"
