"""Uploads while the web server's processes are replaced, as a deployment or a stop does it (PHONE-18)."""

import os
import signal
import socket
import threading
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import psutil
import pytest
from flask import Flask

from core.config import Settings
from core.database import db
from core.models import QueuedUpload
from ops.phones.platforms import Platform
from tests.core.processing.test_batch import process, queue
from tests.support.broken_requests import Way, read_all, send, status_of
from tests.support.factories import Factory
from tests.support.gunicorn import gunicorn_on
from tests.support.ports import wait_until
from tests.webapp.serving.broken_uploads import upload_request
from tests.webapp.serving.test_broken_requests import encrypted

SENDERS, RELOADS = 4, 4


def test_no_acknowledged_upload_is_lost_when_processes_are_replaced(
    settings: Settings, app: Flask, factory: Factory, tmp_path: Path
):
    """PHONE-18: SIGHUP and the end after a number of requests; each file with a 200 is stored, and they go on."""
    participant = factory.participant(patient_id="abcd1234")
    file = encrypted(3_000, Platform.IOS)
    acknowledged: set[str] = set()
    over = threading.Event()

    def send_uploads(port: int, number: int) -> None:
        count = 0
        while not over.is_set():
            name = f"{participant.patient_id}_accel_{1_700_000_000_000 + number * 1_000_000 + count}.csv"
            answer = send(port, upload_request(participant, Platform.IOS, name, file), Way.PIECES, 30_000, 0.02)
            if status_of(answer) == 200:
                acknowledged.add(name)
            count += 1

    few = "--max-requests=40 --max-requests-jitter=5"
    with gunicorn_on(settings, GUNICORN_CMD_ARGS=few, WEB_WORKERS="2") as (port, master):
        senders = [threading.Thread(target=send_uploads, args=(port, n)) for n in range(SENDERS)]
        for sender in senders:
            sender.start()
        try:
            for _ in range(RELOADS):
                before, old = len(acknowledged), {child.pid for child in master.children()}
                os.kill(master.pid, signal.SIGHUP)
                wait_until(lambda before=before, old=old: _replaced(master, old) and len(acknowledged) > before + 20)
        finally:
            over.set()
            for sender in senders:
                sender.join()
    db.session.commit()
    paths = set(db.session.scalars(db.select(QueuedUpload.path)))
    lost = {n for n in acknowledged if f"{participant.study.object_id}/{n.replace('_', '/')}" not in paths}
    assert not lost


def test_an_upload_that_is_being_sent_when_a_process_stops_is_taken(settings: Settings, app: Flask, factory: Factory):
    """PHONE-18: its connection was accepted, so the process ends only after the answer."""
    participant = factory.participant(patient_id="abcd1234")
    name = f"{participant.patient_id}_accel_1717236000000.csv"
    request = upload_request(participant, Platform.ANDROID, name, encrypted(3_000, Platform.ANDROID))
    with gunicorn_on(settings) as (port, master):
        (worker,) = master.children()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(request.head() + request.body[:1_000])
            wait_until(lambda: _is_connected(worker, port))
            os.kill(worker.pid, signal.SIGTERM)
            connection.sendall(request.body[1_000:])
            assert read_all(connection).endswith(b"upload successful.")


@pytest.fixture
def download(app: Flask, factory: Factory) -> bytes:
    """A request for 12 MB: more than fits into the buffers of a connection."""
    participant = factory.participant()
    queue(factory, participant, f"voiceRecording/{'b' * 24}/1700002800000.wav", os.urandom(12 << 20))
    assert not process().failures
    key = factory.api_key(factory.researcher(study=participant.study))
    body = urlencode({**key, "study_id": participant.study.object_id}).encode()
    lines = (
        "POST /get-data/v1 HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_a_download_is_sent_to_its_end_before_its_process_is_replaced(settings: Settings, download: bytes):
    """DATA-21: many other requests do not break it; afterwards another process serves."""
    few = "--max-requests=20 --max-requests-jitter=0"
    with gunicorn_on(settings, GUNICORN_CMD_ARGS=few) as (port, master):
        first = master.children()
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(download)
            answer = connection.recv(1_000)
            for _ in range(30):
                _answers(port)
            assert master.children() == first
            answer += read_all(connection)
        assert answer.endswith(b"\r\n0\r\n\r\n") and len(answer) > 12 << 20
        wait_until(lambda: first[0] not in master.children())
        _answers(port)


def test_a_process_that_has_to_end_does_not_wait_for_a_slow_reader(settings: Settings, download: bytes):
    """DATA-21: its download is broken, not ended as if it were whole, and another process serves at once."""
    with gunicorn_on(settings, GUNICORN_CMD_ARGS="--graceful-timeout=1") as (port, master):
        first = master.children()
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(download)
            answer = connection.recv(1_000)
            os.kill(first[0].pid, signal.SIGTERM)
            wait_until(lambda: first[0] not in master.children())
            _answers(port)
            answer += read_all(connection)
        assert not answer.endswith(b"\r\n0\r\n\r\n") and len(answer) < 12 << 20


def _answers(port: int) -> None:
    urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10).close()


def _replaced(master: psutil.Process, old: set[int]) -> bool:
    return not old & {child.pid for child in master.children()}


def _is_connected(worker: psutil.Process, port: int) -> bool:
    return any(c.laddr.port == port and c.status == "ESTABLISHED" for c in worker.net_connections("tcp"))
