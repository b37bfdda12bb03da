"""The designer by mouse and by keyboard: questions, conditions, drafts, publishing (SURVEY-5, SURVEY-25, SURVEY-27)."""

import json
import re

import pytest
from playwright.sync_api import expect

from core.database import db
from core.models import Study, Survey, SurveyType
from tests.browser.navigator import Portal
from tests.browser.surveys.designer import DesignerPage, drafted, logic_of
from tests.browser.surveys.test_surveys import looks_right
from tests.support.factories import Factory

pytestmark = pytest.mark.usefixtures("quick_passwords")

OFTEN = {
    "question_id": "often",
    "question_type": "radio_button",
    "question_text": "How often?",
    "answers": [{"text": "never"}, {"text": "some"}, {"text": "often"}],
    "required": True,
}
SCALE = {"question_id": "scale", "question_type": "slider", "question_text": "How low?", "min": "0", "max": "10"}
WHY = {"question_id": "why", "question_type": "free_response", "text_field_type": "SINGLE_LINE_TEXT"}
WHY |= {"question_text": "Why?", "display_if": {"==": ["often", 2]}}
REST = {"question_id": "rest", "question_type": "info_text_box", "question_text": "Thanks"}


@pytest.fixture
def study(factory: Factory) -> Study:
    study = factory.study("Mood and movement")
    factory.researcher("mlopez", study=study)
    return study


@pytest.fixture
def survey(factory: Factory, study: Study) -> Survey:
    return factory.survey(study, name="Evening check", content=json.dumps([OFTEN, SCALE, WHY, REST]))


def opened(portal: Portal, survey: Survey) -> DesignerPage:
    if portal.page.url == "about:blank":
        portal.signs_in("mlopez")
        portal.sees_heading("Mood and movement")
    portal.opens(f"/edit_survey/{survey.study_id}/{survey.id}/questions")
    return DesignerPage(portal)


def test_a_survey_is_built_and_published(portal: Portal, study: Study):
    """SURVEY-2, SURVEY-5, SURVEY-15, SURVEY-21: every type of question, a nested condition, settings."""
    page = portal.page
    portal.signs_in("mlopez")
    page.get_by_role("navigation", name="Study").get_by_role("link", name="Surveys").click()
    page.get_by_role("button", name="New survey").click()
    designer = DesignerPage(portal)
    looks_right(portal, 1280, "light")
    designer.adds("Text to read", "Think of today. 😀 {{ 7*7 }} <b>")
    designer.adds("Slider", "How low?")
    page.get_by_label("Greatest value").fill("4")
    designer.adds("One answer", "Did you sleep?")
    designer.gives_answers("yes", "partly", "no")
    designer.adds("Several answers", "What kept you awake?")
    designer.gives_answers("noise", "pain")
    designer.adds("Typed answer", "How many hours?")
    for kind in ("Date", "Time", "Date and time"):
        designer.adds(kind, f"{kind} of the last dose?")
    designer.chooses(4)
    designer.asks_only("if any of these holds")
    designer.compares(0, "3 Did you sleep?", "is", "no")
    page.get_by_role("button", name="Condition", exact=True).click()
    designer.compares(1, "2 How low?", "is at least", "3")
    page.get_by_role("button", name="Group").click()
    designer.compares(2, "4 What kept you awake?", "includes", "noise")
    designer.compares(3, "4 What kept you awake?", "includes", "pain")
    page.get_by_label("Group", exact=True).select_option(label="all of these")
    designer.is_saved()
    expect(designer.row(4)).to_contain_text("shown if question 3 “Did you sleep?” is “no” or")
    looks_right(portal, 375, "dark")
    looks_right(portal, 1280, "light")
    page.get_by_role("button", name="Settings of the survey").click()
    page.get_by_label("Always on the app’s main page").check()
    designer.is_saved()
    survey = db.session.scalars(db.select(Survey)).one()
    assert survey.published_at is None
    designer.publishes()
    expect(page.get_by_text("Version 1 is published")).to_be_visible()
    db.session.refresh(survey)
    content = json.loads(survey.content)
    ids = [question["question_id"] for question in content]
    assert content[4]["display_if"] == {
        "or": [
            {"==": [ids[2], 2]},
            {">=": [ids[1], 3]},
            {"and": [{"==": [ids[3], 0]}, {"==": [ids[3], 1]}]},
        ]
    }
    assert content[0]["question_text"] == "Think of today. 😀 {{ 7*7 }} <b>"
    assert (content[1]["min"], content[1]["max"]) == ("0", "4")
    assert json.loads(survey.settings) == {"always_available": True}


def test_the_keyboard_is_enough(portal: Portal, survey: Survey):
    """SURVEY-25: choose, reorder, add, undo, redo, edit answers, delete."""
    designer = opened(portal, survey)
    designer.row(0).focus()
    portal.presses("ArrowDown")
    expect(designer.row(1)).to_be_focused()
    portal.presses("Alt+ArrowUp")
    designer.has_questions("How low?", "How often?", "Why?", "Thanks")
    expect(designer.row(0)).to_be_focused()
    portal.presses("Control+z")
    designer.has_questions("How often?", "How low?", "Why?", "Thanks")
    portal.presses("Control+Shift+z")
    designer.has_questions("How low?", "How often?", "Why?", "Thanks")
    designer.row(1).focus()
    portal.presses("Enter")
    designer.answer(1).focus()
    portal.presses("Enter")
    expect(designer.answer(2)).to_be_focused()
    portal.page.keyboard.type("rarely")
    portal.presses("Alt+ArrowUp")
    expect(designer.answer(1)).to_have_value("rarely")
    designer.is_saved()
    assert [answer["text"] for answer in drafted(survey)[1]["answers"]] == ["never", "rarely", "some", "often"]
    assert logic_of(survey, 2) == {"==": ["often", 3]}
    portal.page.get_by_role("button", name="Add", exact=True).focus()
    portal.presses("Enter")
    expect(portal.page.get_by_role("button", name="Text to read", exact=True)).to_be_focused()
    portal.presses("Tab", "Enter")
    expect(portal.page.get_by_label("Text", exact=True)).to_be_focused()
    portal.page.keyboard.type("And pain?")
    designer.has_questions("How low?", "How often?", "And pain?", "Why?", "Thanks")
    designer.row(2).focus()
    portal.presses("Delete")
    designer.has_questions("How low?", "How often?", "Why?", "Thanks")
    expect(designer.row(2)).to_be_focused()


def test_deleting_what_a_condition_names_asks(portal: Portal, survey: Survey):
    """SURVEY-25, SURVEY-27: cancel changes nothing; the answer to the question is what is stored."""
    designer, page = opened(portal, survey), portal.page
    designer.chooses(0)
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("3 Why?")
    portal.has_no_axe_violation()
    dialog.get_by_role("button", name="Cancel").click()
    designer.has_questions("How often?", "How low?", "Why?", "Thanks")
    page.get_by_role("button", name="Delete answer 3").click()
    expect(dialog).to_contain_text("3 Why?: is “often”")
    dialog.get_by_label("3 Why?").select_option(label="is “some”")
    dialog.get_by_role("button", name="Change the answers").click()
    designer.is_saved()
    assert logic_of(survey, 2) == {"==": ["often", 1]}
    designer.row(2).focus()
    portal.presses("Alt+ArrowUp", "Alt+ArrowUp")
    dialog.get_by_role("button", name="Move, and drop those conditions").click()
    designer.has_questions("Why?", "How often?", "How low?", "Thanks")
    expect(page.locator(".shown-if")).to_have_count(0)


def test_is_not_is_written_as_phones_can_read_it(portal: Portal, survey: Survey):
    """SURVEY-23: `not` at the top; in a group less or more, for a required question that is always shown."""
    designer, page = opened(portal, survey), portal.page
    designer.chooses(3)
    designer.asks_only("if all of these hold")
    designer.compares(0, "2 How low?", "is not", "5")
    designer.is_saved()
    assert logic_of(survey, 3) == {"not": {"==": ["scale", 5]}}
    expect(page.get_by_text("“Is not” stands alone here")).to_be_visible()
    designer.compares(0, "1 How often?", "is not", "some")
    page.get_by_role("button", name="Condition", exact=True).click()
    expect(page.get_by_label("Comparison").nth(1)).to_be_visible()
    assert "is not" not in page.get_by_label("Comparison").nth(1).inner_text().split("\n")
    page.get_by_label("Shown", exact=True).select_option(label="if any of these holds")
    expect(designer.row(3)).to_contain_text(") or question 2")
    assert logic_of(survey, 3)["or"][0] == {"or": [{"<": ["often", 1]}, {">": ["often", 1]}]}


def test_errors_are_said_at_their_question_and_hinder_publishing(portal: Portal, survey: Survey):
    """SURVEY-20, SURVEY-23."""
    designer, page = opened(portal, survey), portal.page
    designer.chooses(1)
    page.get_by_label("Greatest value").fill("-5")
    expect(page.get_by_text("A slider goes from a whole number to a greater one.")).to_be_visible()
    expect(designer.row(1)).to_contain_text("has an error")
    designer.chooses(0)
    designer.answer(1).fill("some; or more")
    expect(page.get_by_role("button", name="1 error")).to_be_visible()
    designer.publishes()
    expect(page.get_by_role("alert").filter(has_text="Nothing was published")).to_be_visible()
    designer = DesignerPage(portal)
    page.get_by_role("button", name="1 error").click()
    page.get_by_label("Greatest value").fill("5")
    expect(page.get_by_role("button", name="1 error")).to_have_count(0)
    expect(designer.row(0)).to_contain_text("has a warning")
    portal.console_said("422")


def test_dragging_moves_a_question(portal: Portal, survey: Survey):
    """SURVEY-25."""
    designer, page = opened(portal, survey), portal.page
    grips = page.locator(".question-list .grip")
    grips.nth(3).hover()
    page.mouse.down()
    first_row, box = page.locator(".question-list > ol > li").first, grips.nth(0).bounding_box()
    assert box
    for step in range(60):  # the browser takes its time before it begins a drag, and between rows
        page.mouse.move(box["x"] + 5, box["y"] + 30 - step % 30, steps=3)
        if "Thanks" in first_row.inner_text():
            break
    page.mouse.up()
    designer.has_questions("Thanks", "How often?", "How low?", "Why?")
    designer.is_saved()
    assert [question["question_id"] for question in drafted(survey)] == ["rest", "often", "scale", "why"]


def test_two_editors_compare_and_choose(portal: Portal, survey: Survey):
    """SURVEY-5, PORTAL-211: the later save is refused, both are shown side by side, and one is chosen."""
    mine = opened(portal, survey)
    other = Portal(portal.page.context.new_page(), portal.server)
    other.opens(f"/edit_survey/{survey.study_id}/{survey.id}/questions")
    theirs = DesignerPage(other)
    theirs.chooses(3)
    other.page.get_by_label("Text", exact=True).fill("Theirs")
    theirs.is_saved()
    mine.chooses(3)
    portal.page.get_by_label("Text", exact=True).fill("Mine")
    conflict = portal.page.get_by_role("alert").filter(has_text="mlopez has saved this survey meanwhile")
    expect(conflict).to_be_visible()
    conflict.get_by_role("button", name="Compare").click()
    expect(conflict.locator(".sides").first).to_contain_text("Theirs")
    expect(conflict.locator(".sides").first).to_contain_text("Mine")
    portal.has_no_axe_violation()
    conflict.get_by_role("button", name="Save mine over it").click()
    mine.is_saved()
    expect(conflict).to_have_count(0)
    expect(portal.page.locator(".designer-bar [role=status]")).to_contain_text("Draft, saved")
    assert drafted(survey)[3]["question_text"] == "Mine"
    other.page.get_by_label("Text", exact=True).fill("Theirs again")
    other.page.get_by_role("alert").get_by_role("button", name="Take theirs").click()
    theirs.has_questions("How often?", "How low?", "Why?", "Mine")
    portal.console_said("409")
    other.console_said("409")


def test_an_edit_survives_the_end_of_the_session(portal: Portal, survey: Survey):
    """PORTAL-211, CLAR-24: signed out while editing; after signing in again the edit is there, and is saved."""
    designer, page = opened(portal, survey), portal.page
    designer.chooses(3)
    page.context.clear_cookies()
    page.get_by_label("Text", exact=True).fill("Typed too late")
    expect(page.get_by_role("heading", name="Sign in", level=1)).to_be_visible(timeout=30_000)
    portal.signs_in("mlopez")
    designer = DesignerPage(portal)
    designer.has_questions("How often?", "How low?", "Why?", "Typed too late")
    designer.is_saved()
    assert drafted(survey)[3]["question_text"] == "Typed too late"
    portal.console_said("401", "Autofocus processing was blocked")  # a form may have the focus already


def test_a_draft_is_compared_and_discarded(portal: Portal, survey: Survey):
    """SURVEY-5: phones keep what is published."""
    designer, page = opened(portal, survey), portal.page
    designer.chooses(3)
    page.get_by_label("Text", exact=True).fill("Changed")
    designer.is_saved()
    page.get_by_role("navigation", name="Survey").get_by_role("link", name="Survey").click()
    expect(page.get_by_text("There is a draft")).to_be_visible()
    page.get_by_role("link", name="Compare it with what is published").click()
    expect(page.locator(".compared .changed")).to_have_count(1)
    designer = opened(portal, survey)
    page.get_by_role("button", name="Discard the draft").click()
    expect(page.get_by_text("The draft is gone")).to_be_visible()
    assert json.loads(survey.content)[3] == REST


def test_the_draft_is_tried_beside_the_designer(portal: Portal, survey: Survey):
    """SURVEY-26, SURVEY-5: the phone shows the draft that was saved last, and its conditions work."""
    designer, page = opened(portal, survey), portal.page
    phone = page.get_by_role("region", name="Preview on a phone")
    expect(phone).to_contain_text("How often?")
    designer.chooses(2)
    page.get_by_label("Text", exact=True).fill("Why was that?")
    designer.is_saved()
    phone.get_by_label("often").check()
    phone.get_by_role("button", name="Next").click()
    expect(phone).to_contain_text("How low?")
    phone.get_by_role("button", name="Next").click()
    expect(phone).to_contain_text("Why was that?")
    portal.has_no_axe_violation()


def test_questions_are_brought_in_after_the_draft_was_saved(portal: Portal, survey: Survey):
    """CLAR-50."""
    designer, page = opened(portal, survey), portal.page
    designer.chooses(3)
    page.get_by_label("Text", exact=True).fill("Typed just now")
    page.get_by_role("link", name="Bring in questions of another survey").click()
    expect(page).to_have_url(re.compile("/bring_in"))
    assert drafted(survey)[3]["question_text"] == "Typed just now"


def test_a_change_that_iphones_ask_again_is_said(portal: Portal, survey: Survey):
    """PHONE-52, CLAR-53."""
    opened(portal, survey)
    portal.page.get_by_role("button", name="Settings of the survey").click()
    portal.page.get_by_label("Ask as soon as it reaches a phone").check()
    expect(portal.page.get_by_text("iPhones ask it again")).to_be_visible()


def test_an_audio_survey_has_a_prompt_and_recording_settings(portal: Portal, study: Study):
    """SURVEY-10, SURVEY-17."""
    page = portal.page
    portal.signs_in("mlopez")
    page.get_by_role("navigation", name="Study").get_by_role("link", name="Surveys").click()
    page.get_by_role("button", name="New audio survey").click()
    designer = DesignerPage(portal)
    page.get_by_label("What the participant is asked to say").fill("How was your day?")
    page.get_by_label("Recording").select_option(label="raw, much larger files")
    page.get_by_label("Sample rate").select_option(label="22,050 Hz")
    designer.is_saved()
    looks_right(portal, 375, "light")
    designer.publishes()
    expect(page.get_by_text("Version 1 is published")).to_be_visible()
    survey = db.session.scalars(db.select(Survey).where(Survey.survey_type == SurveyType.AUDIO.value)).one()
    assert json.loads(survey.content) == [{"prompt": "How was your day?"}]
    assert json.loads(survey.settings)["sample_rate"] == 22050
