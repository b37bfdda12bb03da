"""No 200 for an incomplete request, over real sockets through the real gunicorn (PHONE-18, CLAR-10)."""

import http.client
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask import Flask

from core.config import Settings
from core.database import db
from core.models import Heartbeat, Participant, ProblemUpload, PushToken, QueuedUpload, RefusedUpload
from ops.phones.encryption import encrypt_text, read_public_key
from ops.phones.platforms import Platform
from tests.support.broken_requests import BREAKING, RawRequest, Way, read_all, send, status_of
from tests.support.factories import Factory, phone_fields
from tests.support.gunicorn import gunicorn_on
from tests.support.paths import DEVICE_FILES
from tests.support.ports import wait_until
from tests.support.proxies import HAPROXY, NGINX, haproxy_before, nginx_before
from tests.webapp.serving.broken_uploads import activity_of, attempts_of, compared, run, upload_request

UPLOADS = int(os.environ.get("UPLOADS", "2000"))
SEED = int(os.environ.get("UPLOAD_SEED", "20"))
ROWS = {"small": 10, "looked at": 5_000, "spooled": 90_000}  # 1 KB, 0.5 MB and 9 MB


@pytest.fixture
def port(settings: Settings, app: Flask) -> Iterator[int]:
    with gunicorn_on(settings) as (port, _):
        yield port


@pytest.fixture
def participant(factory: Factory) -> Participant:
    return factory.participant(patient_id="abcd1234")


def encrypted(rows: int, platform: Platform) -> bytes:
    key = read_public_key((DEVICE_FILES / "test_client_public_key.txt").read_text().strip())
    return encrypt_text(["timestamp,accuracy,x,y,z", *(f"{n},unknown,1,2,3" for n in range(rows))], key, platform)


def rows_of(model: type) -> int:
    db.session.commit()
    return db.session.scalar(db.select(db.func.count()).select_from(model)) or 0


@pytest.mark.parametrize("platform", Platform)
@pytest.mark.parametrize("size", ROWS)
def test_an_upload_that_breaks_off_changes_nothing(
    port: int, factory: Factory, participant: Participant, platform: Platform, size: str
):
    """PHONE-18: in every way and at several places; nothing is stored, and the complete file is accepted later."""
    name = f"{participant.patient_id}_accel_1717236000000.csv"
    request = upload_request(participant, platform, name, encrypted(ROWS[size], platform))
    length = len(request.body)
    for way in BREAKING:
        for at in (0, 60, length // 2, length - 1):
            assert status_of(send(port, request, way, at)) in (None, 400), (way, at)
    assert activity_of(participant).last_upload_at is None
    assert [rows_of(model) for model in (QueuedUpload, ProblemUpload, RefusedUpload)] == [0, 0, 0]
    assert b"upload successful." in send(port, request, Way.PIECES, length // 2)
    (path,) = db.session.scalars(db.select(QueuedUpload.path))
    assert factory.store(participant.study).read(path)[0].count(b"\n") == ROWS[size]


def test_a_multipart_body_without_its_end_is_not_taken(port: int, participant: Participant):
    """PHONE-18: a body of the right length of which a proxy has cut the end."""
    name = f"{participant.patient_id}_accel_1717236000000.csv"
    for rows in ROWS.values():
        whole = upload_request(participant, Platform.IOS, name, encrypted(rows, Platform.IOS))
        cut = RawRequest(whole.path, whole.body[: len(whole.body) * 2 // 3], whole.content_type)
        assert status_of(send(port, cut)) in (400, 401)
    assert rows_of(QueuedUpload) == 0 and activity_of(participant).last_upload_at is None


@pytest.mark.parametrize("way", BREAKING)
def test_half_a_password_is_never_set(port: int, factory: Factory, participant: Participant, way: Way):
    """PHONE-18: on the other endpoints of phones too, cut inside the last field."""
    other = factory.participant(platform=None)
    bodies = {
        "/set_password": urlencode(phone_fields(participant, new_password="a long new password")),
        "/register_user": urlencode(phone_fields(other, phone_number="1", new_password="a long new password")),
        "/mobile-heartbeat": urlencode(phone_fields(participant, message="a message of some length")),
        "/set_fcm_token": urlencode(phone_fields(participant, fcm_token="a token of some length")),
        "/download_surveys": urlencode(phone_fields(participant, version_name="a version of some length")),
    }
    before = {p.patient_id: p.password_hash for p in (participant, other)}
    for path, body in bodies.items():
        for at in (len(body) - 6, len(body) - 1):
            assert status_of(send(port, RawRequest(path, body.encode()), way, at)) in (None, 400), path
    db.session.commit()
    for each in (participant, other):
        db.session.refresh(each)
        assert each.password_hash == before[each.patient_id]
        seen = activity_of(each)
        assert [seen.last_set_password_at, seen.last_heartbeat_at, seen.last_registered_at] == [None] * 3
        assert [seen.last_surveys_at, seen.last_version_name, seen.last_set_push_token_at] == [None] * 3
    assert [rows_of(Heartbeat), rows_of(PushToken)] == [0, 0]
    assert status_of(send(port, RawRequest("/set_password", bodies["/set_password"].encode()))) == 200


def test_a_sign_in_and_a_query_that_break_off_are_not_answered(port: int, factory: Factory):
    """PHONE-18: pages and programs alike."""
    key = factory.api_key(factory.researcher("ada", study=factory.study()))
    for path, fields in (
        ("/validate_login", {"username": "ada", "password": "Correct horse 1! and more"}),
        ("/get-studies/v1", key),
    ):
        body = urlencode(fields).encode()
        for way in BREAKING:
            assert status_of(send(port, RawRequest(path, body), way, len(body) - 1)) in (None, 400)
        assert status_of(send(port, RawRequest(path, body))) in (200, 302)


def test_bodies_without_a_length_are_refused(port: int, participant: Participant):
    """PHONE-18: chunked, and HTTP/1.0 without a length, at every endpoint."""
    name = f"{participant.patient_id}_accel_1717236000000.csv"
    body = upload_request(participant, Platform.ANDROID, name, encrypted(10, Platform.ANDROID)).body
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    for path in ("/upload", "/set_password", "/get-data/v1", "/validate_login"):
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        for more, sent in (
            ("Transfer-Encoding: chunked\r\n", chunked),
            ("Transfer-Encoding: chunked\r\n", chunked[: len(chunked) // 2]),
            (f"Transfer-Encoding: chunked\r\nContent-Length: {len(body)}\r\n", body),
        ):
            answer = _raw(port, f"{head}{more}Connection: close\r\n\r\n".encode() + sent)
            assert status_of(answer) in (400, 411), (path, more)
    endless = b"POST /upload HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n" + body
    assert status_of(_raw(port, endless)) == 403
    assert rows_of(QueuedUpload) == 0


def test_http_1_0_and_expect_are_answered_like_others(port: int, participant: Participant):
    """PHONE-7: with a length both are fine."""
    for number, (version, headers) in enumerate((("1.0", ()), ("1.1", ("Expect: 100-continue",)))):
        name = f"{participant.patient_id}_accel_171723600000{number}.csv"
        whole = upload_request(participant, Platform.ANDROID, name, encrypted(5_000, Platform.ANDROID))
        request = RawRequest(whole.path, whole.body, whole.content_type, headers, version)
        answer = send(port, request, Way.PIECES, 100)
        assert answer.startswith(b"HTTP/1.1 100 Continue") == bool(headers)
        assert answer.endswith(b"upload successful.")


def test_requests_that_follow_on_one_connection_are_each_their_own(port: int, participant: Participant):
    """PHONE-14: kept-alive connections, also where the next request comes before the answer."""
    names = [f"{participant.patient_id}_accel_171723600000{number}.csv" for number in range(4)]
    requests = [upload_request(participant, Platform.ANDROID, n, encrypted(10, Platform.ANDROID)) for n in names]
    wire = b"".join(r.head().replace(b"Connection: close\r\n", b"") + r.body for r in requests)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(wire)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).count(b"upload successful.") == len(names)
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for _ in range(3):
        client.request(
            "POST",
            "/mobile-heartbeat",
            urlencode(phone_fields(participant)),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
    client.close()


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE"])
def test_phones_use_post_and_nothing_else(port: int, method: str):
    """CLAR-10: 405; a GET is refused like a form without credentials (PHONE-6)."""
    for path in ("/upload", "/upload/ios/", "/register_user", "/mobile-heartbeat"):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        client.request(method, path)
        answer = client.getresponse()
        assert answer.status == 405 and "POST" in answer.headers["Allow"]
        client.close()


def test_uploads_over_connections_that_break_at_random(
    port: int, factory: Factory, participant: Participant, tmp_path: Path
):
    """PHONE-18: a sample of the long run below, directly."""
    attempts = attempts_of(participant, [port], 80, SEED)
    figures = compared(factory, participant, attempts, run(attempts))
    assert figures["acknowledged"] > 10 and figures["not stored"] > 10


@pytest.mark.skipif(not (HAPROXY and NGINX), reason="HAProxy and nginx are not installed")
def test_uploads_through_proxies_that_break_at_random(
    settings: Settings, app: Flask, factory: Factory, participant: Participant, tmp_path: Path
):
    """PHONE-18: a sample of the long run below, through HAProxy and nginx as ops/proxy sets them up."""
    _through_all(settings, factory, participant, tmp_path, 120)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_thousand_uploads_over_connections_that_break(
    settings: Settings,
    app: Flask,
    factory: Factory,
    participant: Participant,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    """PHONE-18: directly, through HAProxy and through nginx; every 200 is compared with the store."""
    figures = _through_all(settings, factory, participant, tmp_path, UPLOADS)
    with capsys.disabled():
        print(f"\n{UPLOADS} uploads, seed {SEED}: {dict(sorted(figures.items()))}")


def _through_all(
    settings: Settings, factory: Factory, participant: Participant, folder: Path, count: int
) -> dict[str, int]:
    for name in ("haproxy", "nginx"):
        (folder / name).mkdir()
    with (
        gunicorn_on(settings, TRUSTED_PROXY_HOPS="1", WEB_WORKERS="2") as (port, _),
        haproxy_before(port, folder / "haproxy") as haproxy,
        nginx_before(port, folder / "nginx") as nginx,
    ):
        attempts = attempts_of(participant, [port, haproxy, nginx], count, SEED)
        answers = run(attempts)
        # What a proxy has taken whole may reach the server after the client has gone.
        wait_until(lambda: _is_quiet(port))
        figures = compared(factory, participant, attempts, answers)
    assert figures["acknowledged"] > count // 10 and figures["not stored"] > count // 10
    return figures


def _is_quiet(port: int) -> bool:
    return status_of(_raw(port, b"GET /healthz HTTP/1.0\r\n\r\n")) == 200


def _raw(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        try:
            return read_all(connection)
        except OSError:
            return b""


def test_an_escape_in_a_path_changes_nothing(port: int, participant: Participant):
    """PHONE-2, OPS-4: length limit and threads are chosen by the decoded path, as in the application."""
    name = f"{participant.patient_id}_accel_1717236000000.csv"
    whole = upload_request(participant, Platform.IOS, name, encrypted(30_000, Platform.IOS))
    assert len(whole.body) > 1 << 20
    answer = send(port, RawRequest("/uplo%61d/ios/", whole.body, whole.content_type))
    assert answer.endswith(b"upload successful.")
