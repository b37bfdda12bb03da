"""Listing, creating and editing studies (PORTAL-70 to PORTAL-98)."""

import io
import json
import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from core.access import Role
from core.accounts import account_rule, interrupted_by
from core.accounts.requirements import why_change_is_due
from core.audit import SERVER
from core.database import db
from core.models import Intervention, ParticipantActivity, Researcher, Study, StudyRole, Survey
from core.studies.changing import hide_study, set_security
from core.studies.settings_changes import save_app_settings
from core.studies.settings_file.writing import study_file
from tests.support.factories import RESEARCHER_PASSWORD, Factory
from tests.support.paths import VECTORS
from tests.support.portal_visitor import Visitor
from tests.support.this_hour import this_hour

pytestmark = pytest.mark.usefixtures("quick_passwords")
CURRENT = (VECTORS / "surveys" / "export_current.json").read_bytes()


@pytest.fixture
def site(app: Flask, factory: Factory) -> Visitor:
    return Visitor(app, factory.researcher("boss", is_site_admin=True))


def again(study: Study) -> Study:
    """The study as the database has it."""
    db.session.rollback()
    db.session.expire_all()
    return db.session.get_one(Study, study.id)


def made(name: str) -> Study:
    db.session.rollback()
    return db.session.scalars(sa.select(Study).where(Study.name == name)).one()


def test_starred_studies_come_first_for_this_person_alone(app: Flask, factory: Factory, site: Visitor):
    """PORTAL-71, PORTAL-72."""
    names = [factory.study(name) for name in ("Anxiety", "Sleep", "Walking")]
    site.post(f"/star_study/{names[2].id}", is_on="true")

    def order(visitor: Visitor) -> list[str]:
        page = visitor.get("/choose_study").text
        return re.findall(r'<th scope="row"><a href="/view_study/\d+">(\w+)</a>', page)

    assert order(site) == ["Walking", "Anxiety", "Sleep"]
    assert order(Visitor(app, factory.researcher(is_site_admin=True))) == ["Anxiety", "Sleep", "Walking"]
    site.post(f"/star_study/{names[2].id}", is_on="false")
    assert order(site) == ["Anxiety", "Sleep", "Walking"]


def test_the_list_says_how_each_study_is_doing(factory: Factory, site: Visitor):
    """PORTAL-71."""
    participant = factory.participant(factory.study("Sleep"))
    db.session.execute(sa.update(ParticipantActivity).values(last_upload_at=this_hour()))
    factory.participant(participant.study, is_test=True)
    db.session.commit()
    page = site.get("/manage_studies?search=sle").text
    assert "Waiting files" in page and re.search(r'class="num">1</td>\s*<td class="num">1 <span', page)


def test_a_study_is_created_with_a_zone_and_a_key_of_the_server(site: Visitor):
    """PORTAL-80, PORTAL-81, PORTAL-82."""
    answer = site.post("/create_study", name="Children's  sleep & <mood>", timezone="Europe/Berlin")
    study = made("Children's sleep & <mood>")
    assert answer.location == f"/device_settings/{study.id}"
    assert (study.timezone_name, len(study.object_id), len(study.encryption_key)) == ("Europe/Berlin", 24, 32)
    assert study.encryption_key not in site.get(f"/edit_study/{study.id}").text and not study.has_forest
    site.post("/create_study", name="Walks", timezone="UTC", forest_enabled="true")
    assert made("Walks").has_forest


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": "", "timezone": "UTC"}, "1 to 200 characters"),
        ({"name": "x", "timezone": ""}, "not a time zone"),
        ({"name": "x", "timezone": "Mars/Base"}, "not a time zone"),
        ({"name": "sleep", "timezone": "UTC"}, "has this name already"),
        ({"name": "x", "timezone": "UTC", "encryption_key": "short"}, "exactly 32 characters"),
        ({"name": "x", "timezone": "UTC", "source": "study", "existing_study_id": "99"}, "Choose a study"),
        ({"name": "x", "timezone": "UTC", "source": "file"}, "Choose a settings file"),
    ],
)
def test_a_wrong_form_keeps_what_was_typed_and_makes_nothing(
    factory: Factory, site: Visitor, form: dict[str, str], words: str
):
    """PORTAL-82, PORTAL-83."""
    factory.study("Sleep")
    answer = site.post("/create_study", **form)
    assert answer.status_code == 422 and words in answer.text
    assert f'value="{form["name"]}"' in answer.text
    db.session.rollback()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Study)) == 1


def upload(site: Visitor, path: str, data: bytes, **fields: str) -> TestResponse:
    form = {"csrf_token": site.token(), "upload": (io.BytesIO(data), "study.JSON"), **fields}
    return site.open(path, method="POST", data=form, content_type="multipart/form-data")


def test_a_study_is_created_from_a_file_and_from_another_study(site: Visitor):
    """PORTAL-83, SURVEY-51: the copy is what an export and import would give, and the zone is its own."""
    ticks = {"device_settings": "true", "surveys": "true"}
    answer = upload(site, "/create_study", CURRENT, name="First", timezone="UTC", source="file", **ticks)
    assert answer.status_code == 302, answer.text
    first = made("First")
    copied = {"source": "study", "existing_study_id": str(first.id), **ticks}
    site.post("/create_study", name="Second", timezone="Asia/Tokyo", **copied)
    ours, theirs = (study_file(db.session(), study) for study in (made("Second"), again(first)))
    assert ours | {"study_time_zone": ""} == theirs | {"study_time_zone": ""} and theirs["surveys"]
    site.post("/create_study", name="Third", timezone="UTC", **(copied | {"surveys": "", "device_settings": ""}))
    third = made("Third")
    assert db.session.scalars(sa.select(Survey).where(Survey.study_id == third.id)).all() == []
    assert db.session.scalars(sa.select(Intervention).where(Intervention.study_id == third.id)).all()


def test_a_file_that_is_wrong_makes_no_study(site: Visitor):
    """SURVEY-53: all or nothing."""
    bad = (VECTORS / "surveys" / "export_bad.json").read_bytes()
    ticks = {"source": "file", "device_settings": "true", "surveys": "true"}
    answer = upload(site, "/create_study", bad, name="Bad", timezone="UTC", **ticks)
    assert answer.status_code == 422 and "surveys[0]" in answer.text
    db.session.rollback()
    assert db.session.scalars(sa.select(Study)).all() == []


def test_a_study_is_renamed_unless_the_name_is_taken(factory: Factory, site: Visitor):
    """PORTAL-80."""
    study, _ = factory.study("Sleep"), factory.study("Mood")
    taken = site.post(f"/rename_study/{study.id}", new_study_name="MOOD")
    assert taken.status_code == 422 and "named MOOD already" in taken.text
    site.post(f"/rename_study/{study.id}", new_study_name=" Deep   sleep ")
    assert again(study).name == "Deep sleep"


def test_a_zone_is_changed_after_it_was_said_what_moves(factory: Factory, site: Visitor):
    """PORTAL-95."""
    study = factory.study()
    path = f"/set_study_timezone/{study.id}"
    asked = site.post(path, new_timezone_name="Asia/Tokyo")
    assert "0 events to come move" in asked.text and again(study).timezone_name == "America/New_York"
    site.post(path, new_timezone_name="Asia/Tokyo", confirmed="Asia/Tokyo")
    assert again(study).timezone_name == "Asia/Tokyo"
    for confirmed in ("", "Mars/Base"):
        wrong = site.post(path, new_timezone_name="Mars/Base", confirmed=confirmed)
        assert wrong.status_code == 422 and "not a time zone" in wrong.text


@pytest.mark.parametrize(("typed", "kept"), [("2030-1-5", "2030-01-05"), ("", None), ("2020-02-01", "2020-02-01")])
def test_an_end_date_is_set_and_removed(factory: Factory, site: Visitor, typed: str, kept: str | None):
    """PORTAL-91."""
    study = factory.study()
    site.post(f"/update_end_date/{study.id}", end_date=typed)
    assert (str(again(study).end_on) if again(study).end_on else None) == kept


@pytest.mark.parametrize("typed", ["2020-01-31 00:00:00", "31-1-2020", "1-31-2020", "2020/1/31", "2020-02-30"])
def test_unreadable_end_dates_leave_the_old_one(factory: Factory, site: Visitor, typed: str):
    """PORTAL-91."""
    study = factory.study()
    answer = site.post(f"/update_end_date/{study.id}", end_date=typed)
    assert answer.status_code == 422 and again(study).end_on is None


def test_a_taken_name_beyond_ascii_is_refused(factory: Factory, site: Visitor):
    """PORTAL-80."""
    factory.study("Étude İ")
    study = factory.study("Sleep")
    answer = site.post(f"/rename_study/{study.id}", new_study_name="Étude İ")
    assert answer.status_code == 422 and "a study named Étude İ already" in answer.text
    assert again(study).name == "Sleep"


def test_a_form_without_the_field_leaves_the_end_date(factory: Factory, site: Visitor):
    """PORTAL-91."""
    study = factory.study()
    site.post(f"/update_end_date/{study.id}", end_date="2090-01-05")
    assert site.post(f"/update_end_date/{study.id}").status_code == 422
    assert str(again(study).end_on) == "2090-01-05"


def test_a_study_whose_end_date_has_passed_is_not_stopped_by_hand(factory: Factory, site: Visitor):
    """PORTAL-90."""
    study = factory.study("Sleep")
    site.post(f"/update_end_date/{study.id}", end_date="2020-01-05")
    assert re.search(r"<button[^>]* disabled>Stop the study", site.get(f"/edit_study/{study.id}").text)
    assert site.post(f"/toggle_end_study/{study.id}", typed_name="Sleep").status_code == 422
    assert not again(study).is_stopped_by_hand


def test_stopping_asks_for_the_name_and_every_page_says_so(factory: Factory, site: Visitor):
    """PORTAL-90, PORTAL-93, CLAR-12."""
    study = factory.study("Sleep")
    refused = site.post(f"/toggle_end_study/{study.id}", typed_name="sleep")
    assert refused.status_code == 422 and "lost for good" in refused.text
    for _ in range(2):  # somebody else stops it at the same time
        site.post(f"/toggle_end_study/{study.id}", typed_name="Sleep", wanted="on")
        assert again(study).is_stopped_by_hand and again(study).stopped_at
    for path in (f"/view_study/{study.id}", f"/interventions/{study.id}", f"/edit_study/{study.id}"):
        assert "This study is stopped." in site.get(path).text
    site.post(f"/toggle_end_study/{study.id}")
    assert not again(study).is_stopped_by_hand and "is stopped" not in site.get(f"/view_study/{study.id}").text


def test_a_hidden_study_is_gone_for_all_and_brought_back_by_password(factory: Factory, site: Visitor):
    """PORTAL-92, PERM-50."""
    study = factory.study("Sleep")
    path = f"/hide_study/{study.id}"
    assert site.post(path, typed_name="Sleep", password="wrong").status_code == 422
    assert site.post(path, typed_name="x", password=RESEARCHER_PASSWORD).status_code == 422
    assert site.post(path, typed_name="Sleep", password=RESEARCHER_PASSWORD).location == "/choose_study"
    page = site.get(f"/edit_study/{study.id}")
    assert page.status_code == 200 and study.object_id in page.text and "/rename_study" not in page.text
    assert site.post(f"/rename_study/{study.id}", new_study_name="Other").status_code == 404
    assert "Hidden studies" in site.get("/choose_study").text
    assert site.post(f"/unhide_study/{study.id}", password="wrong").status_code == 422
    site.post(f"/unhide_study/{study.id}", password=RESEARCHER_PASSWORD)
    assert again(study).hidden_at is None and site.get(f"/unhide_study/{study.id}").status_code == 404


def test_easy_enrolment_says_whose_own_switch_is_on(factory: Factory, site: Visitor):
    """PORTAL-94."""
    study = factory.study()
    own = factory.participant(study, has_easy_enrollment=True)
    assert own.patient_id in site.get(f"/edit_study/{study.id}").text
    for _ in range(2):
        site.post(f"/toggle_easy_enrollment_study/{study.id}", wanted="on")
        assert again(study).has_easy_enrollment
    site.post(f"/toggle_easy_enrollment_study/{study.id}", wanted="off")
    assert not again(study).has_easy_enrollment
    site.post(f"/toggle_easy_enrollment_study/{study.id}")
    assert again(study).has_easy_enrollment


def test_rules_for_passwords_are_saved_together_and_hold_at_the_next_page(app: Flask, factory: Factory):
    """PORTAL-98, PORTAL-42, PERM-40."""
    study = factory.study()
    admin = Visitor(app, factory.researcher(study=study, role=Role.STUDY_ADMIN))
    short = Visitor(app, factory.researcher(study=study, password="Ab1!efgh"))
    path = f"/change_study_security_settings/{study.id}"
    for form in ({"password_minimum_length": "7"}, {"password_minimum_length": "x"}, {"password_minimum_length": "21"}):
        assert admin.post(path, **form).status_code == 422
    wrong = {"password_minimum_length": "12", "password_max_age_enabled": "true", "password_max_age_days": "29"}
    assert admin.post(path, **wrong).status_code == 422 and again(study).password_minimum_length == 8
    assert short.get(f"/view_study/{study.id}").status_code == 200
    right = wrong | {"password_max_age_days": "90"}
    told = admin.post(path, **right)
    assert told.status_code == 200 and "1 researcher with a password that is too short" in told.text
    assert "too old" not in told.text and again(study).password_minimum_length == 8
    confirmed = re.search(r'name="confirmed" value="([^"]+)"', told.text)
    assert confirmed
    other = right | {"password_minimum_length": "13", "confirmed": confirmed[1]}
    assert "too short" in admin.post(path, **other).text and again(study).password_minimum_length == 8
    admin.post(path, **right, confirmed=confirmed[1])
    assert (again(study).password_minimum_length, again(study).password_max_age_days) == (12, 90)
    assert short.get(f"/view_study/{study.id}").location == "/manage_credentials"
    assert "A new rule asks for 12 characters" in short.get("/manage_credentials").text
    assert admin.get(f"/view_study/{study.id}").status_code == 200


def test_only_those_are_counted_whom_new_rules_interrupt(factory: Factory):
    """PORTAL-98: not who must set a password already, by this or by another study, and not who is in no such study."""
    study, strict = factory.study(), factory.study()
    set_security(db.session(), strict, 20, None, actor=SERVER)
    factory.researcher(study=study, password="Ab1!efgh")
    factory.researcher(study=study, password="Ab1!efgh", must_change_password=True)
    factory.researcher(password="Ab1!efgh")
    both = factory.researcher(study=study, password="Ab1!efgh")
    db.session.add(StudyRole(study_id=strict.id, researcher_id=both.id, role=Role.STUDY_RESEARCHER.value))
    db.session.commit()
    soon = this_hour() + timedelta(days=40)
    assert interrupted_by(db.session(), study, 8, None, soon) == (0, 0)
    assert interrupted_by(db.session(), study, 12, 30, soon) == (1, 1)
    assert interrupted_by(db.session(), study, 8, 60, soon) == (0, 0)


def test_an_old_password_is_due_by_the_strictest_study(app: Flask, factory: Factory):
    """PORTAL-41, PORTAL-43: nobody without a relation to such a study."""
    now = this_hour()
    study, other = factory.study(), factory.study()
    researcher, boss = factory.researcher(study=study), factory.researcher(is_site_admin=True)
    set_security(db.session(), study, 8, 60, actor=SERVER)
    set_security(db.session(), other, 8, 30, actor=SERVER)
    db.session.execute(sa.update(Researcher).values(password_changed_at=now - timedelta(days=50)))
    db.session.commit()
    for who, later, is_due in ((researcher, 10, False), (researcher, 11, True), (boss, 99, False)):
        rule = account_rule(db.session(), who)
        assert bool(why_change_is_due(who, rule, now + timedelta(days=later))) == is_due
    hide_study(db.session(), study, now, actor=SERVER)
    assert account_rule(db.session(), researcher).most_age_days is None


@pytest.mark.parametrize(("age", "said"), [(52, ""), (53, ""), (54, "in 6 days"), (59, "in 1 day"), (60, "today")])
def test_every_page_warns_a_week_before_a_password_expires(app: Flask, factory: Factory, age: int, said: str):
    """PORTAL-41."""
    study = factory.study()
    set_security(db.session(), study, 8, 60, actor=SERVER)
    visitor = Visitor(app, factory.researcher(study=study))
    db.session.execute(sa.update(Researcher).values(password_changed_at=this_hour() - timedelta(days=age, minutes=1)))
    db.session.commit()
    page = visitor.get(f"/view_study/{study.id}").text
    assert f"Your password expires {said}." in page if said else "Your password expires" not in page


def test_the_settings_file_is_downloaded_and_imported_after_a_look(factory: Factory, site: Visitor):
    """PORTAL-97, SURVEY-53."""
    study = factory.study("Sleep and mood")
    path = f"/import_study_settings_file/{study.id}"
    ticks = {"device_settings": "true", "surveys": "true"}
    preview = upload(site, path, CURRENT, **ticks)
    assert preview.status_code == 200 and "would be added" in preview.text
    assert study_file(db.session(), again(study))["surveys"] == []
    digest = re.search(r'name="confirmed" value="([0-9a-f]{64})"', preview.text)
    assert digest
    assert upload(site, path, CURRENT, confirmed=digest[1], surveys="true").status_code == 200  # other ticks
    assert upload(site, path, CURRENT, confirmed=digest[1], **ticks).status_code == 302
    exported = site.get(f"/export_study_settings_file/{study.id}")
    assert "filename=Sleep_and_mood_surveys_and_settings.json" in exported.headers["Content-Disposition"]
    assert json.loads(exported.text)["surveys"] == json.loads(CURRENT)["surveys"]
    truncated = (VECTORS / "surveys" / "export_truncated.json").read_bytes()
    assert "line" in upload(site, path, truncated, **ticks).text
    assert upload(site, path, b"", **ticks).status_code == 422


def test_a_study_that_changed_since_the_look_is_looked_at_again(factory: Factory, site: Visitor):
    """SURVEY-53: what somebody else has saved meanwhile is not overwritten unseen."""
    study = factory.study()
    path, ticks = f"/import_study_settings_file/{study.id}", {"device_settings": "true"}
    digest = re.search(r'name="confirmed" value="([0-9a-f]{64})"', upload(site, path, CURRENT, **ticks).text)
    assert digest
    other = {"gps_on_duration_seconds": 77}
    save_app_settings(db.session(), again(study), other, this_hour(), actor=SERVER)
    db.session.commit()
    asked = upload(site, path, CURRENT, confirmed=digest[1], **ticks)
    assert asked.status_code == 200 and "77" in asked.text
    confirmed = re.search(r'name="confirmed" value="([0-9a-f]{64})"', asked.text)
    assert confirmed and upload(site, path, CURRENT, confirmed=confirmed[1], **ticks).status_code == 302


def test_a_file_with_a_number_that_is_too_large_is_refused(factory: Factory, site: Visitor):
    """SURVEY-53."""
    question = {"question_id": "a", "question_type": "slider", "question_text": "?", "min": 0, "max": 10**400}
    file = {"surveys": [{"survey_type": "tracking_survey", "content": [question]}]}
    upload = (io.BytesIO(json.dumps(file).encode()), "x.json")
    answer = site.post(f"/import_study_settings_file/{factory.study().id}", upload=upload, surveys="true")
    assert answer.status_code == 422 and "question a" in answer.text
