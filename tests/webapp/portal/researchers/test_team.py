"""The team of a study, and the page of who may do what (PERM-93, PERM-96)."""

from datetime import date, timedelta

import pytest
from flask import Flask

from core.access import TABLE, Role
from core.accounts.rights_table import COLUMNS, ROLE_NAMES, rights_by_group, rights_document
from core.config import REPOSITORY
from core.database import db
from core.models import Researcher, Study, StudyRole
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    return factory.study("Sleep")


@pytest.fixture
def leader(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("leader", study=study, role=Role.STUDY_ADMIN))


def role_of(name: str) -> StudyRole | None:
    db.session.rollback()
    return db.session.scalar(db.select(StudyRole).join(Researcher).where(Researcher.username == name))


def test_the_team_is_shown_with_what_each_right_comes_through(
    app: Flask, factory: Factory, study: Study, leader: Visitor
):
    """PERM-94, PERM-96: to everybody in the study; controls to its administrators alone."""
    factory.researcher("the.boss", is_site_admin=True)
    viewer = factory.researcher("looker", study=study, role=Role.STUDY_VIEWER)
    factory.role(factory.researcher("short.stay"), study, Role.STUDY_ANALYST, date.today() + timedelta(days=9))
    factory.role(factory.researcher("former"), study, Role.STUDY_RESEARCHER, date(2020, 1, 31))
    path = f"/view_study/{study.id}/team"
    for visitor in (leader, Visitor(app, viewer)):
        page = visitor.get(path).text
        for text in ("leader", "looker", "Viewer", "until", "ended 31 Jan 2020", "the.boss", "Site administrator"):
            assert text in page
    assert "Add to the team" in leader.get(path).text and "Save the role" in leader.get(path).text
    page = Visitor(app, viewer).get(path).text
    assert "Add to the team" not in page and "Save the role" not in page and ">Remove" not in page


def test_people_are_added_changed_and_removed(factory: Factory, study: Study, leader: Visitor):
    """PERM-60: the forms lead back to the team."""
    person, path = factory.researcher("Some.One"), f"/view_study/{study.id}/team"
    assert leader.post(path, username=" some.one ", role="study_viewer").location == path
    row = role_of("Some.One")
    assert row and (row.role, row.ends_on) == ("study_viewer", None)
    form = {"researcher_id": str(person.id), "study_id": str(study.id), "from": "team"}
    ends_on = date.today() + timedelta(days=3)
    assert leader.post("/set_researcher_role", role="study_analyst", ends_on=str(ends_on), **form).location == path
    row = role_of("Some.One")
    assert row and (row.role, row.ends_on) == ("study_analyst", ends_on)
    wrong = leader.post("/set_researcher_role", role="study_analyst", ends_on="soon", **form)
    assert wrong.status_code == 422 and "A date like 2030-01-31." in wrong.text and 'value="soon"' in wrong.text
    assert leader.post("/remove_researcher_from_study", **form).location == path
    assert role_of("Some.One") is None


def test_whether_an_account_out_of_reach_exists_is_not_told(factory: Factory, study: Study, leader: Visitor):
    """PERM-60."""
    factory.researcher("stranger", study=factory.study())
    factory.researcher("the.boss", is_site_admin=True)
    path = f"/view_study/{study.id}/team"
    for name in ("stranger", "the.boss", "nobody.at.all"):
        answer = leader.post(path, username=name)
        assert answer.status_code == 422 and "No account of that name can be added here." in answer.text
    assert "has a role in the study already" in leader.post(path, username="leader").text
    assert leader.post(path, username="nobody.at.all", role="site_admin").status_code == 400


def test_the_page_and_the_document_show_the_whole_table(app: Flask, leader: Visitor):
    """PERM-93: made from the table, and the document is current."""
    rows = [row for _, group in rights_by_group() for row in group]
    assert {row.name for row in rows} == set(TABLE)
    page = leader.get("/who_may_do_what").text
    assert all(name in page for name in ROLE_NAMES.values()) and page.count('scope="row"') == len(TABLE)
    assert (REPOSITORY / "docs" / "permissions.md").read_text() == rights_document()
    for row in rows:
        for role in COLUMNS:
            allowed = {Role.RESEARCHER, role} & TABLE[row.name].roles  # type: ignore[index]
            assert row.has(role) == bool(allowed)


def test_every_capability_says_in_plain_words_what_it_is():
    """PERM-93."""
    words = [rule.words for rule in TABLE.values()]
    assert len(set(words)) == len(words)
    assert all(text[0].isupper() and not text.endswith(".") and len(text) < 80 for text in words)
