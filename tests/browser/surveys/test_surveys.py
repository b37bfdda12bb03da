"""The pages of surveys, by mouse, narrow and wide, light and dark."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from core.audit import SERVER
from core.database import db
from core.models import Study, SurveyType
from core.surveys.saving import SurveyChanges, add_survey, save_survey
from tests.browser.navigator import Portal
from tests.support.factories import Factory
from tests.support.paths import VECTORS

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(factory: Factory) -> Study:
    """A study with the survey of the golden settings file that has most questions, changed once."""
    study = factory.study("Mood and movement")
    factory.researcher("mlopez", study=study)
    file = json.loads((VECTORS / "surveys" / "export_current.json").read_text())
    content = max((survey["content"] for survey in file["surveys"]), key=len)
    session, now = db.session(), datetime.now(UTC)
    changes = SurveyChanges(name="Evening check", content=content[:-1])
    survey = add_survey(session, study, SurveyType.TRACKING, changes, now - timedelta(days=1), actor=SERVER)
    save_survey(session, survey, SurveyChanges(content=content), now, actor=SERVER)
    session.commit()
    return study


def test_a_survey_is_looked_at_compared_deleted_and_restored(portal: Portal, study: Study):
    """PORTAL-210, SURVEY-3, SURVEY-4."""
    page = portal.page
    portal.signs_in("mlopez")
    page.get_by_role("navigation", name="Study").get_by_role("link", name="Surveys").click()
    portal.sees_heading("Surveys")
    for size in ((375, "light"), (1280, "dark")):
        looks_right(portal, *size)
    page.get_by_role("link", name="Evening check", exact=True).click()
    portal.sees_heading("Evening check")
    expect(page.get_by_text("Shown if question 2")).to_be_visible()
    for size in ((375, "dark"), (1280, "light")):
        looks_right(portal, *size)
    page.get_by_role("link", name="Compare versions").click()
    expect(page.get_by_label("Before")).to_be_visible()
    expect(page.get_by_text("not in this version")).to_have_count(1)
    for size in ((375, "light"), (1280, "dark")):
        looks_right(portal, *size)
    page.get_by_role("navigation", name="Survey").get_by_role("link", name="Survey").click()
    page.get_by_role("button", name="Delete the survey").click()
    expect(page.get_by_text("Evening check was deleted")).to_be_visible()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("The survey is back")).to_be_visible()


def looks_right(portal: Portal, width: int, scheme: str) -> None:
    portal.page.set_viewport_size({"width": width, "height": 800})
    portal.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    portal.has_no_sideways_scroll()
    portal.has_no_axe_violation()
