"""Changing app settings, and what they were at a time (SURVEY-40 to SURVEY-43, CLAR-31)."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.audit import COMMAND_LINE
from core.database import db
from core.models import AppSettings, AppSettingsVersion, AuditRecord, ConsentVersion, Study
from core.models.audit_record import Action
from core.participants.expected_streams import expected_by_day
from core.streams import SPECS, DataStream
from core.studies import StudyRefused
from core.studies.settings_changes import SettingsOvertaken, save_app_settings, setting_problems
from core.studies.settings_versions import newest_version, settings_at, settings_history
from tests.support.factories import Factory

NEW_YORK = ZoneInfo("America/New_York")
START = datetime(2026, 9, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
GPS = SPECS[DataStream.GPS].number


@pytest.fixture
def study(factory: Factory) -> Study:
    """A study that was made on 1 September."""
    study = factory.study("Sleep", app_settings={"gps_on_duration_seconds": 90})
    for version in (AppSettingsVersion, ConsentVersion):
        db.session.execute(db.update(version).values(at=START))
    db.session.commit()
    return study


def save(study: Study, at: datetime, **values: object) -> list[str]:
    changed = save_app_settings(db.session(), study, values, at, actor=COMMAND_LINE)
    db.session.commit()
    return changed


def settings_of(study: Study) -> AppSettings:
    return db.session.scalars(db.select(AppSettings).filter_by(study_id=study.id)).one()


def consent_versions(study: Study) -> list[ConsentVersion]:
    rows = db.select(ConsentVersion).filter_by(study_id=study.id).order_by(ConsentVersion.number)
    return list(db.session.scalars(rows))


def trail(study: Study) -> list[AuditRecord]:
    rows = db.select(AuditRecord).filter_by(action=Action.STUDY_APP_SETTINGS.value, study_object_id=study.object_id)
    return list(db.session.scalars(rows))


def test_a_new_study_has_a_first_version_of_settings_and_consent(study: Study):
    """SURVEY-40, CLAR-31."""
    assert settings_at(db.session(), study.id, START)["gps_on_duration_seconds"] == 90
    assert len(settings_at(db.session(), study.id, START)) == 51
    (first,) = consent_versions(study)
    assert (first.number, first.author_name) == (1, "server")
    assert first.form_text == settings_of(study).consent_form_text and len(first.sections) == 8


def test_a_change_is_written_with_its_version_and_its_row_in_the_audit_trail(study: Study):
    """SURVEY-42, CLAR-20: old and new numbers and switches; of texts only that they changed."""
    assert save(study, START + DAY, gps=False, gps_on_duration_seconds=120, about_page_text="New") == [
        "gps",
        "gps_on_duration_seconds",
        "about_page_text",
    ]
    assert settings_of(study).gps is False
    (row,) = trail(study)
    assert row.detail["before"] == {"gps": True, "gps_on_duration_seconds": 90}
    assert row.detail["after"] == {"gps": False, "gps_on_duration_seconds": 120}
    assert row.detail["settings"] == ["gps", "gps_on_duration_seconds", "about_page_text"]
    assert "New" not in str(row.detail)
    assert len(consent_versions(study)) == 1, "no text of the consent changed"


def test_saving_what_is_there_writes_nothing(study: Study):
    """SURVEY-42."""
    assert save(study, START + DAY, gps=True, gps_on_duration_seconds=90, consent_sections={}) == []
    assert not trail(study) and len(list(db.session.scalars(db.select(AppSettingsVersion)))) == 1


def test_a_change_based_on_an_older_version_is_refused(study: Study):
    """SURVEY-42: decided under the lock, so that two at once cannot both pass."""
    seen = newest_version(db.session(), study.id)
    assert seen is not None
    save(study, START + DAY, gps=False)
    with pytest.raises(SettingsOvertaken, match="command line changed"):
        save_app_settings(db.session(), study, {"calls": False}, START, actor=COMMAND_LINE, based_on=seen.id)
    db.session.rollback()
    assert settings_of(study).calls is True


def test_nothing_is_saved_until_every_value_is_right(study: Study):
    """SURVEY-42: each problem is named."""
    wrong = {"gps": False, "heartbeat_timer_minutes": 29, "nonsense": 1, "consent_sections": {"welcome": {"text": 5}}}
    with pytest.raises(StudyRefused, match=r"heartbeat_timer_minutes: at least 30; nonsense: .*; consent_sections: "):
        save_app_settings(db.session(), study, wrong, START + DAY, actor=COMMAND_LINE)
    db.session.rollback()
    assert settings_of(study).gps is True
    assert setting_problems(wrong)["heartbeat_timer_minutes"] == "At least 30."
    assert set(setting_problems(wrong)) == {"heartbeat_timer_minutes", "nonsense", "consent_sections"}


def test_consent_texts_have_numbered_versions_and_other_settings_make_none(study: Study):
    """CLAR-31."""
    save(study, START + DAY, gps=False)
    save(study, START + 2 * DAY, consent_form_text="You may stop.")
    save(study, START + 3 * DAY, consent_sections={"welcome": {"text": "Hello"}})
    assert [(v.number, v.at, v.form_text[:13], v.sections["welcome"]["text"]) for v in consent_versions(study)[1:]] == [
        (2, START + 2 * DAY, "You may stop.", ""),
        (3, START + 3 * DAY, "You may stop.", "Hello"),
    ]


def test_the_settings_of_any_moment_are_known(study: Study):
    """SURVEY-40: last month is judged by last month's settings."""
    save(study, START + 10 * DAY, gps_on_duration_seconds=30)
    save(study, START + 20 * DAY, gps_on_duration_seconds=45)
    at = [START - DAY, START, START + 10 * DAY - timedelta(seconds=1), START + 10 * DAY, START + 99 * DAY]
    assert [settings_at(db.session(), study.id, moment)["gps_on_duration_seconds"] for moment in at] == [
        90,
        90,
        90,
        30,
        45,
    ]
    changes, has_more = settings_history(db.session(), study.id, 1, 2)
    assert has_more and [change.changed for change in changes] == [("gps_on_duration_seconds",)] * 2
    assert [(c.before and c.before["gps_on_duration_seconds"]) for c in changes] == [30, 90]
    last_page, has_more = settings_history(db.session(), study.id, 2, 2)
    assert not has_more and last_page[0].before is None


def test_a_day_is_judged_by_the_settings_of_that_day(study: Study):
    """SURVEY-40, PORTAL-220: a stream that was switched on or off during a day is not expected on it."""
    off = datetime(2026, 9, 10, 15, tzinfo=NEW_YORK)
    on = datetime(2026, 9, 20, 0, tzinfo=NEW_YORK)
    save(study, off, gps=False)
    save(study, on, gps=True)
    expected_on = expected_by_day(db.session(), study, "ANDROID")
    expected = {day: GPS in expected_on(date(2026, 9, day)) for day in (1, 9, 10, 11, 19, 20, 21)}
    assert expected == {1: True, 9: True, 10: False, 11: False, 19: False, 20: True, 21: True}
