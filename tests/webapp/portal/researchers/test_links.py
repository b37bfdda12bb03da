"""Invitations and reset links: made, opened, used once (PORTAL-191, CLAR-26)."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from core.access import Role
from core.database import db
from core.models import AccountLink, Researcher, Study, StudyRole
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")
LINK = re.compile(r'id="secret">http://[^/]+(/invitation/[^<]+)<')
PASSWORD = "Correct horse 1! and more"


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    return factory.study("Sleep")


@pytest.fixture
def leader(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("leader", study=study, role=Role.STUDY_ADMIN))


@pytest.fixture
def link(leader: Visitor, study: Study) -> str:
    """The path of an invitation of `new.person` as a viewer of the study."""
    answer = leader.post("/create_new_researcher", admin_id="new.person", study_id=str(study.id), role="study_viewer")
    found = LINK.search(answer.text)
    assert found and answer.headers["Cache-Control"] == "no-store"
    return found[1]


def set_password(visitor: Visitor, link: str, new: str = PASSWORD, same: str = "") -> int:
    fields = {"new_password": new, "confirm_new_password": same or new}
    return visitor.post(link, has_token=False, **fields).status_code


def test_an_invitation_is_opened_and_used_once(app: Flask, link: str, study: Study):
    """PORTAL-191, CLAR-26: it says who made it, and what for; opening it uses nothing up."""
    visitor = Visitor(app)
    for _ in range(3):
        page = visitor.get(link)
        assert page.status_code == 200
        assert all(text in page.text for text in ("leader", "new.person", "Sleep: viewer"))
        assert page.headers["Cache-Control"] == "no-store"
    assert set_password(visitor, link) == 302
    assert not visitor.is_signed_in, "a second factor is asked for at sign-in"
    assert visitor.sign_in("new.person", PASSWORD).location == "/choose_study"
    assert visitor.get(f"/view_study/{study.id}").status_code == 200
    for answer in (Visitor(app).get(link), Visitor(app).post(link, has_token=False, new_password="x")):
        assert answer.status_code == 410 and "This link was used" in answer.text


@pytest.mark.parametrize(
    ("new", "same", "text"),
    [
        ("short", "short", "At least 8 characters."),
        ("alllowercase", "alllowercase", "one upper-case letter"),
        (PASSWORD, "another", "The two passwords differ."),
        ("", "", "A password is needed."),
    ],
)
def test_a_password_that_is_refused_leaves_the_link_open(app: Flask, link: str, new: str, same: str, text: str):
    """PORTAL-40."""
    answer = Visitor(app).post(link, has_token=False, new_password=new, confirm_new_password=same)
    assert answer.status_code == 422 and text in answer.text
    assert set_password(Visitor(app), link) == 302


def test_the_rules_of_the_study_hold_for_the_first_password(app: Flask, link: str, study: Study):
    """PORTAL-40, PORTAL-42."""
    db.session.get_one(Study, study.id).password_minimum_length = 20
    db.session.commit()
    assert set_password(Visitor(app), link, "Short horse 1!") == 422
    assert "At least 20 characters" in Visitor(app).get(link).text


def test_somebody_who_is_signed_in_is_offered_to_switch(app: Flask, leader: Visitor, link: str):
    """PORTAL-191: nothing is used up meanwhile."""
    page = leader.get(link)
    assert page.status_code == 200 and "This link is for new.person" in page.text and "new_password" not in page.text
    assert set_password(leader, link) == 200
    assert db.session.scalars(db.select(AccountLink.used_at)).all() == [None]
    assert leader.post(f"{link}/switch", has_token=False).status_code == 403
    assert leader.post(f"{link}/switch").location == link
    assert not leader.is_signed_in
    assert set_password(leader, link) == 302


def test_a_link_says_that_it_expired_or_was_withdrawn(app: Flask, leader: Visitor, link: str):
    """PORTAL-191."""
    row = db.session.scalars(db.select(AccountLink)).one()
    row.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    db.session.commit()
    page = Visitor(app).get(link)
    assert page.status_code == 410 and "This link has expired" in page.text and "leader" in page.text
    row.expires_at = datetime.now(UTC) + timedelta(hours=1)
    db.session.commit()
    number = row.researcher_id
    assert "open until" in leader.get(f"/edit_researcher/{number}").text
    leader.post(f"/withdraw_researcher_link/{number}")
    page = Visitor(app).get(link)
    assert page.status_code == 410 and "This link was withdrawn" in page.text
    assert set_password(Visitor(app), link) == 410


def test_an_unknown_link_is_not_found(app: Flask, factory: Factory):
    """PORTAL-191."""
    for token in ("x", "A" * 43, "%00"):
        assert Visitor(app).get(f"/invitation/{token}").status_code == 404
        assert Visitor(app).post(f"/invitation/{token}", has_token=False).status_code == 404


def test_another_site_cannot_use_a_link_in_somebodys_browser(app: Flask, link: str):
    """PERM-30."""
    fields = {"new_password": PASSWORD, "confirm_new_password": PASSWORD}
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert Visitor(app).post(link, has_token=False, headers=headers, **fields).status_code == 403


def test_a_reset_link_ends_sessions_when_it_is_used(app: Flask, factory: Factory, leader: Visitor, study: Study):
    """PORTAL-193: not when it is made."""
    person = factory.researcher("somebody", study=study)
    visitor = Visitor(app, person)
    answer = leader.post("/set_researcher_password", researcher_id=str(person.id), how="link")
    found = LINK.search(answer.text)
    assert found and visitor.is_signed_in
    assert set_password(visitor, found[1], "Another horse 2! and more") == 302
    assert not visitor.is_signed_in
    assert Visitor(app).sign_in("somebody", "Another horse 2! and more").location == "/choose_study"


def test_an_invitation_form_keeps_what_was_typed(leader: Visitor, study: Study, factory: Factory):
    """PORTAL-191: the error is beside the field, and no account is left behind."""
    factory.researcher("Taken.Name")
    form = {"study_id": str(study.id), "role": "study_analyst"}
    for name, ends_on, text in (
        ("bad name", "", "5 to 32 characters"),
        ("taken.name", "", "The name taken.name is taken."),
        ("new.person", "2020-01-01", "That day is over"),
    ):
        answer = leader.post("/create_new_researcher", admin_id=name, ends_on=ends_on, **form)
        assert answer.status_code == 422 and text in answer.text
        assert f'value="{name}"' in answer.text and '<option value="study_analyst" selected>' in answer.text
    assert leader.post("/create_new_researcher", admin_id="new.person").status_code == 422
    assert db.session.scalar(db.select(Researcher).filter_by(username="new.person")) is None
    other = factory.study()
    answer = leader.post("/create_new_researcher", admin_id="new.person", study_id=str(other.id))
    assert answer.status_code == 403
    assert leader.post("/create_new_researcher", admin_id="new.person", study_id="x").status_code == 404


def test_a_site_administrator_may_invite_without_a_study(app: Flask, factory: Factory):
    """PORTAL-191."""
    boss = Visitor(app, factory.researcher(is_site_admin=True))
    assert LINK.search(boss.post("/create_new_researcher", admin_id="new.person").text)
    assert db.session.scalars(db.select(StudyRole)).all() == []
