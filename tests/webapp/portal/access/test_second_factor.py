"""Signing in with a second factor, and what is due before anything else (PORTAL-41, PORTAL-50 to PORTAL-53)."""

from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from flask import Flask

from core.accounts.second_factor import begin_totp, confirm_totp, renew_recovery_codes
from core.audit import SERVER
from core.config import Settings
from core.database import db
from core.models import Researcher, SignInFailures, Study
from core.models.study import SecondFactorFor
from tests.support.factories import RESEARCHER_PASSWORD, Factory
from tests.support.portal_visitor import Visitor
from webapp import create_app

pytestmark = pytest.mark.usefixtures("quick_passwords")

REFUSED = "do not match an account that can sign in"


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study()


@pytest.fixture
def researcher(factory: Factory, study: Study) -> Researcher:
    return factory.researcher("mlopez", study=study)


@pytest.fixture
def secret(researcher: Researcher) -> str:
    return with_app(researcher)


def with_app(researcher: Researcher) -> str:
    """Sets an app up an hour ago; returns its secret."""
    then = datetime.now(UTC) - timedelta(hours=1)
    secret = begin_totp(researcher, then)
    assert confirm_totp(db.session(), researcher, pyotp.TOTP(secret).at(then), then, actor=SERVER)
    db.session.commit()
    return secret


def code_of(secret: str, step: int = 0) -> str:
    return pyotp.TOTP(secret).at(datetime.now(UTC) + timedelta(seconds=30 * step))


def test_password_and_code_sign_in(app: Flask, secret: str):
    """PORTAL-50."""
    assert Visitor(app).sign_in("mlopez", mfa_code=code_of(secret)).location == "/choose_study"


@pytest.mark.parametrize("code", ["", "000000", "abcdefgh2345"])
@pytest.mark.parametrize("password", [RESEARCHER_PASSWORD, "wrong"])
def test_one_answer_to_a_wrong_password_a_missing_and_a_wrong_code(app: Flask, secret: str, password: str, code: str):
    """PORTAL-50, PORTAL-23: each counts as a failure."""
    visitor = Visitor(app)
    assert visitor.sign_in("mlopez", password, mfa_code=code).location == "/"
    assert REFUSED in visitor.get("/").text
    assert db.session.scalars(db.select(SignInFailures.in_a_row)).all() == [1]


@pytest.mark.parametrize("code", ["12345", "12345a", "1234567"])
def test_a_malformed_code_is_told_before_anything_is_checked(app: Flask, secret: str, code: str):
    visitor = Visitor(app)
    visitor.sign_in("mlopez", "wrong", mfa_code=code)
    assert "six digits" in visitor.get("/").text
    assert not db.session.scalars(db.select(SignInFailures)).all()


def test_a_code_beside_a_wrong_password_stays_good(app: Flask, secret: str):
    """PORTAL-51: a step is used up by a complete success only."""
    code = code_of(secret)
    assert Visitor(app).sign_in("mlopez", "wrong", mfa_code=code).location == "/"
    assert Visitor(app).sign_in("mlopez", mfa_code=code).location == "/choose_study"


def test_the_same_code_twice_and_an_earlier_one_are_refused(app: Flask, secret: str):
    """PORTAL-51."""
    now, later = code_of(secret), code_of(secret, 1)
    assert Visitor(app).sign_in("mlopez", mfa_code=later).location == "/choose_study"
    assert Visitor(app).sign_in("mlopez", mfa_code=later).location == "/"
    assert Visitor(app).sign_in("mlopez", mfa_code=now).location == "/"


def test_ten_wrong_codes_lock_the_name_from_there(app: Flask, secret: str):
    """PORTAL-22, PORTAL-23."""
    for _ in range(10):
        Visitor(app).sign_in("mlopez", mfa_code="000000")
    visitor = Visitor(app)
    assert visitor.sign_in("mlopez", mfa_code=code_of(secret)).location == "/"
    assert "Wait ten minutes" in visitor.get("/").text


def test_a_recovery_code_signs_in_once(app: Flask, researcher: Researcher, secret: str):
    """PORTAL-54."""
    codes = renew_recovery_codes(db.session(), researcher, actor=SERVER)
    db.session.commit()
    assert Visitor(app).sign_in("mlopez", mfa_code=codes[0]).location == "/choose_study"
    assert Visitor(app).sign_in("mlopez", mfa_code=codes[0]).location == "/"


def test_a_code_that_nobody_needs_is_told(app: Flask, researcher: Researcher, study: Study):
    """PORTAL-50."""
    visitor = Visitor(app)
    assert visitor.sign_in("mlopez", mfa_code="123456").location == "/choose_study"
    assert "No code is needed" in visitor.get(f"/view_study/{study.id}").text


@pytest.mark.parametrize(
    ("who", "is_admin", "is_due"),
    [
        (SecondFactorFor.EVERYBODY, False, True),
        (SecondFactorFor.ADMINISTRATORS, False, False),
        (SecondFactorFor.ADMINISTRATORS, True, True),
        (SecondFactorFor.NOBODY, True, False),
    ],
)
def test_a_study_may_require_it(
    app: Flask, factory: Factory, study: Study, who: SecondFactorFor, is_admin: bool, is_due: bool
):
    """PORTAL-41, PORTAL-53, CLAR-23: at the next request, and a POST is not carried out."""
    from core.access import Role

    person = factory.researcher("admin", study=study, role=Role.STUDY_ADMIN if is_admin else Role.STUDY_RESEARCHER)
    visitor = Visitor(app, person)
    assert visitor.get(f"/view_study/{study.id}").status_code == 200
    study.second_factor_for = who.value
    db.session.commit()
    answer = visitor.get(f"/view_study/{study.id}")
    assert (answer.status_code, answer.location) == ((302, "/manage_credentials") if is_due else (200, None))
    if is_due:
        page = visitor.get("/manage_credentials").text
        assert "asks for a second factor" in page and "/self_reset_mfa" in page and "/self_change_password" not in page
        assert visitor.post("/generate_api_key", readable_name="x").location == "/manage_credentials"


def test_a_study_that_is_hidden_requires_nothing(app: Flask, study: Study, researcher: Researcher):
    """PORTAL-42."""
    study.second_factor_for, study.hidden_at = "everybody", datetime.now(UTC)
    db.session.commit()
    assert Visitor(app, researcher).get("/choose_study").status_code == 200


def test_the_server_may_require_it_of_site_administrators(settings: Settings, factory: Factory, researcher: Researcher):
    """PORTAL-53: REQUIRE_SITE_ADMIN_MFA."""
    site = factory.researcher("site", is_site_admin=True)
    app = create_app(settings.model_copy(update={"require_site_admin_mfa": True}))
    assert Visitor(app, site).get("/manage_studies").location == "/manage_credentials"
    assert Visitor(app, researcher).get("/choose_study").status_code == 302
    with_app(site)
    assert Visitor(app, site).get("/manage_studies").status_code == 200


@pytest.mark.parametrize(("days", "may"), [(729, True), (730, True), (731, False)])
def test_an_account_that_was_not_used_for_two_years_cannot_sign_in(
    app: Flask, researcher: Researcher, days: int, may: bool
):
    """PORTAL-28; an administrator's reset restarts the time."""
    long_ago = datetime.now(UTC) - timedelta(days=days)
    researcher.created_at = researcher.last_login_at = researcher.password_changed_at = long_ago
    db.session.commit()
    visitor = Visitor(app)
    visitor.sign_in("mlopez")
    assert visitor.is_signed_in == may
    if not may:
        assert "Ask an administrator" in visitor.get("/").text
        researcher.password_changed_at = datetime.now(UTC)
        db.session.commit()
        visitor.sign_in("mlopez")
        assert visitor.is_signed_in


def test_a_challenge_names_no_account_and_is_not_given_to_other_sites(app: Flask):
    visitor = Visitor(app)
    options = visitor.post("/passkey_challenge", has_token=False).json
    assert options["rpId"] == "localhost" and not options.get("allowCredentials")
    elsewhere = {"Origin": "https://evil.example"}
    assert visitor.post("/passkey_challenge", has_token=False, headers=elsewhere).status_code == 403
    assert visitor.sign_in("nobody", passkey="{}").location == "/"
