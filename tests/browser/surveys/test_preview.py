"""The preview of a survey, by mouse and by keyboard alone, and copying (SURVEY-26, CLAR-50)."""

import json
import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.models import Study, Survey
from tests.browser.navigator import Portal
from tests.browser.surveys.test_surveys import looks_right
from tests.support.factories import Factory

pytestmark = pytest.mark.usefixtures("quick_passwords")
PICTURES = os.environ.get("PREVIEW_PICTURES")

CONTENT = [
    {"question_id": "t", "question_type": "info_text_box", "question_text": "Think of {{ today }} <b>only</b> 😀"},
    {
        "question_id": "s",
        "question_type": "slider",
        "question_text": "How low did you feel?",
        "min": "0",
        "max": "10",
        "required": True,
    },
    {
        "question_id": "r",
        "question_type": "radio_button",
        "question_text": "האם לקחת תרופה?",
        "answers": [{"text": "כן"}, {"text": "Partly"}, {"text": "No"}],
        "display_if": {">": ["s", 5]},
    },
    {
        "question_id": "b",
        "question_type": "checkbox",
        "question_text": "What kept you from it?",
        "answers": [{"text": "I forgot"}, {"text": "Side effects"}],
        "display_if": {"or": [{"==": ["r", 1]}, {"==": ["r", 2]}]},
    },
    {
        "question_id": "l",
        "question_type": "free_response",
        "question_text": "Anything else?",
        "text_field_type": "MULTI_LINE_TEXT",
    },
]


@pytest.fixture
def study(factory: Factory) -> Study:
    study = factory.study("Mood and movement")
    factory.researcher("mlopez", study=study)
    return study


@pytest.fixture
def survey(factory: Factory, study: Study) -> Survey:
    return factory.survey(study, name="Evening check", content=json.dumps(CONTENT))


def opens_preview(portal: Portal, survey: Survey) -> None:
    portal.signs_in("mlopez")
    portal.opens(f"/edit_survey/{survey.study_id}/{survey.id}")
    portal.page.get_by_role("link", name="Preview").click()
    expect(portal.page.get_by_role("region", name="Preview on a phone")).to_be_visible()
    portal.page.wait_for_load_state()


def takes_picture(portal: Portal, name: str) -> None:
    if PICTURES:
        portal.page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def test_a_survey_is_tried_by_mouse(portal: Portal, survey: Survey):
    """SURVEY-26: question by question, narrow and wide, light and dark, without a word on the console."""
    opens_preview(portal, survey)
    page = portal.page
    phone = page.get_by_role("region", name="Preview on a phone")
    phone.get_by_role("link", name="Android").click()
    expect(phone.get_by_text("As Android shows it")).to_be_visible()
    expect(phone.get_by_role("heading", name="Think of {{ today }} <b>only</b>")).to_be_visible()
    phone.get_by_role("button", name="Next").click()
    expect(phone.get_by_text("2 of 5")).to_be_visible()
    portal.said.clear()  # the browser itself reports the refusal that follows
    phone.get_by_role("button", name="Next").click()
    expect(phone.get_by_role("alert")).to_have_text("This question must be answered.")
    portal.console_said("422")
    for size in ((375, "dark"), (1280, "light")):
        looks_right(portal, *size)
        takes_picture(portal, f"refused-{size[0]}")
    page.get_by_role("slider").fill("8")
    expect(phone.get_by_role("spinbutton")).to_have_value("8")
    phone.get_by_role("button", name="Next").click()
    phone.get_by_label("Partly").check()
    for size in ((375, "light"), (1280, "dark")):
        looks_right(portal, *size)
        takes_picture(portal, f"choice-{size[0]}")
    phone.get_by_role("button", name="Next").click()
    phone.get_by_label("I forgot").check()
    phone.get_by_role("button", name="Next").click()
    phone.get_by_role("textbox", name="Anything else?").fill("no, thanks 😀")
    phone.get_by_role("button", name="Next").click()
    expect(phone.get_by_role("heading", name="The survey ends here")).to_be_visible()
    phone.get_by_text("The answers file that Android uploads").click()
    expect(phone.get_by_text("no; thanks 😀", exact=False)).to_be_visible()
    for size in ((375, "light"), (1280, "dark"), (2560, "light")):
        looks_right(portal, *size)
        takes_picture(portal, f"end-{size[0]}")
    phone.get_by_role("button", name="Back").click()
    expect(phone.get_by_role("textbox", name="Anything else?")).to_have_value("no, thanks 😀")
    portal.address_ends_with(f"/edit_survey/{survey.study_id}/{survey.id}/preview")
    portal.console_said()


def test_a_survey_is_tried_by_keyboard_alone(portal: Portal, survey: Survey):
    """SURVEY-26: the question has the focus after each step, and the fields follow it."""
    opens_preview(portal, survey)
    phone = portal.page.get_by_role("region", name="Preview on a phone")
    phone.get_by_role("button", name="Next").focus()
    portal.presses("Enter")
    expect(phone.get_by_text("2 of 5")).to_be_visible()
    expect(portal.focused).to_contain_text("How low did you feel?")
    portal.presses("Tab", "Tab")
    expect(portal.focused).to_have_role("spinbutton")
    portal.page.keyboard.type("7")
    portal.presses("Enter")
    expect(phone.get_by_text("3 of 5")).to_be_visible()
    portal.presses("Tab", "Space", "ArrowDown", "Enter")
    expect(phone.get_by_text("4 of 5")).to_be_visible()
    portal.presses("Tab", "Space", "Tab", "Tab", "Tab")
    expect(portal.focused).to_have_text("Back")
    portal.presses("Enter")
    expect(phone.get_by_label("Partly")).to_be_checked()
    portal.console_said()


def test_a_survey_is_tried_without_scripts(portal: Portal, survey: Survey):
    """Every step is a form of its own."""
    opens_preview(portal, survey)
    page = portal.page
    page.route("**/*.js*", lambda route: route.abort())
    page.reload()
    phone = page.get_by_role("region", name="Preview on a phone")
    phone.get_by_role("button", name="Next").click()
    phone.get_by_role("spinbutton").fill("3")
    phone.get_by_role("button", name="Next").click()
    expect(phone.get_by_text("4 of 5").or_(phone.get_by_text("5 of 5"))).to_be_visible()
    portal.said.clear()


def test_a_survey_is_copied_and_its_questions_are_brought_in(portal: Portal, survey: Survey, study: Study):
    """CLAR-50."""
    page = portal.page
    portal.signs_in("mlopez")
    portal.opens(f"/edit_survey/{survey.study_id}/{survey.id}")
    page.get_by_role("link", name="Copy the survey").click()
    for size in ((375, "dark"), (1280, "light")):
        looks_right(portal, *size)
        takes_picture(portal, f"copy-{size[0]}")
    page.get_by_role("button", name="Copy").click()
    portal.sees_heading("Copy of Evening check")
    page.get_by_role("link", name="Bring in questions").click()
    page.get_by_role("button", name="Show its surveys").click()
    page.get_by_role("combobox", name="Survey").select_option(label="Evening check")
    page.get_by_role("button", name="Show its questions").click()
    page.get_by_label("What kept you from it?").check()
    page.get_by_label("Anything else?").check()
    for size in ((375, "light"), (1280, "dark")):
        looks_right(portal, *size)
        takes_picture(portal, f"bring-{size[0]}")
    page.get_by_role("button", name="Bring in").click()
    expect(page.get_by_text("2 questions added at the end of the draft")).to_be_visible()
    expect(page.get_by_text("What names questions that did not come along was dropped")).to_be_visible()
    portal.console_said()
