"""History, rollout and consent versions of app settings (SURVEY-40, CLAR-31, CLAR-34)."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from core.audit import COMMAND_LINE
from core.database import db
from core.models import AppSettingsVersion, Study
from core.studies.settings_changes import save_app_settings
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")
DAY = timedelta(days=1)


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Sleep")


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher(study=study))


def save(study: Study, **values: object) -> int:
    """Saves them and returns the number of the version."""
    save_app_settings(db.session(), study, values, datetime.now(UTC), actor=COMMAND_LINE)
    db.session.commit()
    number = db.session.scalar(db.select(db.func.max(AppSettingsVersion.id)).filter_by(study_id=study.id))
    assert number is not None
    return number


def test_the_history_tells_who_changed_what_and_links_to_the_settings_of_then(visitor: Visitor, study: Study):
    """SURVEY-40."""
    first = save(study, gps_on_duration_seconds=90)
    save(study, gps=False, about_page_text="<i>New</i>")
    page = visitor.get(f"/device_settings/{study.id}/history").text
    assert "2 settings changed by command line" in page and "First settings by server" in page
    assert "GPS: <del>on</del> → <ins>off</ins>" in page and "&lt;i&gt;New&lt;/i&gt;" in page
    then = visitor.get(f"/device_settings/{study.id}/history/{first}").text
    assert "<dt>GPS</dt><dd>on</dd>" in then and "90 seconds" in then
    assert "They were changed later" in then


def test_a_version_of_another_study_is_not_there(visitor: Visitor, study: Study, factory: Factory):
    """PERM-19."""
    foreign = save(factory.study(), gps=False)
    for path in (
        f"history/{foreign}",
        f"rollout?version={foreign}",
        "rollout?version=x",
        "consent/2",
        "consent/99999999999",
    ):
        assert visitor.get(f"/device_settings/{study.id}/{path}").status_code == 404, path


def test_long_histories_come_in_pages(visitor: Visitor, study: Study):
    """SURVEY-40: 20 a page."""
    for seconds in range(100, 121):
        save(study, gps_on_duration_seconds=seconds)
    first = visitor.get(f"/device_settings/{study.id}/history").text
    assert "120 seconds" in first and "First settings" not in first
    assert "First settings" in visitor.get(f"/device_settings/{study.id}/history?page=2").text
    assert "no older changes" in visitor.get(f"/device_settings/{study.id}/history?page=99").text


def test_the_rollout_names_phones_without_the_change_and_why(visitor: Visitor, study: Study, factory: Factory):
    """CLAR-34."""
    there, silent = factory.participant(study), factory.participant(study)
    silent.activity.last_settings_at = datetime.now(UTC) - 2 * DAY
    number = save(study, gps=False)
    there.activity.last_settings_at = datetime.now(UTC)
    db.session.commit()
    page = visitor.get(f"/device_settings/{study.id}/rollout").text
    assert "1 <small>of 2 phones</small>" in page
    assert silent.patient_id in page and there.patient_id not in page
    assert "no request since the change" in page
    assert "1 of 2 phones" in visitor.get(f"/device_settings/{study.id}").text
    assert visitor.get(f"/device_settings/{study.id}/rollout?version={number}").status_code == 200


def test_a_study_without_phones_says_what_will_come(visitor: Visitor, study: Study):
    """CLAR-34."""
    assert "No phone is registered yet" in visitor.get(f"/device_settings/{study.id}/rollout").text


def test_a_consent_version_shows_its_differences_and_says_sent(visitor: Visitor, study: Study):
    """CLAR-31."""
    save(study, consent_form_text="You may stop at any time.", gps=False)
    save(study, consent_form_text="You may stop at <any> time.")
    listed = visitor.get(f"/device_settings/{study.id}/consent").text
    assert listed.index("Version 3") < listed.index("Version 1") and "later or never" in listed
    page = visitor.get(f"/device_settings/{study.id}/consent/3").text
    assert "<ins>&lt;</ins>any<ins>&gt;</ins>" in page
    assert "What differs" not in visitor.get(f"/device_settings/{study.id}/consent/1").text
