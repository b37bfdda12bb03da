"""Requests over plain sockets that break in the ways in which connections of phones do."""

import socket
import struct
import time
from dataclasses import dataclass
from enum import StrEnum

ANSWER_SECONDS = 20.0


class Way(StrEnum):
    """How a request goes on after a number of its body's bytes."""

    WHOLE = "is sent whole"
    PIECES = "is sent whole, in pieces with pauses"
    CLOSE = "closes the connection"
    HALF_CLOSE = "closes its sending side and waits for an answer"
    RESET = "resets the connection"
    PAUSE = "pauses, then closes its sending side"


BREAKING = (Way.CLOSE, Way.HALF_CLOSE, Way.RESET, Way.PAUSE)


@dataclass(frozen=True)
class RawRequest:
    """A POST as bytes. `length` is what its Content-Length says, by default that of the body."""

    path: str
    body: bytes
    content_type: str = "application/x-www-form-urlencoded"
    headers: tuple[str, ...] = ()
    version: str = "1.1"
    length: int | None = None

    def head(self) -> bytes:
        lines = [
            f"POST {self.path} HTTP/{self.version}",
            "Host: 127.0.0.1",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body) if self.length is None else self.length}",
            "Connection: close",
            *self.headers,
        ]
        return "\r\n".join((*lines, "", "")).encode()


def send(port: int, request: RawRequest, way: Way = Way.WHOLE, at: int = 0, pause: float = 0.1) -> bytes:
    """Sends `at` bytes of the body, then continues in this way. Returns the answer's bytes, empty without an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as connection:
        try:
            if way is Way.WHOLE:
                connection.sendall(request.head() + request.body)
            elif way is Way.PIECES:
                _send_pieces(connection, request, max(at, 1), pause)
            else:
                connection.sendall(request.head() + request.body[:at])
                time.sleep(pause if way is Way.PAUSE else 0)
                if way is Way.RESET:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if way in (Way.CLOSE, Way.RESET):
                    return b""
                connection.shutdown(socket.SHUT_WR)
            return read_all(connection)
        except OSError:
            return b""


def status_of(answer: bytes) -> int | None:
    """The status of an answer, None without one."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else None


def read_all(connection: socket.socket) -> bytes:
    """Bytes until the other side closes."""
    answer = b""
    while piece := connection.recv(1 << 16):
        answer += piece
    return answer


def _send_pieces(connection: socket.socket, request: RawRequest, at: int, pause: float) -> None:
    """The head in two pieces, the body in two."""
    head = request.head()
    for piece in (head[:10], head[10:], request.body[:at], request.body[at:]):
        connection.sendall(piece)
        time.sleep(pause)
