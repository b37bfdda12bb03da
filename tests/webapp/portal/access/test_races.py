"""Requests that arrive at the same moment, at the real gunicorn: one proof opens once (PORTAL-51, PORTAL-54)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from flask import Flask

from core.accounts.second_factor import begin_totp, confirm_totp, renew_recovery_codes
from core.audit import SERVER
from core.crypto.passwords import PARTICIPANT_SCHEME, hash_password
from core.database import db
from core.models import PortalSession, Researcher, SignInFailures
from tests.support.factories import RESEARCHER_PASSWORD, Factory
from tests.support.gunicorn import gunicorn
from tests.webapp.portal.access.test_guessing import Browser

AT_ONCE = 8


@pytest.fixture
def server(app: Flask) -> Iterator[str]:
    with gunicorn(WEB_WORKERS="2") as address:
        yield address


@pytest.fixture
def researcher(factory: Factory) -> Researcher:
    """Somebody with an app, set up an hour ago; the password is hashed quickly, so that requests really meet."""
    person = factory.researcher("mlopez", study=factory.study())
    then = datetime.now(UTC) - timedelta(hours=1)
    secret = begin_totp(person, then)
    assert confirm_totp(db.session(), person, pyotp.TOTP(secret).at(then), then, actor=SERVER)
    person.password_hash = hash_password(RESEARCHER_PASSWORD, PARTICIPANT_SCHEME)
    db.session.commit()
    return person


def successes(server: str, code: str) -> int:
    """How many of several browsers that send the same code at once are signed in."""

    def sign_in(number: int) -> bool:
        fields = {"username": "mlopez", "password": RESEARCHER_PASSWORD, "mfa_code": code}
        browser = Browser(server, f"127.0.0.{number + 2}")
        return browser.ask("POST", "/validate_login", fields).headers["Location"] == "/choose_study"

    with ThreadPoolExecutor(AT_ONCE) as browsers:
        return sum(browsers.map(sign_in, range(AT_ONCE)))


def test_one_code_of_the_app_opens_once_however_many_send_it(server: str, researcher: Researcher):
    """PORTAL-51."""
    for step in (0, 1):
        code = pyotp.TOTP(researcher.totp_secret).at(datetime.now(UTC) + timedelta(seconds=30 * step))
        assert successes(server, code) == 1
    assert len(db.session.scalars(db.select(PortalSession)).all()) == 2


def test_one_recovery_code_opens_once_however_many_send_it(server: str, researcher: Researcher):
    """PORTAL-54."""
    codes = renew_recovery_codes(db.session(), researcher, actor=SERVER)
    db.session.commit()
    assert [successes(server, code) for code in codes[:2]] == [1, 1]


def test_guesses_at_once_are_all_counted(server: str, researcher: Researcher):
    """PORTAL-22: requests beside each other do not get around the lock by much."""

    def guess(number: int) -> str:
        fields = {"username": "mlopez", "password": f"wrong {number}"}
        return Browser(server, "127.0.0.9").ask("POST", "/validate_login", fields).headers["Location"]

    with ThreadPoolExecutor(20) as guesses:
        assert set(guesses.map(guess, range(40))) == {"/"}
    rows = db.session.scalars(db.select(SignInFailures)).all()
    assert len(rows) == 1 and rows[0].locked_until is not None
    assert rows[0].untold <= 10 + 8, "at most those that were on the way when the tenth failed"
