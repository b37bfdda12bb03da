"""Request bodies that dribble in must not hold a thread for ever (a proxy in front that buffers never lets them).

Gunicorn waits for a body without an end in sight. Each body is watched while it is read: one whose bytes come too
slowly is cut off, which the application sees as a client that went away. Phones keep their file then.
"""

import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from werkzeug.exceptions import ClientDisconnected

START_SECONDS = 30
LEAST_BYTES_PER_SECOND = 4_096
LOOK_SECONDS = 1.0


class Patience:
    """WSGI middleware. `START_SECONDS`, and then at least LEAST_BYTES_PER_SECOND on average."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self._bodies: set[_WatchedBody] = set()
        self._watcher: threading.Thread | None = None
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        connection = environ.get("gunicorn.socket")
        if connection is None or not (environ.get("CONTENT_LENGTH") or environ.get("HTTP_TRANSFER_ENCODING")):
            answer: Iterable[bytes] = self.application(environ, start_response)
            return answer
        body = _WatchedBody(environ["wsgi.input"], connection)
        environ["wsgi.input"] = body
        self._watch(body)
        try:
            return self.application(environ, start_response)  # type: ignore[no-any-return]
        finally:
            with self._lock:
                self._bodies.discard(body)

    def _watch(self, body: "_WatchedBody") -> None:
        with self._lock:
            self._bodies.add(body)
            if self._watcher is None:  # after gunicorn has forked
                self._watcher = threading.Thread(target=self._look, daemon=True, name="patience")
                self._watcher.start()

    def _look(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            with self._lock:
                bodies = list(self._bodies)
            for body in bodies:
                body.cut_off_if_slow()


class _WatchedBody:
    """A body that counts what was read of it."""

    def __init__(self, stream: Any, connection: socket.socket) -> None:
        self._stream = stream
        self._connection = connection
        self._started = time.monotonic()
        self._received = 0
        self._is_waiting = False

    def read(self, size: int = -1) -> bytes:
        return self._counted(self._stream.read, size)

    def readline(self, size: int = -1) -> bytes:
        return self._counted(self._stream.readline, size)

    def cut_off_if_slow(self) -> None:
        allowed = START_SECONDS + self._received / LEAST_BYTES_PER_SECOND
        if self._is_waiting and time.monotonic() - self._started > allowed:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RD)

    def _counted(self, read: Any, size: int) -> bytes:
        self._is_waiting = True
        try:
            data: bytes = read(size)
        except Exception as error:  # the connection broke, or its framing; never the body's end
            raise ClientDisconnected from error
        finally:
            self._is_waiting = False
        self._received += len(data)
        return data
