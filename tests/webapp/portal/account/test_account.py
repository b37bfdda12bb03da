"""A researcher's own password (PORTAL-40, PORTAL-41, PORTAL-61)."""

import pytest
from flask import Flask

from core.database import db
from core.models import Researcher
from tests.support.factories import RESEARCHER_PASSWORD, Factory
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")

NEW = "Another 1! word"
LONG = "Another 1! word that is long"


@pytest.fixture
def researcher(factory: Factory) -> Researcher:
    return factory.researcher("mlopez", study=factory.study())


def change(visitor: Visitor, new: str, current: str = RESEARCHER_PASSWORD, again: str | None = None):
    fields = {"current_password": current, "new_password": new, "confirm_new_password": new if again is None else again}
    return visitor.post("/self_change_password", **fields)


def test_a_new_password_ends_every_other_session(app: Flask, researcher: Researcher):
    """PORTAL-61, PORTAL-29."""
    here, elsewhere = Visitor(app, researcher), Visitor(app, researcher)
    assert change(here, NEW).location == "/manage_credentials"
    assert "Everywhere else you are signed out" in here.get("/manage_credentials").text
    assert not elsewhere.is_signed_in
    assert Visitor(app).sign_in("mlopez", NEW).location == "/choose_study"
    assert Visitor(app).sign_in("mlopez").location == "/"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"new": NEW, "current": "wrong"}, "This is not your current password."),
        ({"new": "aA1 aaa"}, "At least 8 characters."),
        ({"new": "aaaaaaaaaa"}, "At least one lower-case letter"),
        ({"new": RESEARCHER_PASSWORD}, "This is your current password. Choose another."),
        ({"new": NEW, "again": NEW + "x"}, "The two new passwords differ."),
        ({"new": ""}, "A new password is needed."),
    ],
)
def test_a_refused_password_is_explained_at_its_field(
    app: Flask, researcher: Researcher, fields: dict[str, str], sentence: str
):
    """PORTAL-61, PORTAL-5."""
    visitor = Visitor(app, researcher)
    answer = change(visitor, **fields)
    assert answer.status_code == 422 and sentence in answer.text
    assert RESEARCHER_PASSWORD not in answer.text
    assert visitor.is_signed_in


def test_a_space_counts_as_another_character(app: Flask, researcher: Researcher):
    """PORTAL-40."""
    assert change(Visitor(app, researcher), "aA1 aaaa").status_code == 302


def test_site_administrators_need_twenty_characters(app: Flask, factory: Factory):
    """PORTAL-40."""
    visitor = Visitor(app, factory.researcher(is_site_admin=True))
    assert "At least 20 characters." in change(visitor, NEW).text
    assert change(visitor, LONG).status_code == 302


def test_a_password_for_one_use_is_replaced_first(app: Flask, factory: Factory):
    """PORTAL-41 row 1."""
    study = factory.study()
    researcher = factory.researcher("guest", study=study, must_change_password=True)
    visitor = Visitor(app)
    visitor.sign_in("guest")
    assert visitor.get("/choose_study").location == "/manage_credentials"
    page = visitor.get("/manage_credentials").text
    assert "meant for one use" in page and "Set your own password" in page
    assert change(visitor, NEW).status_code == 302
    db.session.refresh(researcher)
    assert not researcher.must_change_password
    assert visitor.get("/choose_study").location == f"/view_study/{study.id}"
