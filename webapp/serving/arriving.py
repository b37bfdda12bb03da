"""A request while it arrives: its head, then its body, in memory or on disk (PHONE-10, PHONE-18).

Nothing here waits: the worker's event loop brings the bytes that are there.
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
# So much of a body is taken from anybody; more only after a look at who sends (report row 29).
UNSEEN_BYTES = 128 << 10
# So much of a body that is not wanted is read, to tell whose it is (PHONE-10).
PROBED_BYTES = 1 << 20
MEMORY_BYTES = UNSEEN_BYTES  # of one body; more is on disk, or strangers could fill the memory
HEAD_SECONDS = 20.0
BODY_SECONDS = 60.0  # to begin with, then LEAST_BYTES_PER_SECOND on average, and no silence that is as long
LEAST_BYTES_PER_SECOND = 1_024


class NotTaken(Enum):
    """Why the server reads no further in a body."""

    TOO_LARGE = auto()
    SENDER_UNKNOWN = auto()
    NO_ROOM = auto()


class ArrivedBody:
    """A request's body as WSGI input: a file of all its bytes, or, with `not_taken`, of its first ones only."""

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
    """Gunicorn's parser over bytes that have arrived; it never waits for more."""

    def __init__(self, cfg: Any, address: Any) -> None:
        super().__init__(cfg, iter(()), address)
        self.parsed: Request | None = None

    def parse_head(self, head: bytes) -> Request:
        """Parses a whole head. Raises gunicorn's errors for a malformed one, StopIteration after the last request."""
        self.unreader.unread(head)
        request: Request = super().__next__()
        self.parsed = request
        return request

    def __next__(self) -> Request | None:
        return self.parsed

    def take_rest(self) -> bytes:
        """Bytes behind what has been parsed."""
        rest: bytes = self.unreader.take_buffered()
        return rest


class Progress(Enum):
    """What an arriving request needs next."""

    MORE = auto()
    HEAD_IS_THERE = auto()
    LOOK = auto()
    COMPLETE = auto()


class Arriving:
    """One request. Feed it bytes with `add`; the moments are of a monotonic clock, in seconds."""

    def __init__(self, spool_folder: Path, now: float) -> None:
        self._spool_folder = spool_folder
        self.began_at = self.heard_at = now
        self.head = bytearray()
        self.request: Any = None  # gunicorn's Request, once its head has arrived
        self.length = self.received = 0
        self.not_taken: NotTaken | None = None
        self.rest = b""  # bytes of the next request
        self.is_looked_at = False
        self._wanted = 0
        self._body: IO[bytes] = io.BytesIO()

    def add(self, data: bytes, now: float) -> Progress:
        """Takes bytes. Raises OSError where the disk has no room for a body."""
        self.heard_at = now
        if self.request is None:
            searched = max(0, len(self.head) - 3)
            self.head += data
            is_whole = self.head.find(b"\r\n\r\n", searched) >= 0 or len(self.head) > MOST_HEAD_BYTES
            return Progress.HEAD_IS_THERE if is_whole else Progress.MORE
        return self._take(data)

    def begin_body(self, request: Request, first: bytes, most_bytes: int, now: float) -> Progress:
        """Turns to the body of a parsed head, of which `first` has come with it; at most `most_bytes` are wanted."""
        self.request, self.began_at = request, now
        reader = request.body.reader
        self.length = reader.length if isinstance(reader, LengthReader) else 0
        self._wanted = self.length
        if self.length > most_bytes:
            self.not_taken, self._wanted = NotTaken.TOO_LARGE, min(self.length, PROBED_BYTES)
        if self.length > UNSEEN_BYTES:
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
        if self.received >= UNSEEN_BYTES and not self.is_looked_at and self.not_taken is None:
            return Progress.LOOK
        return Progress.MORE

    def first_bytes(self) -> bytes:
        """The beginning of the body, to look at who sends."""
        self._body.seek(0)
        first = self._body.read(UNSEEN_BYTES)
        self._body.seek(0, io.SEEK_END)
        return first

    def go_on(self, now: float) -> None:
        """Who sends may send the rest; the time of the look does not count."""
        self.is_looked_at, self.heard_at = True, now

    def stop(self, reason: NotTaken) -> None:
        """Nothing more of the body is taken."""
        self.not_taken = reason

    def is_too_slow(self, now: float) -> bool:
        """Judged by the bytes that arrived."""
        if self.request is None:
            return now - self.began_at > HEAD_SECONDS
        allowed = BODY_SECONDS + self.received / LEAST_BYTES_PER_SECOND
        return now - self.began_at > allowed or now - self.heard_at > BODY_SECONDS

    def body(self) -> ArrivedBody:
        """What has arrived of the body, from its beginning."""
        self._body.seek(0)
        return ArrivedBody(self._body, self.length, self.not_taken)

    def close(self) -> None:
        """Lets go of the body."""
        self._body.close()
