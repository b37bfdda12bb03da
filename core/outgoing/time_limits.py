"""A limit on the whole of one try to deliver. Sockets' own time-outs start anew with each byte that arrives.

Without it, a mail server or an address that sends one byte every few seconds would occupy a thread for ever, and all
messages behind it would wait.
"""

import smtplib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection


class TimeLimit:
    """Shuts down the connections that are made in its time as soon as it is over."""

    def __init__(self) -> None:
        self.is_over = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    def watch(self, connection: socket.socket) -> None:
        """Watches a connection from now on; encryption may be added to it later."""
        with self._lock:
            self._sockets.append(connection.dup())
        if self.is_over:
            self.end()

    def end(self) -> None:
        """Ends the try: who waits for the other side finds the connection closed."""
        with self._lock:
            self.is_over = True
            for connection in self._sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Forgets the connections, which their owners close."""
        with self._lock:
            while self._sockets:
                self._sockets.pop().close()


_limit: ContextVar[TimeLimit | None] = ContextVar("time limit of a try", default=None)


@contextmanager
def time_limit(seconds: float) -> Iterator[TimeLimit]:
    """Everything that this thread sends by the classes of this module ends after so many seconds."""
    limit = TimeLimit()
    token = _limit.set(limit)
    timer = threading.Timer(seconds, limit.end)
    timer.daemon = True
    timer.start()
    try:
        yield limit
    finally:
        timer.cancel()
        _limit.reset(token)
        limit.close()


def _watched(connection: socket.socket) -> socket.socket:
    if (limit := _limit.get()) is not None:
        limit.watch(connection)
    return connection


class LimitedHTTP(HTTPConnection):
    """A connection that a time limit ends."""

    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())


class LimitedHTTPS(HTTPSConnection):
    """An encrypted connection that a time limit ends, its beginning included."""

    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())


class LimitedHTTPPool(HTTPConnectionPool):
    """urllib3's pool with such connections."""

    ConnectionCls = LimitedHTTP


class LimitedHTTPSPool(HTTPSConnectionPool):
    """urllib3's pool with such connections, encrypted."""

    ConnectionCls = LimitedHTTPS


def limited_pools(seconds: float) -> PoolManager:
    """Pools for any address; `seconds` is for each wait."""
    pools = PoolManager(timeout=seconds, retries=False)
    pools.pool_classes_by_scheme = {"http": LimitedHTTPPool, "https": LimitedHTTPSPool}
    return pools


class LimitedSMTP(smtplib.SMTP):
    """A connection to a mail server that a time limit ends."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return _watched(super()._get_socket(host, port, timeout))  # type: ignore[misc]


class LimitedSMTPS(smtplib.SMTP_SSL, LimitedSMTP):
    """The same with encryption from the beginning; by the order of its classes, what is watched is the plain socket."""
