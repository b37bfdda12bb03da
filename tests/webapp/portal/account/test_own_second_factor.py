"""One's own second factor, keys and sessions (PORTAL-52 to PORTAL-55, PORTAL-60 to PORTAL-63, PERM-80)."""

import re
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from flask import Flask

from core.database import db
from core.models import ApiKey, AuditRecord, Passkey, PortalSession, Researcher
from tests.support.factories import RESEARCHER_PASSWORD, Factory
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")

PASSWORD = RESEARCHER_PASSWORD


@pytest.fixture
def researcher(factory: Factory) -> Researcher:
    return factory.researcher("mlopez", study=factory.study())


@pytest.fixture
def visitor(app: Flask, researcher: Researcher) -> Visitor:
    return Visitor(app, researcher)


def set_up(visitor: Visitor, step: int = 0) -> tuple[str, list[str]]:
    """Sets an app up as a person does; returns its secret, and the recovery codes of the answer."""
    page = visitor.post("/self_reset_mfa", mfa_password=PASSWORD).text
    secret = re.search(r"[A-Z2-7]{52}", page).group()
    answer = visitor.post("/self_reset_mfa", mfa_code=code_of(secret, step))
    assert answer.status_code == 200, answer.text
    return secret, re.findall(r'<li class="id">([a-z2-9-]{14})</li>', answer.text)


def code_of(secret: str, step: int = 0) -> str:
    return pyotp.TOTP(secret).at(datetime.now(UTC) + timedelta(seconds=30 * step))


def again(researcher: Researcher) -> Researcher:
    db.session.refresh(researcher)
    return researcher


def test_an_app_is_set_up_by_its_first_code(visitor: Visitor, researcher: Researcher):
    """PORTAL-54."""
    assert visitor.post("/self_reset_mfa", mfa_password="wrong").status_code == 422
    assert visitor.post("/self_reset_mfa").status_code == 422
    page = visitor.post("/self_reset_mfa", mfa_password=PASSWORD)
    assert "<svg" in page.text and again(researcher).totp_enabled_at is None
    assert visitor.post("/self_reset_mfa", mfa_code="000000").status_code == 422
    _, codes = set_up(visitor)
    assert len(codes) == 10 and again(researcher).totp_enabled_at is not None
    page = visitor.get("/manage_credentials").text
    assert "10 codes left" in page and codes[0] not in page


def test_setting_it_up_ends_other_sessions(app: Flask, visitor: Visitor, researcher: Researcher):
    """PORTAL-29."""
    elsewhere = Visitor(app, researcher)
    set_up(visitor)
    assert visitor.is_signed_in and not elsewhere.is_signed_in


def test_removing_it_needs_password_and_code(visitor: Visitor, researcher: Researcher):
    """PORTAL-54."""
    secret, _ = set_up(visitor, step=-1)
    for fields in ({"mfa_password": PASSWORD}, {"mfa_password": "wrong", "mfa_code": code_of(secret)}):
        assert visitor.post("/self_reset_mfa", disable="true", **fields).status_code == 422
    assert again(researcher).totp_enabled_at is not None
    answer = visitor.post("/self_reset_mfa", disable="true", mfa_password=PASSWORD, mfa_code=code_of(secret))
    assert answer.status_code == 302 and again(researcher).totp_enabled_at is None


def test_it_is_not_removed_while_it_is_required(visitor: Visitor, researcher: Researcher):
    """PORTAL-54."""
    secret, _ = set_up(visitor, step=-1)
    researcher.roles[0].study.second_factor_for = "everybody"
    db.session.commit()
    answer = visitor.post("/self_reset_mfa", disable="true", mfa_password=PASSWORD, mfa_code=code_of(secret))
    assert answer.status_code == 422 and "must have a second factor" in answer.text


@pytest.mark.parametrize(
    ("code", "sentence"),
    [("", "Type a code"), ("12345a", "digits only"), ("12345", "six digits"), ("000000", "wrong")],
)
def test_a_code_can_be_tried(visitor: Visitor, code: str, sentence: str):
    """PORTAL-55."""
    assert "No authenticator app" in visitor.post("/test_mfa", mfa_code=code).text
    secret, _ = set_up(visitor, step=-1)
    assert sentence in visitor.post("/test_mfa", mfa_code=code).text
    assert visitor.post("/test_mfa", mfa_code=code_of(secret)).status_code == 302
    assert visitor.post("/test_mfa", mfa_code=code_of(secret)).status_code == 302, "trying uses nothing up"


def test_the_secret_is_shown_again_for_the_password_only(visitor: Visitor):
    """PORTAL-52."""
    secret, _ = set_up(visitor)
    assert secret not in visitor.get("/manage_credentials").text
    assert secret not in visitor.post("/manage_credentials", view_mfa_password="wrong").text
    assert secret in visitor.post("/manage_credentials", view_mfa_password=PASSWORD).text


def test_new_recovery_codes_need_a_second_factor(visitor: Visitor):
    assert visitor.post("/renew_recovery_codes", password=PASSWORD).status_code == 422
    secret, old = set_up(visitor, step=-1)
    assert visitor.post("/renew_recovery_codes", password=PASSWORD).status_code == 422
    answer = visitor.post("/renew_recovery_codes", password=PASSWORD, mfa_code=code_of(secret))
    assert answer.status_code == 200 and old[0] not in answer.text


def test_ten_wrong_passwords_of_a_signed_in_person_wait(visitor: Visitor, app: Flask, researcher: Researcher):
    """PORTAL-22, CLAR-11: counted in the database; signing in elsewhere goes on."""
    for _ in range(10):
        visitor.post("/self_reset_mfa", mfa_password="wrong")
    assert "Wait ten minutes" in visitor.post("/self_reset_mfa", mfa_password=PASSWORD).text
    assert Visitor(app).sign_in("mlopez").location == "/choose_study"


def test_a_keys_secret_is_in_one_answer_only(visitor: Visitor, app: Flask, factory: Factory):
    """PORTAL-60, PERM-80."""
    answer = visitor.post("/generate_api_key", readable_name="  nightly   job ")
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    key = db.session.scalars(db.select(ApiKey)).one()
    secret = next(text for text in re.findall(r"[A-Za-z0-9+/]{64}", answer.text) if text != key.access_key)
    assert key.name == "nightly job" and secret not in visitor.get("/manage_credentials").text
    assert secret not in Visitor(app, factory.researcher("other")).get("/manage_credentials").text
    detail = db.session.scalars(db.select(AuditRecord).filter_by(action="api_key.create")).one().detail
    assert secret not in str(detail)


def test_a_key_may_be_narrower_than_its_owner(visitor: Visitor, researcher: Researcher, factory: Factory):
    """PERM-96: for one study of one's own, or for lists only."""
    own, foreign = researcher.roles[0].study, factory.study()
    assert visitor.post("/generate_api_key", only_study=str(foreign.id)).status_code == 422
    assert visitor.post("/generate_api_key", only_study=str(own.id), is_for_lists="true").status_code == 200
    key = db.session.scalars(db.select(ApiKey)).one()
    assert (key.only_study_id, key.is_for_lists) == (own.id, True)
    assert f"only {own.name}, lists only" in visitor.get("/manage_credentials").text


def test_only_ones_own_keys_are_disabled(visitor: Visitor, app: Flask, factory: Factory):
    """PORTAL-60."""
    visitor.post("/generate_api_key", readable_name="mine")
    key = db.session.scalars(db.select(ApiKey)).one()
    stranger = Visitor(app, factory.researcher("other"))
    stranger.post("/disable_api_key", api_key_id=key.access_key)
    assert "No key of yours" in stranger.get("/manage_credentials").text
    db.session.refresh(key)
    assert key.is_active
    visitor.post("/disable_api_key", api_key_id=key.access_key)
    db.session.refresh(key)
    assert not key.is_active and "mine is disabled" in visitor.get("/manage_credentials").text
    visitor.post("/disable_api_key", api_key_id=key.access_key)
    assert "No key of yours" in visitor.get("/manage_credentials").text


def test_sessions_are_listed_and_ended(app: Flask, visitor: Visitor, researcher: Researcher):
    """PORTAL-63."""
    agents = {"laptop": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15) Gecko/20100101 Firefox/140.0", "job": "curl/8"}
    others = {}
    for name, agent in agents.items():
        others[name] = Visitor(app)
        others[name].client.environ_base["HTTP_USER_AGENT"] = agent
        others[name].sign_in("mlopez")
    page = visitor.get("/manage_credentials").text
    assert "Firefox on macOS" in page and "this one" in page and "127.0.0.1" in page
    assert page.count("Signed in</span>") == 2, "own recent sign-ins"
    laptop = db.session.scalars(db.select(PortalSession).filter_by(browser="Firefox on macOS")).one()
    visitor.post("/end_sessions", session_id=str(laptop.id))
    assert not others["laptop"].is_signed_in and others["job"].is_signed_in and visitor.is_signed_in
    visitor.post("/end_sessions")
    assert not others["job"].is_signed_in and visitor.is_signed_in


def test_nobody_ends_anothers_session(app: Flask, visitor: Visitor, factory: Factory):
    other = Visitor(app, factory.researcher("other"))
    number = max(db.session.scalars(db.select(PortalSession.id)).all())
    for typed in (str(number), "x", "9" * 30, "-1"):
        visitor.post("/end_sessions", session_id=typed)
    assert other.is_signed_in


def test_a_page_asks_how_long_the_session_lasts(visitor: Visitor, app: Flask):
    """PORTAL-27: asking does not extend it; saying that one is there does."""
    db.session.execute(db.update(PortalSession).values(seen_at=datetime.now(UTC) - timedelta(minutes=20)))
    db.session.commit()
    assert 595 <= visitor.get("/session_left").json["idle"] <= 600
    assert 595 <= visitor.get("/session_left").json["idle"] <= 600
    token = re.search(r'"X-CSRFToken": "([^"]+)"', visitor.get("/session_left").text or "")
    assert token is None
    assert visitor.post("/stay_signed_in").json["idle"] >= 1790
    program = Visitor(app)
    assert program.get("/session_left", headers={"Accept": "application/json"}).status_code == 401


def test_colours_are_the_persons_own(visitor: Visitor, researcher: Researcher):
    visitor.post("/set_appearance", appearance="dark")
    assert 'data-appearance="dark"' in visitor.get("/manage_credentials").text
    visitor.post("/set_appearance", appearance="<b>")
    assert again(researcher).appearance == "dark"


def test_the_strength_follows_the_typing(visitor: Visitor):
    answer = visitor.post("/password_strength", new_password="Password1!")
    assert "Weak" in answer.text and "not a common password" in answer.text and answer.text.count('class="kept"') == 5
    assert "<li" not in visitor.post("/password_strength", new_password="").text


def test_factors_change_only_for_whoever_shows_one(visitor: Visitor, researcher: Researcher):
    """PORTAL-54: somebody with the session and the password alone neither replaces, adds nor removes a factor."""
    secret, _ = set_up(visitor, step=-1)
    db.session.add(
        Passkey(researcher_id=researcher.id, credential_id=b"k", public_key=b"", sign_count=0, transports=[], name="k")
    )
    db.session.commit()
    number = str(db.session.scalars(db.select(Passkey.id)).one())
    attempts: list[tuple[str, dict[str, str]]] = [
        ("/self_reset_mfa", {"mfa_password": PASSWORD}),
        ("/passkey_options", {"name": "mine", "password": PASSWORD}),
        ("/remove_passkey", {"passkey_id": number, "password": PASSWORD}),
    ]
    for path, fields in attempts:
        for code in ({}, {"mfa_code": "000000"}, {"passkey": "{}"}):
            assert visitor.post(path, **fields, **code).status_code == 422, (path, code)
    assert again(researcher).pending_totp_secret is None
    assert db.session.scalars(db.select(Passkey.id)).all() == [int(number)]
    answer = visitor.post("/self_reset_mfa", mfa_password=PASSWORD, mfa_code=code_of(secret))
    assert answer.status_code == 200 and "<svg" in answer.text


def test_trying_codes_is_no_way_to_guess_one(visitor: Visitor):
    """PORTAL-22, PORTAL-55: wrong ones are counted with the other failures of a signed-in person."""
    secret, _ = set_up(visitor, step=-1)
    for _ in range(10):
        visitor.post("/test_mfa", mfa_code="000000")
    answer = visitor.post("/test_mfa", mfa_code=code_of(secret))
    assert answer.status_code == 422 and "Wait ten minutes" in answer.text
    assert "Wait ten minutes" in visitor.post("/manage_credentials", view_mfa_password=PASSWORD).text
