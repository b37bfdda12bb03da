"""A server that gets many malformed requests: afterwards it keeps none of them, and answers good uploads (CLAR-9)."""

import os
import random
import socket
import struct
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from flask import Flask

from core.config import Settings
from core.models import Participant
from ops.phones.platforms import Platform
from tests.support.broken_requests import Way, send
from tests.support.factories import Factory
from tests.support.gunicorn import gunicorn_on
from tests.support.ports import wait_until
from tests.webapp.serving.broken_uploads import upload_request
from tests.webapp.serving.test_broken_requests import encrypted
from webapp.serving.worker import LastingQueue

SEED = int(os.environ.get("SOAK_SEED", "20261128"))
THROWERS = 24
MOST_CONNECTIONS = 40  # few, so that the server is crowded now and then
LEFT_DESCRIPTORS = 24  # of connections to the database, which stay
MOST_MB_MORE = 200
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


class Thrower:
    """Sends one broken thing after another to a port."""

    def __init__(self, port: int, participant: Participant, seed: int) -> None:
        self.port = port
        self.dice = random.Random(seed)
        name = f"{participant.patient_id}_accel_1600000000000.csv"
        files = [encrypted(rows, Platform.ANDROID) for rows in (3, 6_000)]
        self.uploads = [upload_request(participant, Platform.ANDROID, name, file) for file in files]

    def wire(self) -> bytes:
        """Bytes that begin like requests, or like nothing."""
        dice = self.dice
        upload = dice.choice(self.uploads)
        whole = upload.head().replace(b"Connection: close\r\n", b"") + upload.body
        healthz = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        length = dice.choice(("0", "9" * 30, "9" * 5_000, "-1", "+5", "5, 5", "1_0", "200000", "999999999", "\xb2"))
        path = dice.choice(("/upload", "/get-data/v1", "/validate_login", "/nothing", "//upload/ios/"))
        return dice.choice(
            (
                dice.randbytes(dice.randrange(1, 3_000)),
                dice.randbytes(200) + b"\r\n\r\n",
                b"\r\n" * dice.randrange(1, 4) + healthz,
                healthz * dice.randrange(1, 9),
                whole,
                whole * 2 + healthz,
                healthz + whole[: dice.randrange(len(whole))],
                b"POST /upload HTTP/1.1\r\nX: " + b"x" * dice.choice((100, 9_000, 70_000)),
                f"POST {path} HTTP/1.1\r\nHost: x\r\n{FORM}Content-Length: {length}\r\n\r\n".encode("latin-1")
                + dice.randbytes(dice.choice((10, 140_000, 300_000))),
                f"POST {path} HTTP/1.1\r\nExpect: 100-continue\r\n{FORM}Content-Length: 300000\r\n\r\n".encode()
                + b"patient_id=a&" * dice.choice((1, 20_000)),
                f"POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc".encode() + healthz,
                f"GET {path}?a=%00&b=%ff HTTP/1.1\r\nHost: \xff\r\nCookie: a=b\r\n\r\n".encode("latin-1"),
            )
        )

    def throw(self) -> None:
        """One connection, with an end of any kind."""
        dice, data = self.dice, self.wire()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            cut = dice.randrange(len(data) + 1) if dice.random() < 0.5 else len(data)
            connection.sendall(data[: cut // 2])
            time.sleep(dice.choice((0, 0, 0.01, 0.2)))
            connection.sendall(data[cut // 2 : cut])
            end = dice.randrange(4)
            if end == 0:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif end == 1:
                connection.shutdown(socket.SHUT_WR)
            if end:
                connection.settimeout(dice.choice((0.05, 0.5)))
                while connection.recv(1 << 16):
                    pass


@pytest.mark.parametrize("seconds", [8, pytest.param(90, marks=[pytest.mark.long, pytest.mark.timeout(300)])])
def test_nothing_is_left_of_garbage(
    settings: Settings, app: Flask, factory: Factory, capfd: pytest.CaptureFixture[str], seconds: int
):
    """CLAR-9, PHONE-18: connections that end in each state, some of them closed by the server to make room."""
    participant = factory.participant(patient_id="abcd1234")
    crowd = f"--worker-connections={MOST_CONNECTIONS}"
    with gunicorn_on(settings, GUNICORN_CMD_ARGS=crowd, WEB_THREADS="4") as (port, master):
        (worker,) = master.children()
        before = worker.num_fds(), worker.memory_info().rss
        end = time.monotonic() + seconds

        def run(number: int) -> None:
            thrower = Thrower(port, participant, SEED + number)
            while time.monotonic() < end:
                thrower.throw()

        threads = [threading.Thread(target=run, args=(number,)) for number in range(THROWERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        name = f"{participant.patient_id}_accel_1717236000000.csv"
        good = upload_request(participant, Platform.ANDROID, name, encrypted(3_000, Platform.ANDROID))
        wait_until(lambda: send(port, good, Way.PIECES, 100).endswith(b"upload successful."))
        wait_until(lambda: _sockets_of_clients(worker, port) == 0)
        assert [child.pid for child in master.children()] == [worker.pid], "the process was started anew"
        assert worker.num_fds() <= before[0] + LEFT_DESCRIPTORS
        assert worker.memory_info().rss <= before[1] + (MOST_MB_MORE << 20)
    said = "".join(capfd.readouterr())
    assert "Traceback" not in said, said[-4_000:]


def _sockets_of_clients(worker: psutil.Process, port: int) -> int:
    return sum(1 for c in worker.net_connections("tcp") if c.laddr.port == port and c.status != psutil.CONN_LISTEN)


def test_a_head_without_an_end_is_told_so(settings: Settings, app: Flask, capfd: pytest.CaptureFixture[str]):
    """OPS-4: 431, and no trace of a defect in the log."""
    with gunicorn_on(settings) as (port, _), socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 12_000)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 431 ")
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_late_end_of_a_thread_writes_into_nothing_else(tmp_path: Path):
    """PHONE-18: an upload runs while its process stops; a file that got the pipe's descriptor stays intact."""
    queue = LastingQueue()
    queue.init()
    queue.close()
    with ExitStack() as stack:
        files = [stack.enter_context((tmp_path / str(number)).open("wb")) for number in range(4)]
        queue.defer(lambda: None)
        assert all(file.seek(0, os.SEEK_END) == 0 for file in files)
