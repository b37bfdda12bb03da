"""Sign-in, sign-out and sessions (PORTAL-20 to PORTAL-29)."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from core.config import Settings
from core.crypto.passwords import hash_password
from core.database import db
from core.models import PortalSession, Researcher, Study
from tests.support.factories import RESEARCHER_PASSWORD, Factory
from tests.support.portal_visitor import Visitor
from webapp import create_app
from webapp.portal.access import views


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study()


@pytest.fixture
def researcher(factory: Factory, study: Study) -> Researcher:
    return factory.researcher("mlopez", study=study)


def test_the_right_password_signs_in_and_leads_to_the_only_study(app: Flask, researcher: Researcher, study: Study):
    """PORTAL-20, PORTAL-70."""
    visitor = Visitor(app)
    assert visitor.sign_in("mlopez").location == "/choose_study"
    assert visitor.get("/choose_study").location == f"/view_study/{study.id}"
    assert visitor.get("/").location == "/choose_study"
    db.session.refresh(researcher)
    assert researcher.last_login_at is not None


@pytest.mark.parametrize(
    ("username", "password"),
    [("mlopez", "wrong"), ("nobody", RESEARCHER_PASSWORD), ("MLOPEZ", RESEARCHER_PASSWORD), ("", ""), ("gone", "x")],
)
def test_everything_wrong_gets_one_answer(
    app: Flask, factory: Factory, researcher: Researcher, username: str, password: str
):
    """PORTAL-20, PORTAL-23: no answer reveals whether the name exists."""
    factory.researcher("gone", password=RESEARCHER_PASSWORD).is_disabled = True
    db.session.commit()
    visitor = Visitor(app)
    answer = visitor.sign_in(username, RESEARCHER_PASSWORD if username == "gone" else password)
    assert (answer.status_code, answer.location) == (302, "/")
    page = visitor.get("/").text
    assert "do not match an account that can sign in" in page
    assert f'value="{username}"' in page, "the form keeps what was typed"
    assert "mlopez" not in page.replace(f'value="{username}"', "")
    assert f'value="{username}"' not in Visitor(app).get("/").text or not username
    assert not visitor.is_signed_in


def test_a_password_is_hashed_for_an_unknown_name_too(app: Flask, researcher: Researcher, monkeypatch):
    """PORTAL-23: both answers take the same time."""
    verified: list[str] = []

    def verify(password: str, stored: str) -> bool:
        verified.append(stored)
        return False

    monkeypatch.setattr(views, "verify_password", verify)
    Visitor(app).sign_in("mlopez", "x")
    Visitor(app).sign_in("nobody", "x")
    known, unknown = (stored.split("$")[:2] for stored in verified)
    assert known == unknown


def test_an_old_hash_takes_as_long_as_an_unknown_name(app: Flask, researcher: Researcher, monkeypatch):
    """PORTAL-23: an imported hash of few rounds would tell by the time that the name exists."""
    researcher.password_hash = hash_password(RESEARCHER_PASSWORD, ("sha1", 1_000))
    db.session.commit()
    rounds: list[int] = []

    def verify(password: str, stored: str) -> bool:
        rounds.append(int(stored.split("$")[1]))
        return False

    monkeypatch.setattr(views, "verify_password", verify)
    Visitor(app).sign_in("mlopez", "wrong")
    assert max(rounds) == int(views.NO_ACCOUNT.split("$")[1])


def test_an_old_hash_is_renewed_by_signing_in(app: Flask, researcher: Researcher):
    """PORTAL-21."""
    researcher.password_hash = hash_password(RESEARCHER_PASSWORD, ("sha1", 1_000))
    db.session.commit()
    assert Visitor(app).sign_in("mlopez").location == "/choose_study"
    db.session.refresh(researcher)
    assert researcher.password_hash.startswith("sha256$310000$")
    assert Visitor(app).sign_in("mlopez").location == "/choose_study"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 302),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, 302),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_sign_in_from_another_site_is_refused(app: Flask, researcher: Researcher, headers: dict[str, str], status: int):
    """PORTAL-6: programs send neither header."""
    fields = {"username": "mlopez", "password": RESEARCHER_PASSWORD}
    assert Visitor(app).post("/validate_login", has_token=False, headers=headers, **fields).status_code == status


def test_sign_in_leads_back_to_the_page_that_was_asked_for(app: Flask, researcher: Researcher, study: Study):
    """PORTAL-24, PORTAL-25."""
    path = f"/view_study/{study.id}"
    visitor = Visitor(app)
    sign_in = visitor.get(path).location
    assert f'name="referrer" type="hidden" value="{path}"' in visitor.get(sign_in).text
    assert visitor.sign_in("mlopez", referrer=path).location == path


@pytest.mark.parametrize(
    "page",
    [
        "//evil.example",
        "https://evil.example/view_study/1",
        "/view_study/1%27",
        "/view_study/1?x=1",
        "/view_study/1/",
        "/manage_credentials",
        "/choose_study",
        "/logout",
        "/view_study/01",
        "/view_study/99",
        "javascript:alert(1)",
    ],
)
def test_sign_in_leads_nowhere_else(app: Flask, researcher: Researcher, page: str):
    """PORTAL-7, PORTAL-26."""
    assert Visitor(app).sign_in("mlopez", referrer=page).location == "/choose_study"


def test_sign_in_does_not_lead_to_a_study_of_others(app: Flask, researcher: Researcher, factory: Factory):
    """PORTAL-26: not to a 403 straight after signing in."""
    other = factory.study()
    assert Visitor(app).sign_in("mlopez", referrer=f"/view_study/{other.id}").location == "/choose_study"


def test_signing_out_twice_is_no_error(app: Flask):
    assert Visitor(app).post("/logout").location == "/"


def test_signing_out(app: Flask, researcher: Researcher):
    """PORTAL-6: a link from elsewhere gets a button, not a sign-out."""
    visitor = Visitor(app, researcher)
    assert "still signed in" in visitor.get("/logout", headers={"Sec-Fetch-Site": "cross-site"}).text
    assert visitor.is_signed_in
    assert visitor.post("/logout").location == "/"
    assert not visitor.is_signed_in
    visitor = Visitor(app, researcher)
    assert visitor.get("/logout", headers={"Sec-Fetch-Site": "same-origin"}).location == "/"
    assert not visitor.is_signed_in


def test_nothing_of_an_earlier_session_survives_sign_in(app: Flask, researcher: Researcher):
    """PORTAL-27, PERM-80."""
    visitor = Visitor(app)
    with visitor.client.session_transaction() as session:
        session["planted"] = session["csrf_token"] = "by somebody else"
    visitor.sign_in("mlopez")
    with visitor.client.session_transaction() as session:
        assert "planted" not in session and session.get("csrf_token") != "by somebody else"


def test_a_session_ends_with_its_token_its_account_and_its_age(app: Flask, researcher: Researcher):
    """PORTAL-29, PORTAL-27."""
    assert Visitor(app, researcher, started=time.time() - 12 * 3600 + 60).is_signed_in
    assert not Visitor(app, researcher, started=time.time() - 12 * 3600 - 1).is_signed_in
    visitor = Visitor(app, researcher)
    assert visitor.is_signed_in
    researcher.set_password("Another 1! password", must_change=False)
    db.session.commit()
    assert not visitor.is_signed_in


def test_a_session_of_before_an_account_was_disabled_stays_ended_when_it_is_enabled_again(
    app: Flask, researcher: Researcher
):
    """PORTAL-29: also of a browser that asked for nothing meanwhile."""
    visitor, silent = Visitor(app, researcher), Visitor(app, researcher)
    assert visitor.is_signed_in and silent.is_signed_in
    run = app.test_cli_runner().invoke
    assert run(args=["admin", "update", "--username", "mlopez", "--disable"]).exit_code == 0
    assert not visitor.is_signed_in
    assert run(args=["admin", "update", "--username", "mlopez", "--enable"]).exit_code == 0
    assert not visitor.is_signed_in
    assert not silent.is_signed_in
    assert Visitor(app).sign_in("mlopez").location == "/choose_study"


def test_an_idle_session_ends_on_the_server(app: Flask, researcher: Researcher, study: Study):
    """PORTAL-27: polling does not keep it alive, a page does."""
    visitor = Visitor(app, researcher)

    def idle(minutes: int) -> None:
        at = datetime.now(UTC) - timedelta(minutes=minutes)
        db.session.execute(db.update(PortalSession).values(seen_at=at))
        db.session.commit()

    idle(29)
    assert visitor.swap(f"/view_study/{study.id}/participants/figures").status_code == 200
    assert db.session.scalar(db.select(PortalSession.seen_at)) < datetime.now(UTC) - timedelta(minutes=28)
    assert visitor.is_signed_in
    db.session.rollback()
    assert db.session.scalar(db.select(PortalSession.seen_at)) > datetime.now(UTC) - timedelta(minutes=1)
    idle(31)
    assert not visitor.is_signed_in


def test_pages_prolong_the_session_and_what_they_poll_does_not(app: Flask, researcher: Researcher, study: Study):
    """PORTAL-27; files and the endpoints of phones and programs leave the cookie alone too."""
    visitor = Visitor(app, researcher)
    path = f"/view_study/{study.id}"
    assert "Set-Cookie" in visitor.get(path).headers
    polled = visitor.swap(f"{path}/participants/figures")
    assert polled.status_code == 200 and "Set-Cookie" not in polled.headers
    for other in ("/static/mark.svg", "/healthz"):
        assert "Set-Cookie" not in visitor.get(other).headers


def test_cookies_are_not_for_scripts(app: Flask, researcher: Researcher):
    """PORTAL-27."""
    cookie = Visitor(app).sign_in("mlopez").headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie


def test_over_https_cookies_are_of_this_host_alone(settings: Settings, factory: Factory, study: Study):
    """CLAR-6: in production both are `__Host-` and Secure, without a domain, for the whole host."""
    factory.researcher("mlopez", study=study)
    app = create_app(settings.model_copy(update={"environment": "production", "domain_name": "localhost"}))
    answer = app.test_client().post(
        "/validate_login", data={"username": "mlopez", "password": RESEARCHER_PASSWORD}, base_url="https://localhost"
    )
    cookies = {line.partition("=")[0]: line for line in answer.headers.getlist("Set-Cookie")}
    assert set(cookies) == {"__Host-session", "__Host-known"}
    for line in cookies.values():
        assert "Secure" in line and "HttpOnly" in line and "Path=/" in line and "Domain" not in line


def test_over_https_cookies_are_secure_in_development_too(app: Flask, researcher: Researcher):
    """CLAR-6: over plain HTTP they have plain names, so that a trial in a local network can sign in."""
    for base, names in (
        ("https://localhost", {"__Host-session", "__Host-known"}),
        ("http://localhost", {"session", "known"}),
    ):
        client = app.test_client()
        fields = {"username": "mlopez", "password": RESEARCHER_PASSWORD}
        with app.app_context():
            answer = client.post("/validate_login", data=fields, base_url=base)
        cookies = {line.partition("=")[0]: line for line in answer.headers.getlist("Set-Cookie")}
        assert set(cookies) == names
        assert all(("Secure" in line) == (base == "https://localhost") for line in cookies.values())
        assert client.get("/manage_credentials", base_url=base).status_code == 200


def test_sign_in_leads_to_the_page_last_visited_while_it_may_be_opened(
    app: Flask, factory: Factory, researcher: Researcher, study: Study
):
    """PORTAL-25, PORTAL-26: not to one of a study that was hidden since."""
    visitor = Visitor(app, researcher)
    visitor.get(f"/interventions/{study.id}")
    visitor.get("/manage_credentials")
    assert Visitor(app).sign_in("mlopez").location == f"/interventions/{study.id}"
    assert Visitor(app).sign_in("mlopez", referrer=f"/view_study/{study.id}").location == f"/view_study/{study.id}"
    study.hidden_at = datetime.now(UTC)
    db.session.commit()
    assert Visitor(app).sign_in("mlopez").location == "/choose_study"
