"""Downloads of the portal through the real gunicorn: they take no threads of pages, and people take turns (CLAR-73)."""

import io
import secrets
import socket
import zipfile
from contextlib import ExitStack
from urllib.parse import urlencode

import pytest
import requests
from flask import Flask

from core.config import Settings
from core.models import Participant
from tests.core.processing.test_batch import HEADER, process, queue
from tests.support.factories import RESEARCHER_PASSWORD, Factory
from tests.support.gunicorn import gunicorn_on
from tests.support.portal_visitor import TOKEN

SECONDS = 60


@pytest.fixture
def participant(factory: Factory) -> Participant:
    """With a chunk of about 20 MB, more than a connection holds."""
    participant = factory.participant()
    noise = b"\n".join(b"%d,3,%s,0,0" % (1_700_002_801_000 + n, secrets.token_hex(40).encode()) for n in range(200_000))
    queue(factory, participant, "accel/1700002800000.csv", HEADER + noise)
    assert not process().failures
    return participant


def signed_in(address: str, username: str) -> requests.Session:
    browser = requests.Session()
    fields = {"username": username, "password": RESEARCHER_PASSWORD}
    browser.post(f"{address}/validate_login", fields, timeout=SECONDS, allow_redirects=False)
    return browser


def form_of(browser: requests.Session, page: str) -> dict[str, str]:
    found = TOKEN.search(browser.get(page, timeout=SECONDS).text)
    assert found
    return {"csrf_token": found.group(1)}


def test_people_who_read_slowly_take_neither_pages_nor_others_downloads(
    app: Flask, settings: Settings, factory: Factory, participant: Participant
):
    """CLAR-9, CLAR-73, PORTAL-242: eight downloads of one session that nobody reads, from the address of all others."""
    for username in ("slow", "other"):
        factory.researcher(username, study=participant.study)
    with gunicorn_on(settings) as (port, _), ExitStack() as stack:
        address = f"http://127.0.0.1:{port}"
        slow, other = (signed_in(address, username) for username in ("slow", "other"))
        page = f"{address}/data_access_web_form/{participant.study_id}"
        body = urlencode(form_of(slow, page)).encode()
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in slow.cookies)
        for number in range(8):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(SECONDS)
            connection.connect(("127.0.0.1", port))
            connection.sendall(
                f"POST /data_access_web_form/{participant.study_id}/download HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                f"Cookie: {cookies}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            if number == 0:
                assert connection.recv(15) == b"HTTP/1.1 200 OK"
        assert slow.get(page, timeout=SECONDS).status_code == 200, "pages have threads of their own"
        answer = other.post(f"{page}/download", form_of(other, page), timeout=SECONDS)
        assert answer.headers["Content-Type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None and len(archive.namelist()) == 1
