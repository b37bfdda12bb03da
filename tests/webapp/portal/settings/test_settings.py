"""The page of app settings: the form, its preview, and what is refused (SURVEY-40 to SURVEY-43)."""

import re
from datetime import UTC, datetime

import pytest
from flask import Flask

from core.access import Role
from core.audit import COMMAND_LINE
from core.database import db
from core.models import AppSettings, AppSettingsVersion, Study
from core.models.app_settings import CONSENT_SECTIONS
from core.studies.app_settings import SETTING_RULES
from core.studies.settings_changes import save_app_settings
from tests.support.factories import Factory
from tests.support.page_forms import fields_of
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Sleep")


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    """A study administrator."""
    return Visitor(app, factory.researcher("anna", study=study, role=Role.STUDY_ADMIN))


def path_of(study: Study, more: str = "") -> str:
    return f"/device_settings/{study.id}{more}"


def typed(visitor: Visitor, study: Study, without: tuple[str, ...] = (), **changes: str) -> dict[str, str]:
    """The form as it is in the page, with changes."""
    fields = fields_of(visitor.get(path_of(study)).text, "settings-form") | changes
    return {name: value for name, value in fields.items() if name not in (*without, "csrf_token")}


def settings_of(study: Study) -> AppSettings:
    db.session.expire_all()
    return db.session.scalars(db.select(AppSettings).filter_by(study_id=study.id)).one()


def versions(study: Study) -> int:
    count = db.select(db.func.count()).select_from(AppSettingsVersion).filter_by(study_id=study.id)
    return db.session.scalar(count) or 0


def test_the_form_has_every_setting_and_its_default_is_marked_where_it_differs(visitor: Visitor, study: Study):
    """SURVEY-40, SURVEY-41, CLAR-30: 50 fields and two for each of the eight sections."""
    save_app_settings(db.session(), study, {"gps_on_duration_seconds": 90}, datetime.now(UTC), actor=COMMAND_LINE)
    db.session.commit()
    page = visitor.get(path_of(study)).text
    names = set(re.findall(r'(?:<input|<textarea)[^>]* name="([^"]+)"', page))
    assert {rule.name for rule in SETTING_RULES} - {"consent_sections"} <= names
    assert {f"consent_section.{section}.{part}" for section in CONSENT_SECTIONS for part in ("text", "more")} <= names
    shown = re.findall(r'data-for="(\w+)">Default: <span>([^<]+)</span>', page)
    assert shown == [("gps_on_duration_seconds", "60 seconds")], "others are hidden until they differ"


def test_saving_the_page_unchanged_changes_nothing(visitor: Visitor, study: Study):
    """SURVEY-42."""
    answer = visitor.post(path_of(study), **typed(visitor, study))
    assert answer.status_code == 302
    assert "Nothing was changed" in visitor.get(answer.location).text
    assert versions(study) == 1


def test_success_lists_what_changed(visitor: Visitor, study: Study):
    """SURVEY-42: a tick that is not sent is off, texts are trimmed; consent sections are named one by one."""
    changes = {"consent_section.privacy.text": "  Kept safe\r\nalways ", "gps_on_duration_seconds": "120"}
    answer = visitor.post(path_of(study), **typed(visitor, study, without=("calls",), **changes))
    assert answer.status_code == 302
    said = visitor.get(answer.location).text
    assert "Changed: Calls, GPS: on for, Consent section “Privacy”." in said
    saved = settings_of(study)
    assert (saved.calls, saved.gps, saved.gps_on_duration_seconds) == (False, True, 120)
    assert saved.consent_sections["privacy"] == {"text": "Kept safe\nalways", "more": ""}


def test_nothing_is_saved_until_all_are_right_and_what_was_typed_stays(visitor: Visitor, study: Study):
    """SURVEY-42: a summary with links, messages at the fields."""
    wrong = {"heartbeat_timer_minutes": "29", "gps_on_duration_seconds": "soon", "about_page_text": "New <b>text"}
    answer = visitor.post(path_of(study), **typed(visitor, study, without=("calls",), **wrong))
    assert answer.status_code == 422
    assert "Nothing was saved: 2 settings cannot be as typed." in answer.text
    assert '<a href="#heartbeat_timer_minutes">' in answer.text
    assert 'id="heartbeat_timer_minutes-error">A number from 30 to 2,147,483,647.' in answer.text
    assert 'value="soon"' in answer.text and "New &lt;b&gt;text" in answer.text
    assert versions(study) == 1 and settings_of(study).calls is True


@pytest.mark.parametrize("value", ["", "-1", "0", "1.5", "2147483648", "9" * 400, "٣٤", "1e3"])
def test_numbers_out_of_range_or_none_are_refused(visitor: Visitor, study: Study, value: str):
    """SURVEY-42: those that the database could not hold, too. Digits of other scripts are numbers."""
    answer = visitor.post(path_of(study), **typed(visitor, study, gps_on_duration_seconds=value))
    assert answer.status_code == (302 if value == "٣٤" else 422)


def test_a_request_that_lacks_settings_saves_nothing(visitor: Visitor, study: Study):
    """SURVEY-42: a number or text that is not sent is an error, so that half a form switches nothing off."""
    answer = visitor.post(path_of(study), gps="y")
    assert answer.status_code == 422 and versions(study) == 1
    missing_text = visitor.post(path_of(study), **typed(visitor, study, without=("consent_form_text",)))
    assert missing_text.status_code == 422 and "This text was not sent." in missing_text.text


def test_a_form_that_was_overtaken_asks_once_more(visitor: Visitor, study: Study):
    """SURVEY-42: somebody else's change is not overwritten unseen."""
    fields = typed(visitor, study, gps_on_duration_seconds="120")
    save_app_settings(db.session(), study, {"calls": False}, datetime.now(UTC), actor=COMMAND_LINE)
    db.session.commit()
    answer = visitor.post(path_of(study), **fields)
    assert answer.status_code == 409 and "command line changed the settings" in answer.text
    assert settings_of(study).gps_on_duration_seconds == 60
    again = {name: value for name, value in fields_of(answer.text, "settings-form").items() if name != "csrf_token"}
    assert visitor.post(path_of(study), **again).status_code == 302
    assert settings_of(study).gps_on_duration_seconds == 120


def test_the_preview_follows_the_form_and_saves_nothing(visitor: Visitor, study: Study):
    """SURVEY-43: what will change, the strip, data and battery; the consent as phones show it."""
    changes = {"gps_on_duration_seconds": "600", "consent_section.welcome.text": "Hello <you>"}
    fields = typed(visitor, study, without=("accelerometer",), **changes)
    fragment = visitor.post(path_of(study, "/preview"), headers={"HX-Request": "true"}, **fields).text
    assert "<html" not in fragment and "3 changes to save" in fragment
    assert "On 600 s of every 1,200 s: 50.0 % of the day" in fragment
    assert "<del>60 seconds</del> <ins>600 seconds</ins>" in fragment and "Hello &lt;you&gt;" in fragment
    whole = visitor.post(path_of(study, "/preview"), **fields)
    assert whole.status_code == 200 and "<html" in whole.text and "3 changes to save" in whole.text
    assert fields_of(whole.text, "settings-form")["gps_on_duration_seconds"] == "600"
    assert versions(study) == 1


def test_the_preview_warns_of_what_breaks_comparison_and_of_resends(visitor: Visitor, study: Study):
    """SURVEY-40, SURVEY-43, NOTIF-51."""
    save_app_settings(db.session(), study, {"resend_period_minutes": 0}, datetime.now(UTC), actor=COMMAND_LINE)
    db.session.commit()
    quiet = visitor.post(path_of(study, "/preview"), **typed(visitor, study)).text
    assert "cannot be compared.</span>" not in quiet and "never sent again" not in quiet
    fields = typed(visitor, study, use_gps_fuzzing="y", resend_period_minutes="60")
    warned = visitor.post(path_of(study, "/preview"), **fields).text
    assert "cannot be compared.</span>" in warned and "are never sent again; only later ones are" in warned


def test_a_preview_of_wrong_values_says_so(visitor: Visitor, study: Study):
    """SURVEY-43."""
    fields = typed(visitor, study, gps_on_duration_seconds="0")
    fragment = visitor.post(path_of(study, "/preview"), headers={"HX-Request": "true"}, **fields).text
    assert "drawn with their saved value" in fragment and "On 60 s of every 660 s" in fragment


def test_researchers_read_and_administrators_change(app: Flask, factory: Factory, study: Study, visitor: Visitor):
    """SURVEY-40, PERM-91: those who may not change settings get no form."""
    reader = Visitor(app, factory.researcher(study=study))
    page = reader.get(path_of(study)).text
    assert "GPS: on for" in page and "<textarea" not in page and "Save app settings" not in page
    assert reader.post(path_of(study), **typed(visitor, study, calls="")).status_code == 403
