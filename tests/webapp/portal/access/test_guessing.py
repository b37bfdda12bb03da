"""Guessing passwords, and copies of cookies, at the real gunicorn over sockets, from several addresses."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie

import pytest
import urllib3
from flask import Flask

from core.accounts.failed_sign_ins import LOCK, address_source, delay_after, is_locked, note_failure
from core.crypto.passwords import PARTICIPANT_SCHEME, hash_password
from core.database import db
from core.models import Researcher, SignInFailures
from tests.support.factories import RESEARCHER_PASSWORD, Factory
from tests.support.gunicorn import gunicorn

HOME = "127.0.0.1"


class Browser:
    """An HTTP client with cookies and an address of its own."""

    def __init__(self, server: str, address: str = HOME) -> None:
        port = int(server.rpartition(":")[2])
        self.pool = urllib3.HTTPConnectionPool("127.0.0.1", port, source_address=(address, 0), retries=False)
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, fields: dict[str, str] | None = None) -> urllib3.BaseHTTPResponse:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        headers["Accept"] = "text/html"
        more = {"fields": fields or {}, "encode_multipart": False} if method == "POST" else {}
        answer = self.pool.request(method, path, headers=headers, redirect=False, **more)
        for line in answer.headers.getlist("Set-Cookie"):
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        return answer

    def sign_in(self, username: str, password: str = RESEARCHER_PASSWORD) -> bool:
        """Whether it led into the portal."""
        answer = self.ask("POST", "/validate_login", {"username": username, "password": password})
        assert answer.status == 302
        return answer.headers["Location"] == "/choose_study"

    def guess(self, username: str, times: int) -> None:
        for n in range(times):
            assert not self.sign_in(username, f"wrong {n}")

    @property
    def is_signed_in(self) -> bool:
        return self.ask("GET", "/manage_credentials").status == 200


@pytest.fixture
def server(app: Flask) -> Iterator[str]:
    with gunicorn(WEB_WORKERS="2") as address:
        yield address


@pytest.fixture
def researcher(factory: Factory) -> Researcher:
    """An account whose password is hashed quickly, as everything here is about how often it is tried."""
    researcher = factory.researcher("mlopez", study=factory.study())
    researcher.password_hash = hash_password(RESEARCHER_PASSWORD, PARTICIPANT_SCHEME)
    db.session.commit()
    return researcher


@pytest.mark.long
def test_five_addresses_that_guess_one_name_keep_nobody_out(server: str, researcher: Researcher):
    """PORTAL-22, PORTAL-23, CLAR-11: each locks itself; the right person signs in, and is told how many failed."""
    for n in range(2, 7):
        stranger = Browser(server, f"127.0.0.{n}")
        stranger.guess("mlopez", 11)
        assert not stranger.sign_in("mlopez")  # locked there: the right password is not even compared
    right = Browser(server)
    assert right.sign_in("mlopez")
    assert "50 attempts to sign in with your name failed" in right.ask("GET", "/manage_credentials").data.decode()


def test_sixty_wrong_tries_from_one_address_keep_nobody_out_behind_it(server: str, researcher: Researcher):
    """PORTAL-23, CLAR-11: a clinic shares an address; a browser that is known there is not even locked by its name."""
    mine = Browser(server)
    assert mine.sign_in("mlopez")
    for n in range(6):
        Browser(server).guess(f"somebody{n}", 9)
    assert Browser(server).sign_in("mlopez")
    Browser(server).guess("mlopez", 60)
    assert mine.is_signed_in
    assert mine.sign_in("mlopez")


def test_names_that_no_account_has_are_locked_alike(server: str, researcher: Researcher):
    """PORTAL-23: no answer reveals whether a name exists."""
    pages = []
    for name in ("mlopez", "nobody"):
        stranger = Browser(server, "127.0.0.9")
        stranger.guess(name, 11)
        pages.append(stranger.ask("GET", "/").data.decode())
    assert all("Too many attempts failed for this name from here" in page for page in pages)


def test_a_copy_of_a_cookie_ends_with_its_session(server: str, researcher: Researcher):
    """PORTAL-27, PORTAL-29: signing out, a new sign-in, and a new password end it on the server."""
    one, copy = Browser(server), Browser(server, "127.0.0.2")
    assert one.sign_in("mlopez")
    copy.cookies = dict(one.cookies)
    assert copy.is_signed_in
    token = one.ask("GET", "/manage_credentials").data.decode().partition('name="csrf_token" value="')[2].split('"')[0]
    assert one.ask("POST", "/logout", {"csrf_token": token}).status == 302
    assert not copy.is_signed_in
    assert one.sign_in("mlopez")
    copy.cookies = dict(one.cookies)
    assert one.sign_in("mlopez")
    assert one.is_signed_in
    assert not copy.is_signed_in
    researcher.set_password("Another 1! password", must_change=False)
    db.session.commit()
    assert not one.is_signed_in


def test_the_tenth_failure_in_a_row_locks_for_ten_minutes(app: Flask):
    """PORTAL-22: failures during the lock are not compared; the first one afterwards counts as one."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for n in range(10):
        assert not is_locked(db.session(), "mlopez", "address:a", now), n
        note_failure(db.session(), "mlopez", "address:a", now)
    assert is_locked(db.session(), "mlopez", "address:a", now + LOCK - timedelta(seconds=1))
    assert not is_locked(db.session(), "mlopez", "address:b", now)
    later = now + LOCK
    assert not is_locked(db.session(), "mlopez", "address:a", later)
    note_failure(db.session(), "mlopez", "address:a", later)
    assert not is_locked(db.session(), "mlopez", "address:a", later)
    assert db.session.scalar(db.select(SignInFailures.in_a_row)) == 1


def test_those_who_fail_wait_longer_each_time_and_not_for_long(app: Flask):
    """PORTAL-23."""
    assert [delay_after(n) for n in (0, 10)] == [0, 0]
    assert 0 < delay_after(11) < delay_after(20) < delay_after(10_000) <= 2


def test_all_addresses_of_one_ipv6_network_are_one_source():
    """PORTAL-22: a customer has 2^64 addresses, which would be as many locks to wait out."""
    one = address_source("2001:db8:0:1::1")
    assert one == address_source("2001:db8:0:1:ffff::2") == "address:2001:db8:0:1::/64"
    assert address_source("2001:db8:0:2::1") != one
    assert address_source("::ffff:198.51.100.7") == address_source("198.51.100.7") == "address:198.51.100.7"
    assert address_source("198.51.100.8") != address_source("198.51.100.7")
    assert address_source("::1") == "address:::/64" and address_source(None) == "address:none"
