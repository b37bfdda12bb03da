"""A line to a server that breaks: a TCP proxy on loopback that cuts connections, falls silent, or changes a byte."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PIECE_BYTES = 1 << 14


@dataclass
class BrokenLine:
    """The proxy's port, and what it does to answers.

    `cut_after` bytes of answers each connection is closed, `silent_after` bytes it only stays open; None: never.
    `change_at`: this byte of the next answer that is so long is another one, once.
    """

    target: int
    cut_after: int | None = None
    silent_after: int | None = None
    change_at: int | None = None
    cuts: int = 0
    port: int = field(init=False, default=0)
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_silent: threading.Event = field(default_factory=threading.Event)
    has_ended: threading.Event = field(default_factory=threading.Event)

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        sent = 0
        with suppress(OSError), server, client:
            while piece := server.recv(PIECE_BYTES):
                changed = bytearray(piece)
                with self.lock:
                    if self.change_at is not None and sent <= self.change_at < sent + len(piece):
                        changed[self.change_at - sent] ^= 1
                        self.change_at = None
                if self.silent_after is not None and sent + len(piece) > self.silent_after:
                    client.sendall(changed[: self.silent_after - sent])
                    self.is_silent.set()
                    self.has_ended.wait()
                    return
                if self.cut_after is not None and sent + len(piece) > self.cut_after:
                    client.sendall(changed[: self.cut_after - sent])
                    client.shutdown(socket.SHUT_RDWR)  # closing alone tells the peer nothing while another thread reads
                    with self.lock:
                        self.cuts += 1
                    return
                client.sendall(changed)
                sent += len(piece)

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                threading.Thread(target=_forward, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answers, args=(server, client), daemon=True).start()


@contextmanager
def broken_line(target: int, **options: int) -> Iterator[BrokenLine]:
    """A proxy to this port for the block."""
    line = BrokenLine(target, **options)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line.port = listener.getsockname()[1]
        threading.Thread(target=line._serve, args=(listener,), daemon=True).start()
        yield line
        line.has_ended.set()
        listener.shutdown(socket.SHUT_RDWR)


def _forward(client: socket.socket, server: socket.socket) -> None:
    with suppress(OSError):
        while piece := client.recv(PIECE_BYTES):
            server.sendall(piece)
        server.shutdown(socket.SHUT_WR)
