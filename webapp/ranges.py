"""Which part of a file a request asks for (RFC 9110, sections 13 and 14)."""

from flask import request


class BehindTheEnd(Exception):
    """The range begins behind the file's end: 416."""


def asked_part(size_bytes: int, etag: str) -> tuple[int, int] | None:
    """First byte and the byte after the last of the part that `Range` asks for; None: the whole file.

    `etag` is the file's, with its quotes; `If-Range` with another one, or a weak one, asks for the whole. So do several
    ranges, units other than bytes and what cannot be read. Raises BehindTheEnd.
    """
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    if request.headers.get("If-Range", etag).strip() != etag:
        return None
    start, end = asked.ranges[0]
    if start < 0:  # the last bytes, or all where the file has fewer
        start, end = max(0, size_bytes + start), None
    if start >= size_bytes:
        raise BehindTheEnd
    return start, min(size_bytes, end or size_bytes)
