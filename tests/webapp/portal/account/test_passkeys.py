"""Passkeys in the portal, with a device of our own in place of the browser's (PORTAL-50, PORTAL-54)."""

import pytest
from flask import Flask

from core.database import db
from core.models import AuditRecord, Passkey, Researcher
from tests.support.authenticator import Authenticator
from tests.support.factories import RESEARCHER_PASSWORD, Factory
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def researcher(factory: Factory) -> Researcher:
    return factory.researcher("mlopez", study=factory.study())


@pytest.fixture
def visitor(app: Flask, researcher: Researcher) -> Visitor:
    return Visitor(app, researcher)


def options(visitor: Visitor, **fields: str) -> str:
    """The challenge of options for a new passkey."""
    answer = visitor.post("/passkey_options", name="laptop", password=RESEARCHER_PASSWORD, **fields)
    assert answer.status_code == 200, answer.text
    challenge: str = answer.json["challenge"]
    return challenge


def challenge_of(visitor: Visitor) -> str:
    """The challenge to prove a passkey."""
    has_token = bool(visitor.token())
    challenge: str = visitor.post("/passkey_challenge", has_token=has_token).json["challenge"]
    return challenge


def add(visitor: Visitor, device: Authenticator, **fields: str) -> None:
    answer = visitor.post("/add_passkey", name="laptop", passkey=device.makes(options(visitor, **fields)))
    assert answer.status_code in (200, 302), answer.text


def test_a_passkey_is_added_and_asked_for(app: Flask, visitor: Visitor):
    """PORTAL-54."""
    device = Authenticator()
    add(visitor, device)
    someone = Visitor(app)
    assert someone.sign_in("mlopez").location == "/"
    assert someone.sign_in("mlopez", passkey=device.proves(challenge_of(someone))).location == "/choose_study"


def test_a_session_without_the_password_adds_no_passkey(visitor: Visitor):
    """PORTAL-54: the challenge that anybody gets for signing in is no challenge for a new passkey."""
    answer = visitor.post("/add_passkey", name="thief", passkey=Authenticator().makes(challenge_of(visitor)))
    assert answer.status_code == 422
    assert db.session.scalars(db.select(Passkey)).all() == []


def test_a_challenge_for_a_new_passkey_proves_none(visitor: Visitor):
    """PORTAL-54: neither purpose stands in for the other."""
    device = Authenticator()
    add(visitor, device)
    challenge = options(visitor, passkey=device.proves(challenge_of(visitor)))
    number = str(db.session.scalars(db.select(Passkey.id)).one())
    fields = {"passkey_id": number, "password": RESEARCHER_PASSWORD, "passkey": device.proves(challenge)}
    assert visitor.post("/remove_passkey", **fields).status_code == 422
    assert len(db.session.scalars(db.select(Passkey)).all()) == 1


def test_a_second_passkey_is_confirmed_by_the_first(visitor: Visitor):
    """PORTAL-54: another device's answer, and a recorded one, are refused."""
    device, second = Authenticator(), Authenticator()
    add(visitor, device)
    fields = {"name": "phone", "password": RESEARCHER_PASSWORD}
    assert visitor.post("/passkey_options", **fields).status_code == 422
    assert visitor.post("/passkey_options", **fields, passkey=second.proves(challenge_of(visitor))).status_code == 422
    answer = device.proves(challenge_of(visitor))
    add(visitor, second, passkey=answer)
    assert visitor.post("/passkey_options", **fields, passkey=answer).status_code == 422
    assert len(db.session.scalars(db.select(Passkey)).all()) == 2


def test_a_recorded_answer_opens_nothing(app: Flask, visitor: Visitor):
    """PORTAL-54: also with a copy of the cookie that holds its challenge."""
    device = Authenticator()
    add(visitor, device)
    someone = Visitor(app)
    challenge = challenge_of(someone)
    cookie = someone.client.get_cookie("session")
    answer = device.proves(challenge)
    assert someone.sign_in("mlopez", passkey=answer).location == "/choose_study"
    copy = Visitor(app)
    copy.client.set_cookie("session", cookie.value)
    assert copy.sign_in("mlopez", passkey=answer).location == "/"


@pytest.mark.parametrize(
    "device",
    [Authenticator(origin="https://evil.example"), Authenticator(host="evil.example"), Authenticator(origin="null")],
    ids=["origin", "host", "null"],
)
def test_an_answer_for_another_site_is_refused(app: Flask, visitor: Visitor, device: Authenticator):
    """PORTAL-54: passkeys are bound to this server's name."""
    answer = visitor.post("/add_passkey", name="x", passkey=device.makes(options(visitor)))
    assert answer.status_code == 422 and db.session.scalars(db.select(Passkey)).all() == []


def test_changes_of_passkeys_are_in_the_audit_trail(visitor: Visitor):
    """CLAR-20."""
    device = Authenticator()
    add(visitor, device)
    number = str(db.session.scalars(db.select(Passkey.id)).one())
    answer = device.proves(challenge_of(visitor))
    assert visitor.post("/remove_passkey", passkey_id=number, password=RESEARCHER_PASSWORD, passkey=answer).location
    rows = db.session.scalars(db.select(AuditRecord).filter_by(action="researcher.second_factor")).all()
    assert [(row.actor_name, row.detail.get("before"), row.detail.get("after")) for row in rows] == [
        ("mlopez", None, "passkey"),
        ("mlopez", "passkey", None),
    ]


def test_right_passwords_allow_no_further_guesses_of_codes(visitor: Visitor, researcher: Researcher):
    """PORTAL-22, PORTAL-23: somebody with the session and the password cannot try codes between right passwords."""
    add(visitor, Authenticator())
    number = str(db.session.scalars(db.select(Passkey.id)).one())
    password, told = RESEARCHER_PASSWORD, ""
    for n in range(12):
        fields = {"passkey_id": number, "password": password, "mfa_code": f"{n:06}"}
        told = visitor.post("/remove_passkey", **fields).text
        new = f"Another 1! password {n}"
        changed = {"current_password": password, "new_password": new, "confirm_new_password": new}
        password = new if visitor.post("/self_change_password", **changed).status_code == 302 else password
    assert "Wait ten minutes" in told
