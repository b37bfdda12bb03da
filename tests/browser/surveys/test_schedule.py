"""The times of a survey, by mouse and by keyboard (SURVEY-30 to SURVEY-32, CLAR-52, CLAR-53)."""

from datetime import time

import pytest
from playwright.sync_api import expect

from core.database import db
from core.models import Study, Survey
from core.surveys.schedules import Weekly
from core.surveys.scheduling import planned_schedules
from tests.browser.navigator import Portal
from tests.browser.surveys.test_surveys import looks_right
from tests.support.factories import Factory

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def survey(factory: Factory) -> Survey:
    study: Study = factory.study("Mood and movement")
    factory.researcher("mlopez", study=study)
    factory.intervention(study, "Surgery")
    for _ in range(3):
        factory.participant(study)
    return factory.survey(study, name="Evening check")


def opened(portal: Portal, survey: Survey) -> None:
    portal.signs_in("mlopez")
    portal.sees_heading("Mood and movement")
    portal.opens(f"/edit_survey/{survey.study_id}/{survey.id}/schedule")
    portal.sees_heading("Evening check")


def test_all_kinds_of_times_are_saved_after_their_effect_was_shown(portal: Portal, survey: Survey):
    """SURVEY-30, SURVEY-32: weekly grid, date, after an intervention, random times, own time to answer."""
    page = portal.page
    opened(portal, survey)
    for size in ((375, "light"), (1280, "dark")):
        looks_right(portal, *size)
    page.get_by_role("button", name="Add a weekly time").click()
    weekly = page.get_by_role("region", name="Weekly times")
    weekly.get_by_label("At", exact=True).fill("20:00")
    weekly.get_by_label("Sun").uncheck(force=True)
    changes = page.get_by_role("region", name="What saving changes")
    expect(changes).to_contain_text("for 3 participants")
    page.get_by_role("button", name="Add a date").click()
    page.get_by_role("region", name="Dates").get_by_label("Date", exact=True).fill("2031-02-03")
    page.get_by_role("region", name="Dates").get_by_label("At", exact=True).fill("09:30")
    page.get_by_role("button", name="Add a time").click()
    relative = page.get_by_role("region", name="After or before an intervention")
    relative.get_by_label("Intervention", exact=True).select_option(label="Surgery")
    relative.get_by_label("At", exact=True).fill("08:00")
    page.get_by_role("button", name="Add random times").click()
    window = page.get_by_role("region", name="Random times")
    window.get_by_label("Times a day").fill("20")
    window.get_by_label("Minutes apart, at least").fill("60")
    window.get_by_label("Minutes apart, at least").press("Tab")
    page.get_by_role("button", name="Save the times").click()
    expect(window.locator(".error")).to_contain_text("20 prompts at least 60 minutes apart need")
    for size in ((375, "dark"), (1280, "light")):
        looks_right(portal, *size)
    window.get_by_label("Times a day").fill("4")
    page.get_by_role("textbox", name="Time to answer").fill("90")
    page.get_by_label("its own:").check()
    page.get_by_label("Unit").select_option("minutes")
    page.get_by_role("button", name="Save the times").click()
    expect(page.get_by_text("The times were saved.")).to_be_visible()
    assert len(planned_schedules(db.session(), survey)) == 6 + 1 + 1 + 1
    calendar = page.get_by_role("region", name="The coming four weeks")
    expect(calendar).to_contain_text("20:00 Evening check")
    expect(calendar).to_contain_text("(example)")
    for size in ((375, "light"), (1280, "light"), (2560, "dark")):
        looks_right(portal, *size)
    portal.console_said("422")


def test_the_keyboard_ticks_days_and_removes_rows(portal: Portal, survey: Survey, factory: Factory):
    """Every new page: keyboard alone."""
    factory.schedule(survey, Weekly(1, time(9)))
    opened(portal, survey)
    page = portal.page
    page.get_by_role("region", name="Weekly times").get_by_label("At", exact=True).focus()
    tuesday = page.get_by_role("region", name="Weekly times").get_by_label("Tue")
    tuesday.focus()
    portal.presses("Space")
    expect(tuesday).to_be_checked()
    expect(page.get_by_role("region", name="What saving changes")).to_contain_text("appear")
    remove = page.get_by_role("region", name="Weekly times").get_by_role("button", name="Remove")
    remove.focus()
    portal.presses("Enter")
    expect(page.get_by_role("region", name="Weekly times").get_by_label("At", exact=True)).to_have_count(0)
    expect(page.get_by_role("region", name="What saving changes")).to_contain_text("vanish")


def test_the_calendar_of_the_study_follows_the_choice_of_a_participant(
    portal: Portal, survey: Survey, factory: Factory
):
    """SURVEY-32, NOTIF-21."""
    person = factory.participant(db.session.get_one(Study, survey.study_id))
    opened(portal, survey)
    page = portal.page
    portal.opens(f"/view_study/{survey.study_id}/surveys/calendar")
    portal.sees_heading("Calendar of surveys")
    page.get_by_label("Participant", exact=True).fill(person.patient_id)
    page.get_by_label("Participant", exact=True).press("Tab")
    expect(page.get_by_text("For nobody in particular")).to_have_count(0)
    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    expect(page.get_by_role("region", name="The coming four weeks")).to_contain_text("in Tokyo")
    for size in ((375, "dark"), (1280, "light")):
        looks_right(portal, *size)
