"""Gunicorn's threaded worker, changed so that a thread gets a request only when all of it has arrived (PHONE-18).

The main thread's event loop reads heads and bodies without blocking. Threads run the application and write the answer.
A slow, silent or broken connection uses a socket but no thread. `ops/gunicorn.conf.py` selects this class.
"""

import io
import itertools
import os
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from heapq import heappop, heappush
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders, NoMoreData
from gunicorn.util import close as close_socket
from gunicorn.workers.gthread import PollableMethodQueue, TConn, ThreadWorker

from webapp.serving.arriving import Arriving, NotTaken, Parser, Progress
from webapp.serving.lanes import THREADS, FairQueue, Lane, lane_of, path_of

RECEIVE_BYTES = 256 << 10
ACCEPT_AT_ONCE = 64
# A connection is closed if the client reads no byte of the answer for this long (CLAR-73).
SILENT_READER_SECONDS = 60
LINGER_SECONDS = 2.0
CHECK_EVERY_SECONDS = 1.0
DOWNLOADS_EACH = 2  # of the threads for downloads, for one API key
MOST_WAITING_DOWNLOADS = 200
# Above this share of the allowed connections, a process closes some. Those younger than YOUNG_SECONDS go last.
CROWDED = 0.9
YOUNG_SECONDS = 1.0
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nContent-Length: 19\r\nConnection: close\r\n\r\n"
    b"The server is busy."
)


class LastingQueue(PollableMethodQueue):
    """Passes calls from threads to the main thread, over a pipe that stays open until the process ends."""

    def close(self) -> None:
        """Does nothing. A thread that runs on after the loop still writes a byte to the pipe's file descriptor; if the
        pipe were closed, the byte would go into another file or connection that has been given this descriptor.
        """


class WholeRequestWorker(ThreadWorker):
    """A worker that gives its application complete requests: `wsgi.input` is an ArrivedBody."""

    max_requests: int
    alive: bool

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.method_queue = LastingQueue()
        self.arriving: dict[TConn, Arriving] = {}
        self.lingering: dict[TConn, float] = {}
        self.downloads: FairQueue[tuple[TConn, Arriving]] = FairQueue(THREADS[Lane.DOWNLOADS], DOWNLOADS_EACH)
        self.delayed: list[tuple[float, int, TConn, Arriving]] = []
        # Complete requests that do not come from phones, oldest first: delayed (None) or submitted to a thread pool.
        self.waiting: dict[TConn, tuple[Arriving, Future[Any] | None]] = {}
        self.numbers = itertools.count()
        self.checked_at = 0.0
        # `murder_pending` ends the process after so many requests, since gunicorn would break downloads under way.
        self.most_requests, self.max_requests = self.max_requests, sys.maxsize

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Raises RuntimeError if gunicorn is configured for TLS, which the proxy handles."""
        super().check_config(cfg, log)
        if cfg.is_ssl:
            raise RuntimeError("this worker serves plain HTTP only; configure TLS at the proxy")

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Creates the thread pools of all lanes and returns that of the phones."""
        self.pools = {lane: ThreadPoolExecutor(threads, lane.name.lower()) for lane, threads in THREADS.items()}
        self.pools[Lane.PHONES] = ThreadPoolExecutor(self.cfg.threads, "phones")
        return self.pools[Lane.PHONES]

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Handles the events of one turn of the loop. An exception in one is logged and does not end the process."""
        for key, _ in self.poller.select(timeout):
            # An earlier event of this turn may have closed this connection or given it another handler.
            if self.poller.get_map().get(key.fd) is not key:
                continue
            try:
                key.data(key.fileobj)
            except Exception:
                self.log.exception("an event could not be handled")

    def run(self) -> None:
        """Serves until the process is to end and its grace period is over.

        Then ends it even while threads work on: Python would wait for them, and no process would take its place.
        """
        super().run()
        if self.nr_conns > 0:
            self.log.warning("%s connections were open when the process had to end", self.nr_conns)
            sys.stderr.flush()
            os._exit(0)

    # Connections

    def accept(self, listener: socket.socket) -> None:
        """Accepts waiting connections, at most ACCEPT_AT_ONCE."""
        for _ in range(ACCEPT_AT_ONCE):
            try:
                client, address = listener.accept()
            except OSError:
                return
            self.nr_conns += 1
            timeout = struct.pack("ll", SILENT_READER_SECONDS, 0)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
            conn = TConn(self.cfg, client, address, listener.getsockname())
            conn.parser, conn.initialized, conn.data_ready = Parser(self.cfg, address), True, True
            self.enqueue_req(conn)
            if self.nr_conns >= self.worker_connections * CROWDED:
                self._make_room()

    def on_client_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """Begins the next request on a keep-alive connection."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self.enqueue_req(conn)

    def enqueue_req(self, conn: TConn) -> None:
        """Begins to read a request. Its first bytes may have been read with the previous request."""
        arriving = self.arriving[conn] = Arriving(self.rules.spool_folder, time.monotonic())
        conn.sock.setblocking(False)
        first = conn.parser.take_rest()
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._receive, conn, arriving))
        self._receive(conn, arriving, conn.sock, first)

    def _receive(self, conn: TConn, arriving: Arriving, sock: socket.socket, data: bytes = b"") -> None:
        """Reads the bytes that have arrived; or uses `data`, which was read earlier."""
        try:
            data = data or sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            pass
        try:
            if data:
                self._add(conn, arriving, data)
            else:  # the client closed the connection: drop the incomplete request
                self._drop(conn, arriving)
        except Exception:  # a defect must close one connection, not the whole process
            self.log.exception("a request could not be read")
            self.arriving.pop(conn, None)
            with suppress(KeyError, ValueError):
                self.poller.unregister(sock)
            arriving.close()
            self._close(conn)

    def _add(self, conn: TConn, arriving: Arriving, data: bytes) -> None:
        now = time.monotonic()
        try:
            progress = arriving.add(data, now)
            if progress is Progress.HEAD_IS_THERE:
                progress = self._begin_body(conn, arriving, now)
            if progress is Progress.CHECK_SENDER and not self.rules.needs_known_sender(path_of(arriving.request)):
                arriving.go_on(now)
                progress = Progress.MORE
        except NoMoreData:
            self._answer_malformed(conn, arriving, LimitRequestHeaders("no end of the headers"))
            return
        except OSError:
            arriving.stop(NotTaken.NO_ROOM)
            progress = Progress.COMPLETE
        except Exception as error:  # from gunicorn's parser; gunicorn's error handler answers it
            self._answer_malformed(conn, arriving, error)
            return
        if progress is Progress.COMPLETE:
            self._dispatch(conn, arriving)
        elif progress is Progress.CHECK_SENDER:
            self.poller.unregister(conn.sock)
            check = self.pools[lane_of(path_of(arriving.request))].submit(
                self.rules.may_send, arriving.request, arriving.first_bytes()
            )
            check.add_done_callback(lambda done: self.method_queue.defer(self._sender_checked, conn, arriving, done))

    def _begin_body(self, conn: TConn, arriving: Arriving, now: float) -> Progress:
        request = conn.parser.parse_head(bytes(arriving.head))
        if request._expected_100_continue:
            request._expected_100_continue = False
            with suppress(OSError):
                conn.sock.send(CONTINUE)
        return arriving.begin_body(request, conn.parser.take_rest(), self.rules.most_body_bytes(path_of(request)), now)

    def _sender_checked(self, conn: TConn, arriving: Arriving, done: "Future[bool]") -> None:
        """Reads on if the sender is known; else passes the first bytes to the application, which refuses them."""
        if done.exception() is None and done.result():
            arriving.go_on(time.monotonic())
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._receive, conn, arriving))
        else:
            arriving.stop(NotTaken.NO_ROOM if done.exception() else NotTaken.SENDER_UNKNOWN)
            self._dispatch(conn, arriving)

    # Threads

    def _dispatch(self, conn: TConn, arriving: Arriving) -> None:
        with suppress(KeyError, ValueError):
            self.poller.unregister(conn.sock)
        del self.arriving[conn]
        delay = self.rules.delay_seconds(arriving.request, arriving.first_bytes(), conn.client)
        if delay:
            heappush(self.delayed, (time.monotonic() + delay, next(self.numbers), conn, arriving))
            self.waiting[conn] = (arriving, None)
        else:
            self._hand_over(conn, arriving)

    def _hand_over(self, conn: TConn, arriving: Arriving) -> None:
        lane = lane_of(path_of(arriving.request))
        if lane is not Lane.DOWNLOADS or arriving.not_taken is not None:
            self._run(lane, conn, arriving)
            return
        owner = self.rules.owner_of(arriving.request, arriving.first_bytes(), conn.client)
        most = min(MOST_WAITING_DOWNLOADS, self.worker_connections // 4)
        # One key must not fill the queue for all.
        if self.downloads.waiting >= most or self.downloads.waiting_of(owner) >= most // 4:
            arriving.stop(NotTaken.NO_ROOM)
            self._run(Lane.PROGRAMS, conn, arriving)
        else:
            self.downloads.add(owner, (conn, arriving))
            self._start_downloads()

    def _start_downloads(self) -> None:
        while started := self.downloads.start_next():
            owner, (conn, arriving) = started
            self._run(Lane.DOWNLOADS, conn, arriving, partial(self._download_ended, owner))

    def _download_ended(self, owner: Hashable) -> None:
        self.downloads.end(owner)
        self._start_downloads()

    def _run(self, lane: Lane, conn: TConn, arriving: Arriving, then: Callable[[], None] = lambda: None) -> None:
        def ended(done: "Future[Any]") -> None:
            self.waiting.pop(conn, None)
            if done.cancelled():
                self._refuse_busy(conn, arriving)
            else:
                self.finish_request(conn, done)
            then()

        running = self.pools[lane].submit(self._serve, conn, arriving)
        if lane not in (Lane.PHONES, Lane.PROBES):
            self.waiting[conn] = (arriving, running)
        running.add_done_callback(lambda done: self.method_queue.defer(ended, done))

    def _serve(self, conn: TConn, arriving: Arriving) -> Any:
        """Runs in a thread: gunicorn's own handling, with the arrived bytes as body."""
        request = arriving.request
        request.body = arriving.body()
        if arriving.not_taken is not None or "TRANSFER-ENCODING" in dict(request.headers):
            request.force_close()
        try:
            return super().handle(conn)
        finally:
            arriving.close()
            request.body = io.BytesIO()
            conn.parser.unreader.unread(arriving.rest)

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        """Whether the connection stays open. Unlike gunicorn's own, it need not read the rest of the body first."""
        return bool(keepalive) and not conn.parser.parsed.should_close()

    def _answer_malformed(self, conn: TConn, arriving: Arriving, error: Exception) -> None:
        self.poller.unregister(conn.sock)
        del self.arriving[conn]
        arriving.close()

        def answer() -> bool:
            conn.sock.setblocking(True)
            if not isinstance(error, StopIteration):
                self.handle_error(None, conn.sock, conn.client, error)
            return False

        done = self.pools[Lane.PROBES].submit(answer)
        done.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    # Ends

    def finish_request(self, conn: TConn, done: "Future[Any]") -> None:
        """Keeps the connection open for the next request, or closes it without blocking."""
        if not done.cancelled() and done.exception() is None and done.result():
            super().finish_request(conn, done)
            return
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            # Read for a moment what the client still sends: a TCP reset would make it lose the answer.
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._linger, conn))
            self.lingering[conn] = time.monotonic() + LINGER_SECONDS
        except (OSError, ValueError, KeyError):
            self._close(conn)

    def _linger(self, conn: TConn, sock: socket.socket) -> None:
        with suppress(BlockingIOError):
            try:
                if sock.recv(RECEIVE_BYTES):
                    return
            except BlockingIOError:
                raise
            except OSError:  # reset, timed out, unreachable
                pass
            self._end_linger(conn)

    def _end_linger(self, conn: TConn) -> None:
        self.poller.unregister(conn.sock)
        del self.lingering[conn]
        self._close(conn)

    def _drop(self, conn: TConn, arriving: Arriving) -> None:
        self.poller.unregister(conn.sock)
        del self.arriving[conn]
        arriving.close()
        self._close(conn)

    def _close(self, conn: TConn) -> None:
        self.nr_conns -= 1
        close_socket(conn.sock)

    def murder_pending(self) -> None:
        """Starts delayed requests and closes slow connections. Gunicorn calls this at each turn of its loop.

        Also begins to end the process after `most_requests`, once no download is under way or waits.
        """
        now = time.monotonic()
        if self.nr >= self.most_requests and self.alive and self.downloads.is_idle:
            self.log.info("%s requests are served: another process takes the place of this one", self.nr)
            self.alive = False
        while self.delayed and self.delayed[0][0] <= now:
            _, _, conn, arriving = heappop(self.delayed)
            if self.waiting.pop(conn, None):
                self._hand_over(conn, arriving)
        if now - self.checked_at < CHECK_EVERY_SECONDS and self.alive:
            return
        self.checked_at = now
        for conn, arriving in list(self.arriving.items()):
            is_polled = conn.sock in self.poller.get_map()
            is_empty = arriving.request is None and not arriving.head
            if is_polled and (arriving.is_too_slow(now) or (is_empty and not self.alive)):
                self._drop(conn, arriving)
        for conn, end in list(self.lingering.items()):
            if now > end or not self.alive:
                self._end_linger(conn)

    def _make_room(self) -> None:
        """Closes the least important connection.

        In this order: silent, idle between requests, already answered, delayed, a body from an unchecked sender, a
        request of no phone that waits for a thread. Silent connections and unchecked bodies younger than YOUNG_SECONDS
        are closed only if there is nothing else, the oldest first.
        """
        young = time.monotonic() - YOUNG_SECONDS
        silent = [c for c, a in self.arriving.items() if a.request is None]
        unknown = [
            c
            for c, a in self.arriving.items()
            if a.request is not None and not a.is_sender_known and c.sock in self.poller.get_map()
        ]
        if silent and self.arriving[silent[0]].began_at < young:
            self._drop(silent[0], self.arriving[silent[0]])
        elif self.keepalived_conns:
            conn = self.keepalived_conns.popleft()
            self.poller.unregister(conn.sock)
            self._close(conn)
        elif self.lingering:
            self._end_linger(next(iter(self.lingering)))
        elif self._give_up_newest(only_delayed=True):
            pass
        elif unknown and self.arriving[unknown[0]].began_at < young:
            self._drop(unknown[0], self.arriving[unknown[0]])
        elif not self._give_up_newest() and (left := unknown or silent):
            self._drop(left[0], self.arriving[left[0]])

    def _give_up_newest(self, *, only_delayed: bool = False) -> bool:
        """Refuses the newest waiting request, since older ones are served sooner. Returns False if there was none."""
        for conn, (arriving, running) in reversed(self.waiting.items()):
            if running is None:
                del self.waiting[conn]  # `murder_pending` skips its entry in `delayed`
                self._refuse_busy(conn, arriving)
                return True
            if not only_delayed and running.cancel():  # `_run` refuses it
                del self.waiting[conn]
                return True
        return False

    def _refuse_busy(self, conn: TConn, arriving: Arriving) -> None:
        arriving.close()
        with suppress(OSError):
            conn.sock.send(BUSY)
        self._close(conn)

    def load_wsgi(self) -> None:
        """Loads the application and its body rules."""
        super().load_wsgi()
        self.rules = self.wsgi.extensions["beiwe_body_rules"]

    def handle_quit(self, sig: Any, frame: Any) -> None:
        """Stops immediately, without waiting for the threads of any lane."""
        for pool in self.pools.values():
            pool.shutdown(wait=False)
        super().handle_quit(sig, frame)
