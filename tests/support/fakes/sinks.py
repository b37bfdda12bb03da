"""A mail server and a web address on loopback that take what the server sends, or refuse, or are slow."""

import socketserver
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.ports import free_port


@dataclass
class MailSink:
    """Keeps what it took. `answer` is what it says to the next mails, in place of taking them."""

    port: int
    mails: list[Message] = field(default_factory=list)
    answer: str | None = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd for each mail."""
        if self.answer:
            return self.answer
        self.mails.append(message_from_bytes(bytes(envelope.content or b""), policy=default))
        return "250 taken"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Refuses one address, as a mail server does for people it does not know."""
        if address.startswith("nobody@"):
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 ok"


@contextmanager
def running_mail_sink() -> Iterator[MailSink]:
    """Runs it in a thread."""
    sink = MailSink(free_port())
    controller = Controller(sink, hostname="127.0.0.1", port=sink.port)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()


@dataclass
class WebhookSink:
    """Keeps headers and bodies of what was posted. `answers` are the next statuses, then 200; `seconds` it waits."""

    port: int
    posted: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?who=a-secret"


@contextmanager
def running_webhook_sink() -> Iterator[WebhookSink]:
    """Runs it in a thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            time.sleep(sink.seconds)
            sink.posted.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status = sink.answers.pop(0) if sink.answers else 200
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"http://127.0.0.1:{sink.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sink = WebhookSink(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def running_dribble(first: bytes, answers: Sequence[bytes] = (), pause: float = 0.05) -> Iterator[int]:
    """A server at a port that answers `first`, and each line it reads by the next of `answers`, one byte at a time.

    When there are no more answers it sends a space now and then, for ever, so that no wait of the other side ends.
    """
    is_over = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self._dribble(first)
                for answer in answers:
                    self.rfile.readline()
                    self._dribble(answer)
                while not is_over.is_set():
                    self._dribble(b" ")

        def _dribble(self, text: bytes) -> None:
            for at in range(len(text)):
                self.wfile.write(text[at : at + 1])
                is_over.wait(pause)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        is_over.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
