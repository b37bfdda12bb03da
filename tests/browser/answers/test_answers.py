"""Pages of answers in a real browser, by mouse and keyboard (NOTIF-24, CLAR-55, CLAR-57)."""

import pytest
from playwright.sync_api import expect

from core.database import db
from core.models import Study
from tests.browser.navigator import Portal
from tests.support.answered import survey_with_answers
from tests.support.exporting import build_exports
from tests.support.factories import Factory

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(factory: Factory) -> Study:
    study = factory.study("Sleep and mood", timezone_name="UTC")
    factory.researcher("anna", study=study)
    survey_with_answers(study, [factory.participant(study, timezone_name="UTC") for _ in range(2)], days=8)
    db.session.commit()
    return study


class AnswersPages:
    """The pages of answers of one survey."""

    def __init__(self, portal: Portal, study: Study) -> None:
        self.portal, self.page = portal, portal.page
        portal.page.emulate_media(reduced_motion="reduce")
        portal.signs_in("anna")
        portal.opens(f"/view_study/{study.id}/surveys")
        self.page.get_by_role("link", name="answers to Evening check").click()
        portal.sees_heading("Evening check")

    def turns_to(self, word: str) -> None:
        link = self.page.get_by_role("navigation", name="Answers").get_by_role("link", name=word, exact=True)
        link.focus()
        self.portal.presses("Enter")
        expect(self.page.get_by_role("navigation", name="Answers").locator("[aria-current]")).to_have_text(word)

    def is_clean(self) -> None:
        """Neither axe nor the console finds anything, and nothing scrolls sideways on a telephone."""
        self.portal.has_no_axe_violation()
        self.page.set_viewport_size({"width": 375, "height": 800})
        self.portal.has_no_sideways_scroll()
        self.page.set_viewport_size({"width": 1280, "height": 900})
        self.portal.console_said()


def test_answers_are_read_from_the_rate_to_the_file(portal: Portal, study: Study):
    pages = AnswersPages(portal, study)
    page = portal.page
    expect(page.get_by_role("main")).to_contain_text("that have ended")
    page.get_by_text("As a table").click()
    expect(page.get_by_role("table", name="Notification times by day")).to_be_visible()
    pages.is_clean()
    pages.turns_to("Questions")
    expect(page.get_by_role("table", name="Answers to Energy?")).to_be_visible()
    pages.is_clean()
    pages.turns_to("Submissions")
    pages.is_clean()
    page.get_by_role("row", name="good, mostly").first.get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Submission of")).to_be_visible()
    pages.is_clean()
    with page.expect_download() as download:
        page.get_by_role("link", name="Raw file").click()
    assert b"question id" in download.value.path().read_bytes()
    page.get_by_role("heading", name="Submission of").get_by_role("link").click()
    expect(page.get_by_role("img", name="Energy?")).to_be_visible()
    pages.is_clean()


def test_a_score_is_made_by_keyboard_and_exported(portal: Portal, study: Study):
    pages = AnswersPages(portal, study)
    page = portal.page
    pages.turns_to("Scores")
    page.get_by_role("link", name="New score").click()
    pages.is_clean()
    page.get_by_label("Name", exact=True).fill("Total")
    page.get_by_label("Variable").fill("Total!")
    for question in ("How was your mood", "Energy?"):
        page.get_by_role("checkbox", name=question).first.focus()
        portal.presses("Space")
    page.get_by_role("button", name="Show what comes out").click()
    expect(page.get_by_role("heading", name="What comes out")).to_be_visible()
    pages.is_clean()
    page.get_by_role("button", name="Make the score").click()
    expect(page.get_by_role("alert").filter(has_text="The name of the variable")).to_be_visible()
    portal.console_said("422")
    page.get_by_label("Variable").fill("total")
    page.get_by_role("button", name="Make the score").click()
    expect(page.get_by_role("main")).to_contain_text("It was computed for all submissions.")
    pages.turns_to("Codebook")
    expect(page.get_by_role("rowheader", name="total")).to_be_visible()
    pages.is_clean()
    pages.turns_to("Export")
    pages.is_clean()
    page.get_by_role("radio", name="Long").check()
    page.get_by_role("button", name="Prepare the file").click()
    portal.sees_heading("Exports")
    pages.is_clean()
    build_exports()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download Evening check long").click()
    assert download.value.suggested_filename.startswith("Evening check long")
