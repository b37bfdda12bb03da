"""Uploads are answered whatever other clients do, through the real gunicorn (CLAR-9, CLAR-11, CLAR-73, OPS-4)."""

import http.client
import json
import os
import secrets
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

import psutil
import pytest
from flask import Flask

from core.config import Settings
from core.database import db
from core.models import Participant, QueuedUpload
from ops.phones.platforms import Platform
from tests.core.processing.test_batch import HEADER, process, queue
from tests.support.broken_requests import RawRequest, Way, read_all, send, status_of
from tests.support.factories import Factory, phone_fields
from tests.support.gunicorn import gunicorn_on
from tests.support.ports import wait_until
from tests.webapp.serving.broken_uploads import upload_request
from tests.webapp.serving.test_broken_requests import encrypted
from webapp.serving.body_rules import WRONG_WITHOUT_DELAY

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MB = 1 << 20


@pytest.fixture
def server(settings: Settings, app: Flask) -> Iterator[tuple[int, psutil.Process]]:
    with gunicorn_on(settings) as running:
        yield running


@pytest.fixture
def port(server: tuple[int, psutil.Process]) -> int:
    return server[0]


@pytest.fixture
def participant(factory: Factory) -> Participant:
    return factory.participant(patient_id="abcd1234")


def upload(port: int, participant: Participant, number: int) -> bytes:
    name = f"{participant.patient_id}_accel_{1_717_236_000_000 + number}.csv"
    return send(port, upload_request(participant, Platform.ANDROID, name, encrypted(10, Platform.ANDROID)))


def ask(port: int, path: str, fields: dict[str, str], **headers: str) -> tuple[int, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    client.request("POST", path, urlencode(fields), FORM | headers)
    answer = client.getresponse()
    body = answer.read()
    client.close()
    return answer.status, body


def connected(stack: ExitStack, port: int, sent: bytes) -> socket.socket:
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
    connection.sendall(sent)
    return connection


def test_silent_connections_keep_nobody_waiting(port: int, participant: Participant):
    """Report row 23: nothing, one byte, heads and bodies that do not end; more of each than there are threads."""
    half = upload_request(participant, Platform.ANDROID, "abcd1234_accel_1.csv", b"x" * 4_000)
    openings = (b"", b"P", b"POST /upload HTTP/1.1\r\nHost: x\r\n", half.head() + half.body[:3_000])
    with ExitStack() as stack:
        for opening in openings:
            for _ in range(40):
                connected(stack, port, opening)
        for number in range(20):
            assert b"upload successful." in upload(port, participant, number)
        assert status_of(send(port, RawRequest("/healthz", b""))) == 405
    db.session.commit()
    assert db.session.scalar(db.select(db.func.count()).select_from(QueuedUpload)) == 20


def test_a_crowd_of_silent_connections_gives_way(settings: Settings, app: Flask, participant: Participant):
    """Report row 23: at the most that a process holds, those that have waited longest are closed."""
    with gunicorn_on(settings, GUNICORN_CMD_ARGS="--worker-connections 100") as (port, _), ExitStack() as stack:
        for _ in range(300):
            connected(stack, port, b"POST /upl")
        for number in range(5):
            assert b"upload successful." in upload(port, participant, number)


def test_heads_without_an_end_are_refused(port: int):
    """Report row 23."""
    for filling in (b"X-Long: " + b"x" * 100_000, b"X: y\r\n" * 20_000):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            try:
                connection.sendall(b"POST /upload HTTP/1.1\r\n" + filling + b"\r\n\r\n")
                answer = read_all(connection)
            except OSError:
                answer = b""
            assert status_of(answer) in (None, 400, 431)
    assert status_of(send(port, RawRequest("/upload", b""))) == 403


@contextmanager
def stopped_readers(port: int, fields: dict[str, str], count: int) -> Iterator[list[socket.socket]]:
    """Clients that ask for data and read no further than the first bytes."""
    request = RawRequest("/get-data/v1", urlencode(fields).encode())
    with ExitStack() as stack:
        readers = []
        for _ in range(count):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", port))
            stack.enter_context(connection)
            connection.sendall(request.head() + request.body)
            readers.append(connection)
        yield readers


def test_readers_that_stop_take_neither_uploads_nor_others_downloads(
    port: int, factory: Factory, participant: Participant
):
    """CLAR-73, report row 24: downloads have threads of their own, and no key gets all of them."""
    noise = b"\n".join(b"%d,3,%s,0,0" % (1_700_002_801_000 + n, secrets.token_hex(40).encode()) for n in range(200_000))
    queue(factory, participant, "accel/1700002800000.csv", HEADER + noise)
    assert not process().failures
    study = participant.study
    mine, other = (factory.api_key(factory.researcher(study=study)) | {"study_id": study.object_id} for _ in range(2))
    with stopped_readers(port, mine, 16) as readers:
        readers[0].settimeout(20)
        assert readers[0].recv(15) == b"HTTP/1.1 200 OK"
        for number in range(10):
            assert b"upload successful." in upload(port, participant, number)
        assert ask(port, "/get-studies/v1", mine)[0] == 200
        status, archive = ask(port, "/get-data/v1", other)
        assert status == 200 and len(archive) > 20 * MB
    assert ask(port, "/get-data/v1", mine)[0] == 200


@pytest.mark.long
def test_guessed_keys_wait_and_right_ones_do_not(port: int, factory: Factory, participant: Participant):
    """CLAR-11, report row 25: beyond some wrong tries an address waits; a right key is answered, new ones too."""
    key, fresh = (factory.api_key(factory.researcher(study=participant.study)) for _ in range(2))
    assert ask(port, "/get-studies/v1", key)[0] == 200
    heard: list[int] = []

    def guess(number: int) -> None:
        wrong = key | {"secret_key": secrets.token_hex(32)} if number % 2 else {k: secrets.token_hex(32) for k in key}
        heard.append(ask(port, "/get-studies/v1", wrong)[0])

    for number in range(WRONG_WITHOUT_DELAY):
        guess(number)
    crowd = [threading.Thread(target=guess, args=(number,)) for number in range(12)]
    for thread in crowd:
        thread.start()
    for number in range(5):
        assert b"upload successful." in upload(port, participant, number)
        assert ask(port, "/get-studies/v1", key)[0] == 200
    assert ask(port, "/get-studies/v1", fresh)[0] == 200
    for thread in crowd:
        thread.join(60)
    assert len(heard) == WRONG_WITHOUT_DELAY + 12 and set(heard) <= {403, 429}


def test_the_process_answers_while_the_database_hangs(settings: Settings, app: Flask, participant: Participant):
    """OPS-31, report row 35: phones get 503 in time, and `/healthz` answers meanwhile."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:  # takes connections and says nothing
        address = f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/x"
        with gunicorn_on(settings, DATABASE_URL=address) as (port, _):
            answers: list[bytes] = []
            phones = [
                threading.Thread(target=lambda n=n: answers.append(upload(port, participant, n))) for n in range(20)
            ]
            for phone in phones:
                phone.start()
            for _ in range(10):
                client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                client.request("GET", "/healthz")
                assert client.getresponse().status == 200
                client.close()
            for phone in phones:
                phone.join(60)
            assert {status_of(answer) for answer in answers} <= {503, None} and b"503" in b"".join(answers)


def peak_mb(master: psutil.Process) -> float:
    """The most memory that a worker has had."""
    lines = (Path(f"/proc/{child.pid}/status").read_text().splitlines() for child in master.children())
    return max(float(line.split()[1]) / 1024 for status in lines for line in status if line.startswith("VmHWM"))


@pytest.mark.parametrize("filling", [b"a=%41%41%41%41&", b"a=&", b"%41" * 5], ids=["escapes", "fields", "one name"])
def test_large_forms_of_strangers_cost_nothing(server: tuple[int, psutil.Process], filling: bytes):
    """OPS-4, report row 22: 413 where nothing large is expected, and no key, no body where it is."""
    port, master = server
    before = peak_mb(master)
    body = filling * (48 * MB // len(filling))
    for path in ("/check-my-credentials/v1", "/get-data/v1", "/validate_login", "/set_password", "/upload"):
        assert status_of(send(port, RawRequest(path, body), Way.WHOLE)) in (None, 400, 403, 413)
    assert peak_mb(master) - before < 40


def test_an_encoded_file_costs_a_few_times_its_size(server: tuple[int, psutil.Process], participant: Participant):
    """PHONE-7, report row 22: from a known phone, 16 MiB of escapes."""
    port, master = server
    before = peak_mb(master)
    fields = urlencode(phone_fields(participant, file_name="abcd1234_accel_1717236000000.csv"))
    body = fields.encode() + b"&file=" + b"%41" * (16 * MB // 3)
    assert status_of(send(port, RawRequest("/upload", body))) in (200, 503)
    assert peak_mb(master) - before < 6 * 16


def test_a_large_registry_of_a_right_key_is_taken(server: tuple[int, psutil.Process], factory: Factory):
    """DATA-24, OPS-4: the key stands in front; memory stays within a few times the body."""
    port, master = server
    study = factory.study()
    key = factory.api_key(factory.researcher(study=study)) | {"study_id": study.object_id}
    registry = json.dumps({f"CHUNKED_DATA/x/{n}.csv": "a" * 24 for n in range(300_000)})
    before = peak_mb(master)
    assert ask(port, "/get-data/v1", key | {"registry": registry})[0] == 200
    assert peak_mb(master) - before < 15 * len(registry) / MB
    wrong = key | {"secret_key": "A" * 64, "registry": registry}
    assert status_of(send(port, RawRequest("/get-data/v1", urlencode(wrong).encode()))) in (403, None)


def test_no_header_moves_the_application(port: int):
    """Report row 34, CLAR-4: headers that only our proxy may set are ignored from clients."""
    for name in ("SCRIPT_NAME", "X-Forwarded-Prefix", "X-Forwarded-Host"):
        answer = send(port, RawRequest("/logout", b"", headers=(f"{name}: //evil.example",)))
        assert status_of(answer) in (302, 403) and b"evil.example" not in answer


@pytest.mark.long
def test_a_store_that_takes_nothing_is_not_ready(settings: Settings, app: Flask, tmp_path: Path):
    """OPS-32, report row 31."""
    drafts = settings.var_dir / "objects" / ".drafts"
    with gunicorn_on(settings) as (port, _):
        assert ready(port)[0] == 200
        with read_only(drafts):
            wait_until(lambda: ready(port)[0] == 503)
            assert "nothing can be written" in ready(port)[1]["store"]
        wait_until(lambda: ready(port)[0] == 200)


def ready(port: int) -> tuple[int, dict[str, str]]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("GET", "/readyz")
    answer = client.getresponse()
    report: dict[str, str] = json.loads(answer.read())
    client.close()
    return answer.status, report


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be written there: root writes past permissions, so it gets a read-only mount."""
    if os.geteuid() == 0:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", str(folder)], check=True)
    else:
        folder.chmod(0o500)
    try:
        yield
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", str(folder)], check=True)
        else:
            folder.chmod(0o700)


@pytest.mark.parametrize(
    "path", ["/get-data/v1", *(pytest.param(p, marks=pytest.mark.long) for p in ("/validate_login", "/get-studies/v1"))]
)
def test_whole_requests_of_others_do_not_take_all_connections(
    settings: Settings, app: Flask, participant: Participant, path: str
):
    """CLAR-9: more requests with wrong credentials than a process may have connections; phones still connect."""
    fields = {"study_id": "a" * 24, "username": "ada", "password": "guessed"}
    over, heard = threading.Event(), Counter[int]()

    def guess(_: int) -> None:
        while not over.is_set():
            key = {"access_key": secrets.token_hex(32), "secret_key": secrets.token_hex(32)}
            with suppress(OSError, http.client.HTTPException):
                heard[ask(port, path, fields | key)[0]] += 1

    with gunicorn_on(settings, GUNICORN_CMD_ARGS="--worker-connections=60", WEB_THREADS="4") as (port, _):
        threads = [threading.Thread(target=guess, args=(number,)) for number in range(120)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: heard[503])
            for number in range(10):
                assert upload(port, participant, number).endswith(b"upload successful.")
        finally:
            over.set()
            for thread in threads:
                thread.join()


@pytest.mark.parametrize("length", [MB, 3 * MB])
def test_bodies_of_strangers_do_not_fill_the_memory(server: tuple[int, psutil.Process], length: int):
    """OPS-4: many at once, nearly as long as what is read of anybody's; allowed ones and such that are too long."""
    port, master = server
    (worker,) = master.children()
    head = b"POST /validate_login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    before = worker.memory_info().rss
    with ExitStack() as stack:
        request = head + f"Content-Length: {length}\r\n\r\n".encode() + b"x" * (MB - 100)
        held = [connected(stack, port, request) for _ in range(300)]
        wait_until(lambda: _is_read(worker, port))
        assert worker.memory_info().rss - before < 150 * MB
        assert len(held) == 300


def _is_read(worker: psutil.Process, port: int) -> bool:
    """Whether no received bytes wait to be read at a port."""
    local = f":{port:04X}"
    lines = [line.split() for line in Path(f"/proc/{worker.pid}/net/tcp").read_text().splitlines()[1:]]
    return all(line[4].endswith(":00000000") for line in lines if line[1].endswith(local) and line[3] == "01")
