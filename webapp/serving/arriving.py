"""A request while it arrives: its head, then its body, in memory or on disk (PHONE-10, PHONE-18).

Nothing here blocks: the worker's event loop passes in the bytes that have arrived.
"""

import io
from enum import Enum, auto
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from gunicorn.http.body import LengthReader
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser

MOST_HEAD_BYTES = 64 << 10
# Bytes of a body that are read from any client; the rest is read only after the sender was checked.
UNCHECKED_BYTES = 128 << 10
# Bytes that are read of a body that is too large, to find out who sends it (PHONE-10).
PROBED_BYTES = 1 << 20
MEMORY_BYTES = UNCHECKED_BYTES  # of one body; the rest is on disk, so that strangers cannot fill the memory
HEAD_SECONDS = 20.0
# A body may take this long, plus the time it needs at LEAST_BYTES_PER_SECOND. A pause may be as long as this too.
BODY_SECONDS = 60.0
LEAST_BYTES_PER_SECOND = 1_024


class NotTaken(Enum):
    """Why the server stopped reading a body."""

    TOO_LARGE = auto()
    SENDER_UNKNOWN = auto()
    NO_ROOM = auto()


class ArrivedBody:
    """A request's body as WSGI input. With `not_taken` set, it holds only the first bytes."""

    def __init__(self, file: IO[bytes], length: int, not_taken: NotTaken | None) -> None:
        self.file = file
        self.length = length
        self.not_taken = not_taken
        self.read = file.read
        self.readline = file.readline
        self.readlines = file.readlines
        self.close = file.close

    def __iter__(self) -> Any:
        return iter(self.file)


class Parser(RequestParser):
    """Gunicorn's parser, applied to bytes that have arrived; it never waits for more."""

    def __init__(self, cfg: Any, address: Any) -> None:
        super().__init__(cfg, iter(()), address)
        self.parsed: Request | None = None

    def parse_head(self, head: bytes) -> Request:
        """Parses a complete head. Raises gunicorn's errors if it is malformed, StopIteration after the last request."""
        self.unreader.unread(head)
        request: Request = super().__next__()
        self.parsed = request
        return request

    def __next__(self) -> Request | None:
        return self.parsed

    def take_rest(self) -> bytes:
        """The bytes that arrived after the parsed head."""
        rest: bytes = self.unreader.take_buffered()
        return rest


class Progress(Enum):
    """What an arriving request needs next: more bytes, its head parsed, its sender checked, or nothing."""

    MORE = auto()
    HEAD_IS_THERE = auto()
    CHECK_SENDER = auto()
    COMPLETE = auto()


class Arriving:
    """One request that arrives through `add`. `now` is always the monotonic clock, in seconds."""

    def __init__(self, spool_folder: Path, now: float) -> None:
        self._spool_folder = spool_folder
        self.began_at = self.heard_at = now
        self.head = bytearray()
        self.request: Any = None  # gunicorn's Request, once its head has arrived
        self.length = self.received = 0
        self.not_taken: NotTaken | None = None
        self.rest = b""  # bytes of the next request
        self.is_sender_known = False
        self._wanted = 0
        self._body: IO[bytes] = io.BytesIO()

    def add(self, data: bytes, now: float) -> Progress:
        """Adds bytes of head or body and returns what is needed next. Raises OSError if the disk is full."""
        self.heard_at = now
        if self.request is None:
            searched = max(0, len(self.head) - 3)
            self.head += data
            is_whole = self.head.find(b"\r\n\r\n", searched) >= 0 or len(self.head) > MOST_HEAD_BYTES
            return Progress.HEAD_IS_THERE if is_whole else Progress.MORE
        return self._take(data)

    def begin_body(self, request: Request, first: bytes, most_bytes: int, now: float) -> Progress:
        """Begins the body that belongs to a parsed head and returns what is needed next.

        `first` are the bytes that arrived with the head. A body longer than `most_bytes` is marked TOO_LARGE, and only
        its beginning is read. Raises OSError if the disk is full.
        """
        self.request, self.began_at = request, now
        reader = request.body.reader
        self.length = reader.length if isinstance(reader, LengthReader) else 0
        self._wanted = self.length
        if self.length > most_bytes:
            self.not_taken, self._wanted = NotTaken.TOO_LARGE, min(self.length, PROBED_BYTES)
        if self.length > UNCHECKED_BYTES:
            self._body = SpooledTemporaryFile(MEMORY_BYTES, dir=str(self._spool_folder))  # noqa: SIM115  closed with the request
        return self._take(first)

    def _take(self, data: bytes) -> Progress:
        missing = self._wanted - self.received
        if len(data) > missing:
            data, self.rest = data[:missing], data[missing:]
        self._body.write(data)
        self.received += len(data)
        if self.received == self._wanted:
            return Progress.COMPLETE
        if self.received >= UNCHECKED_BYTES and not self.is_sender_known and self.not_taken is None:
            return Progress.CHECK_SENDER
        return Progress.MORE

    def first_bytes(self) -> bytes:
        """The beginning of the body, which names the sender."""
        self._body.seek(0)
        first = self._body.read(UNCHECKED_BYTES)
        self._body.seek(0, io.SEEK_END)
        return first

    def go_on(self, now: float) -> None:
        """Allows the sender to send the rest. The time of the check does not count as a pause."""
        self.is_sender_known, self.heard_at = True, now

    def stop(self, reason: NotTaken) -> None:
        """Stops reading the body, for this reason."""
        self.not_taken = reason

    def is_too_slow(self, now: float) -> bool:
        """Whether the head or the body took too long, or the client paused too long."""
        if self.request is None:
            return now - self.began_at > HEAD_SECONDS
        allowed = BODY_SECONDS + self.received / LEAST_BYTES_PER_SECOND
        return now - self.began_at > allowed or now - self.heard_at > BODY_SECONDS

    def body(self) -> ArrivedBody:
        """The bytes of the body that have arrived, as WSGI input."""
        self._body.seek(0)
        return ArrivedBody(self._body, self.length, self.not_taken)

    def close(self) -> None:
        """Deletes the body from memory and disk."""
        self._body.close()
