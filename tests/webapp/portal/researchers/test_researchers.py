"""The list, a researcher's page, and what is changed there (PORTAL-190 to PORTAL-195, PERM-60 to PERM-63)."""

import re
from datetime import UTC, date, datetime, timedelta

import pyotp
import pytest
from flask import Flask

from core.access import Role
from core.accounts.second_factor import begin_totp, confirm_totp
from core.audit import SERVER
from core.database import db
from core.models import AuditRecord, Researcher, Study, StudyRole
from tests.support.factories import RESEARCHER_PASSWORD, Factory
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")
NEXT_MONTH = date.today() + timedelta(days=30)


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    return factory.study("Sleep")


@pytest.fixture
def boss(app: Flask, factory: Factory) -> Visitor:
    return Visitor(app, factory.researcher("the.boss", is_site_admin=True))


@pytest.fixture
def leader(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("leader", study=study, role=Role.STUDY_ADMIN))


def roles() -> dict[str, str]:
    """The role of each person in the only study."""
    db.session.rollback()
    rows = db.session.execute(db.select(Researcher.username, StudyRole.role).join(StudyRole.researcher))
    return {row.username: row.role for row in rows}


def again(person: Researcher) -> Researcher:
    db.session.rollback()
    db.session.expire_all()
    return db.session.get_one(Researcher, person.id)


def test_site_administrators_see_everybody_and_others_their_people(
    app: Flask, factory: Factory, study: Study, boss: Visitor, leader: Visitor
):
    """PERM-60, PORTAL-190: no study of others is named."""
    other = factory.study("Secret study")
    both = factory.researcher("both.sides", study=study)
    factory.role(both, other, Role.STUDY_RESEARCHER)
    factory.researcher("stranger", study=other)
    page = boss.get("/manage_researchers").text
    assert all(name in page for name in ("the.boss", "leader", "both.sides", "stranger", "Secret study"))
    page = leader.get("/manage_researchers").text
    assert "both.sides" in page and "leader" in page
    assert not any(name in page for name in ("the.boss", "stranger", "Secret study"))


def test_the_list_is_filtered_by_name_and_study(factory: Factory, study: Study, boss: Visitor):
    """PORTAL-190: also as HTMX asks; an empty result says so."""
    factory.researcher("anna.k", study=study)
    factory.researcher("berta")
    for path in ("/manage_researchers?search=SLEEP", "/manage_researchers?search=Anna"):
        for page in (boss.get(path).text, boss.swap(path).text):
            assert "anna.k" in page and "berta" not in page
    assert "<html" not in boss.swap("/manage_researchers?search=x").text
    assert "Nobody has “x%_\\”" in boss.get("/manage_researchers?search=x%25_%5C").text


def test_states_of_accounts_are_said(factory: Factory, study: Study, boss: Visitor):
    """PORTAL-190: active, invited, deactivated; an ended role."""
    gone = factory.researcher("gone.person")
    gone.is_disabled = True
    ended = factory.researcher("ended.person")
    factory.role(ended, study, Role.STUDY_VIEWER, date(2020, 1, 31))
    boss.post("/create_new_researcher", admin_id="new.person")
    page = boss.get("/manage_researchers").text
    assert all(word in page for word in ("Deactivated", "Invited", "Active", "ended 31 Jan 2020", "never"))


def test_pages_of_people_out_of_sight_are_not_there(factory: Factory, study: Study, boss: Visitor, leader: Visitor):
    """PORTAL-192, PERM-60: unknown numbers too."""
    stranger, mine = factory.researcher(study=factory.study()), factory.researcher(study=study)
    for visitor, number, status in (
        (leader, stranger.id, 404),
        (leader, 99_999, 404),
        (leader, mine.id, 200),
        (boss, stranger.id, 200),
        (boss, 99_999, 404),
    ):
        assert visitor.get(f"/edit_researcher/{number}").status_code == status


def test_controls_are_shown_only_where_they_are_allowed(factory: Factory, study: Study, boss: Visitor, leader: Visitor):
    """PERM-91, PORTAL-192."""
    plain = factory.researcher(study=study)
    fellow = factory.researcher(study=study, role=Role.STUDY_ADMIN)
    page = leader.get(f"/edit_researcher/{plain.id}").text
    assert "Save the role" in page and "Make a one-time link" in page
    assert "Deactivate" not in page and "site administrator" not in page.replace("Site administrator", "")
    page = leader.get(f"/edit_researcher/{fellow.id}").text
    assert "Save the role" not in page and "one-time link" not in page and ">Remove" not in page
    page = boss.get(f"/edit_researcher/{fellow.id}").text
    assert all(text in page for text in ("Save the role", ">Remove", "Deactivate", "Make a site administrator"))
    assert "Delete the account" not in page
    me = db.session.scalars(db.select(Researcher).filter_by(username="the.boss")).one()
    page = boss.get(f"/edit_researcher/{me.id}").text
    assert "This is you." in page and "Deactivate" not in page


def test_old_addresses_add_elevate_demote_and_remove(factory: Factory, study: Study, boss: Visitor):
    """PORTAL-190: a role that is there stays as it is."""
    person = factory.researcher("somebody")
    form = {"researcher_id": str(person.id), "study_id": str(study.id)}
    for path, role in (
        ("/add_researcher_to_study", "study_researcher"),
        ("/elevate_researcher", "study_admin"),
        ("/add_researcher_to_study", "study_admin"),
        ("/demote_researcher", "study_researcher"),
        ("/remove_researcher_from_study", None),
    ):
        assert boss.post(path, **form).location == f"/edit_researcher/{person.id}"
        assert roles().get("somebody") == role


def test_no_redirect_goes_where_a_form_says(factory: Factory, study: Study, boss: Visitor):
    """PORTAL-7, PERM-32."""
    person = factory.researcher(study=study)
    form = {"researcher_id": str(person.id), "study_id": str(study.id), "redirect_url": "https://evil.example/"}
    assert boss.post("/elevate_researcher", **form).location == f"/edit_researcher/{person.id}"


def test_forms_that_miss_something_are_refused(factory: Factory, study: Study, boss: Visitor, leader: Visitor):
    """PERM-13: 400 where something is missing, 404 for an unknown account, 403 for a study of others."""
    person = factory.researcher(study=study)
    number, other = str(person.id), factory.study()
    for path in ("/add_researcher_to_study", "/elevate_researcher", "/remove_researcher_from_study"):
        assert boss.post(path, study_id=str(study.id)).status_code == 400
        assert boss.post(path, study_id=str(study.id), researcher_id="x").status_code == 400
        assert boss.post(path, study_id=str(study.id), researcher_id="99999").status_code == 404
        assert boss.post(path, researcher_id=number).status_code == 400
        assert leader.post(path, study_id=str(other.id), researcher_id=number).status_code == 403
        assert boss.post(path, study_id="99999", researcher_id=number).status_code == 404
    assert boss.post("/set_researcher_password").status_code == 400
    form = {"study_id": str(study.id), "researcher_id": number, "role": "king"}
    assert boss.post("/set_researcher_role", **form).status_code == 400


def test_a_refusal_says_why(factory: Factory, study: Study, leader: Visitor):
    """PERM-17, PERM-60: a study administrator and a fellow, oneself, and a site administrator."""
    me = db.session.scalars(db.select(Researcher).filter_by(username="leader")).one()
    fellow = factory.researcher("fellow", study=study, role=Role.STUDY_ADMIN)
    for target, path, text in (
        (fellow, "/remove_researcher_from_study", "Only site administrators"),
        (me, "/remove_researcher_from_study", "Nobody changes their own role"),
        (fellow, "/set_researcher_password", "Only site administrators"),
    ):
        answer = leader.post(path, researcher_id=str(target.id), study_id=str(study.id))
        assert answer.status_code == 403 and text in answer.text
    assert roles() == {"leader": "study_admin", "fellow": "study_admin"}


def test_a_person_of_other_studies_is_added_by_a_site_administrator_alone(
    factory: Factory, study: Study, boss: Visitor, leader: Visitor
):
    """PERM-60: else a password reset could take over the person's other studies."""
    person = factory.researcher("stranger", study=factory.study())
    form = {"researcher_id": str(person.id), "study_id": str(study.id)}
    assert leader.post("/add_researcher_to_study", **form).status_code == 403
    assert boss.post("/add_researcher_to_study", **form).status_code == 302


def test_a_last_day_is_kept_as_typed_when_it_is_wrong(factory: Factory, study: Study, leader: Visitor):
    """PERM-96: the error stands beside the field."""
    person = factory.researcher("somebody", study=study)
    form = {"researcher_id": str(person.id), "study_id": str(study.id), "role": "study_viewer"}
    answer = leader.post("/set_researcher_role", **form, ends_on="2020-01-01")
    assert answer.status_code == 422 and "That day is over" in answer.text and 'value="2020-01-01"' in answer.text
    assert roles()["somebody"] == "study_researcher"
    leader.post("/set_researcher_role", **form, ends_on=str(NEXT_MONTH))
    assert db.session.scalar(db.select(StudyRole.ends_on).filter_by(researcher_id=person.id)) == NEXT_MONTH
    assert f"until {NEXT_MONTH.day} {NEXT_MONTH:%b %Y}" in leader.get(f"/edit_researcher/{person.id}").text


def test_a_password_for_one_use_is_shown_once(app: Flask, factory: Factory, study: Study, leader: Visitor):
    """PORTAL-193, PERM-80: in the answer to the POST, which no cache keeps."""
    person = factory.researcher("somebody", study=study)
    answer = leader.post("/set_researcher_password", researcher_id=str(person.id))
    found = re.search(r'id="secret">([^<]+)<', answer.text)
    assert found and answer.headers["Cache-Control"] == "no-store"
    assert found[1] not in leader.get(f"/edit_researcher/{person.id}").text
    visitor = Visitor(app)
    visitor.sign_in("somebody", found[1])
    assert visitor.get("/choose_study").location == "/manage_credentials"


def test_acting_on_a_site_administrator_asks_for_the_password(factory: Factory, boss: Visitor):
    """PERM-61, PORTAL-195: and says beside the field when it is wrong."""
    other = factory.researcher("another", is_site_admin=True)
    for path, form in (
        ("/set_researcher_password", {"researcher_id": str(other.id)}),
        (f"/set_researcher_active/{other.id}", {"wanted": "off"}),
        (f"/set_site_administrator/{other.id}", {"wanted": "off"}),
    ):
        for wrong in ({}, {"own_password": "wrong"}):
            answer = boss.post(path, **form, **wrong)
            assert answer.status_code == 422 and "This is not your current password." in answer.text
    assert again(other).is_site_admin and not again(other).is_disabled
    right = {"own_password": RESEARCHER_PASSWORD}
    assert boss.post(f"/set_site_administrator/{other.id}", wanted="off", **right).status_code == 302
    assert not again(other).is_site_admin


def test_a_site_administrator_is_made_with_the_password(factory: Factory, boss: Visitor):
    """PORTAL-195: audited."""
    person = factory.researcher("somebody")
    path = f"/set_site_administrator/{person.id}"
    assert boss.post(path, wanted="on").status_code == 422
    assert boss.post(path, wanted="on", own_password=RESEARCHER_PASSWORD).status_code == 302
    assert again(person).is_site_admin
    assert boss.post(path, own_password=RESEARCHER_PASSWORD).status_code == 400
    actors = db.session.scalars(db.select(AuditRecord.actor_name).filter_by(action="researcher.site_admin")).all()
    assert actors == ["the.boss"]


def test_nobody_demotes_deactivates_or_deletes_themselves(app: Flask, factory: Factory, boss: Visitor):
    """PERM-61, PERM-63."""
    me = db.session.scalars(db.select(Researcher).filter_by(username="the.boss")).one()
    right = {"own_password": RESEARCHER_PASSWORD, "wanted": "off", "typed_name": "the.boss"}
    for path in ("set_site_administrator", "set_researcher_active", "delete_researcher"):
        answer = boss.post(f"/{path}/{me.id}", **right)
        assert answer.status_code == 403 and "Nobody changes their own role" in answer.text
    assert again(me).is_site_admin


def test_deactivation_comes_before_deletion(app: Flask, factory: Factory, study: Study, boss: Visitor):
    """PORTAL-194: the name is typed; sessions end at once."""
    person = factory.researcher("leaver", study=study, role=Role.STUDY_ADMIN)
    visitor, path = Visitor(app, person), f"/delete_researcher/{person.id}"
    refused = boss.post(path, typed_name="leaver")
    assert refused.status_code == 403 and "Deactivate the account first." in refused.text
    assert boss.post(f"/set_researcher_active/{person.id}", wanted="off").status_code == 302
    assert not visitor.is_signed_in
    assert "Without an administrator of their own now: Sleep." in boss.get(f"/edit_researcher/{person.id}").text
    assert boss.post(path, typed_name="someone").status_code == 422
    assert boss.get(path).status_code == 405
    assert boss.post(path, typed_name="leaver").location == "/manage_researchers"
    assert "leaver was deleted." in boss.get("/manage_researchers").text
    assert roles() == {}


def test_an_activated_account_has_its_roles_again(app: Flask, factory: Factory, study: Study, boss: Visitor):
    """PORTAL-194."""
    person = factory.researcher("somebody", study=study)
    for wanted in ("off", "on"):
        boss.post(f"/set_researcher_active/{person.id}", wanted=wanted)
    assert Visitor(app).sign_in("somebody").location == "/choose_study"
    assert roles()["somebody"] == "study_researcher"


def test_a_site_administrator_sees_studies_that_nobody_leads(factory: Factory, study: Study, boss: Visitor):
    """PERM-62."""
    assert "without an administrator of its own" in boss.get("/manage_researchers").text
    factory.researcher(study=study, role=Role.STUDY_ADMIN)
    assert "without an administrator" not in boss.get("/manage_researchers").text


def test_names_that_people_typed_are_text(factory: Factory, boss: Visitor):
    """PORTAL-8, PORTAL-9."""
    study = factory.study("<b>{{7*7}}</b> & 'x'")
    person = factory.researcher(study=study)
    for path in ("/manage_researchers", f"/edit_researcher/{person.id}", f"/view_study/{study.id}/team"):
        page = boss.get(path).text
        assert "&lt;b&gt;{{7*7}}&lt;/b&gt; &amp; &#39;x&#39;" in page and "<b>{{" not in page


def with_app(person: Researcher) -> str:
    """Sets up an authenticator app for the person; returns its secret."""
    now = datetime.now(UTC)
    secret = begin_totp(person, now)
    assert confirm_totp(db.session(), person, pyotp.TOTP(secret).now(), now, actor=SERVER)
    db.session.commit()
    return secret


def test_a_second_factor_is_reset_for_people_of_ones_own_studies(
    app: Flask, factory: Factory, study: Study, leader: Visitor
):
    """PORTAL-56, PERM-60: not for fellow administrators; sessions end."""
    plain = factory.researcher("lost.phone", study=study)
    fellow = factory.researcher(study=study, role=Role.STUDY_ADMIN)
    for person in (plain, fellow):
        with_app(person)
    visitor = Visitor(app, plain)
    assert "Remove the second factor" in leader.get(f"/edit_researcher/{plain.id}").text
    assert "Remove the second factor" not in leader.get(f"/edit_researcher/{fellow.id}").text
    assert leader.post(f"/reset_researcher_mfa/{plain.id}").status_code == 302
    assert leader.post(f"/reset_researcher_mfa/{fellow.id}").status_code == 403
    assert again(plain).totp_secret is None and again(fellow).totp_secret is not None
    assert not visitor.is_signed_in


def test_acting_on_a_site_administrator_asks_for_the_second_factor_too(factory: Factory, boss: Visitor):
    """PERM-61: where the one who acts has set one up."""
    me = db.session.scalars(db.select(Researcher).filter_by(username="the.boss")).one()
    secret = with_app(me)
    again(me).totp_last_step = None
    db.session.commit()
    other = factory.researcher("another", is_site_admin=True)
    path, form = f"/set_site_administrator/{other.id}", {"wanted": "off", "own_password": RESEARCHER_PASSWORD}
    assert 'name="mfa_code"' in boss.get(f"/edit_researcher/{other.id}").text
    assert boss.post(path, **form).status_code == 422
    assert boss.post(path, **form, mfa_code="000000").status_code == 422
    assert again(other).is_site_admin
    assert boss.post(path, **form, mfa_code=pyotp.TOTP(secret).now()).status_code == 302
    assert not again(other).is_site_admin
