"""From a rule to an acknowledged alert by keyboard, and a translation; narrow and wide, light and dark."""

import json
from datetime import timedelta

import pytest
from flask import Flask
from playwright.sync_api import expect

from core.audit import SERVER
from core.database import db
from core.models import AlertRule, Study, Survey
from core.streams import Platform
from core.studies.languages import save_language
from tests.browser.navigator import Portal
from tests.browser.surveys.test_surveys import looks_right
from tests.support.answering import CONTENT, file_of, process, submits
from tests.support.factories import Factory
from tests.support.this_hour import this_hour

pytestmark = pytest.mark.usefixtures("quick_passwords")
SIZES = ((375, "light"), (375, "dark"), (1280, "dark"), (1280, "light"))


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    study = factory.study("Mood and movement")
    factory.researcher("mlopez", study=study).mail_address = "mlopez@example.org"
    db.session.commit()
    return study


@pytest.fixture
def survey(factory: Factory, study: Study) -> Survey:
    return factory.survey(study, name="Evening check", content=json.dumps(CONTENT))


def looks_right_everywhere(portal: Portal) -> None:
    for size in SIZES:
        looks_right(portal, *size)


def test_from_the_rule_to_the_acknowledgement_by_keyboard(
    portal: Portal, factory: Factory, study: Study, survey: Survey
):
    """CLAR-58."""
    now = this_hour()
    page, person = portal.page, factory.participant(study, platform=Platform.IOS)
    portal.signs_in("mlopez")
    portal.opens(f"/view_study/{study.id}/alerts/rules/new?survey={survey.id}&question=mood")
    page.get_by_label("bad", exact=True).focus()
    portal.presses("Space")
    looks_right_everywhere(portal)
    page.get_by_role("button", name="Make the rule").focus()
    portal.presses("Enter")
    expect(page.get_by_text("The rule was saved.")).to_be_visible()
    looks_right_everywhere(portal)
    # Made a moment before what the test uploads.
    db.session.execute(db.update(AlertRule).values(effective_from=now - timedelta(days=1)))
    db.session.commit()
    submits(person, survey, now - timedelta(hours=1), file_of({"mood": 0, "energy": 2}, Platform.IOS))
    process()
    portal.opens(f"/view_study/{study.id}/alerts")
    looks_right_everywhere(portal)
    page.get_by_role("link", name=person.patient_id).focus()
    portal.presses("Enter")
    portal.sees_heading(f"Alert about {person.patient_id}")
    looks_right_everywhere(portal)
    page.get_by_label("What was done").focus()
    page.keyboard.type("Called at noon.")
    portal.presses("Tab")
    portal.presses("Enter")
    expect(page.get_by_text("Messages that were not sent yet are not sent any more.")).to_be_visible()
    expect(page.get_by_text("Called at noon.")).to_be_visible()
    looks_right_everywhere(portal)


def test_a_survey_is_translated_by_keyboard(portal: Portal, study: Study, survey: Survey):
    """CLAR-59: a refused form keeps what was typed, with the problem at its field."""
    page = portal.page
    save_language(db.session(), study, "en", "English", {}, actor=SERVER)
    hebrew = save_language(db.session(), study, "he", "עברית", {}, actor=SERVER)
    db.session.commit()
    portal.signs_in("mlopez")
    portal.opens(f"/edit_survey/{study.id}/{survey.id}/translations/{hebrew.id}")
    for place, text in (("answer-mood-0", "רע"), ("answer-mood-1", "רע")):
        page.locator(f'[name="{place}"]').focus()
        page.keyboard.type(text)
    page.get_by_role("button", name="Save").first.focus()
    portal.presses("Enter")
    expect(page.locator("#answer-mood-1-error")).to_contain_text("two answers would read")
    portal.console_said("422")
    expect(page.locator('[name="answer-mood-0"]')).to_have_value("רע")
    looks_right_everywhere(portal)
    page.locator('[name="answer-mood-1"]').fill("ככה ככה")
    page.get_by_role("button", name="Save").first.focus()
    portal.presses("Enter")
    expect(page.get_by_text("עברית was saved.")).to_be_visible()
    looks_right_everywhere(portal)
