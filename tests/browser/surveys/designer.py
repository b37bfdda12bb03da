"""Actions of a researcher in the designer."""

import json
from typing import Any

from playwright.sync_api import Locator, expect

from core.database import db
from core.models import Survey, SurveyDraft
from tests.browser.navigator import Portal


class DesignerPage:
    """The designer of a survey."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.page = portal.page
        expect(self.page.locator("html[data-designer=ready]")).to_be_attached()

    def adds(self, kind: str, text: str = "") -> None:
        self.page.get_by_role("button", name="Add", exact=True).click()
        self.page.locator(".add-menu").get_by_role("button", name=kind, exact=True).click()
        if text:
            self.page.get_by_label("Text", exact=True).fill(text)

    def gives_answers(self, *texts: str) -> None:
        for place, text in enumerate(texts):
            if self.answer(place).count() == 0:
                self.page.get_by_role("button", name="Add an answer").click()
            self.answer(place).fill(text)

    def answer(self, place: int) -> Locator:
        return self.page.get_by_label(f"Answer {place + 1}", exact=True)

    def chooses(self, place: int) -> None:
        self.row(place).click()
        expect(self.page.get_by_role("heading", name=f"Question {place + 1}", exact=True)).to_be_visible()

    def row(self, place: int) -> Locator:
        return self.page.locator(f"#question-{place}")

    def asks_only(self, mode: str) -> None:
        self.page.get_by_label("Shown", exact=True).select_option(label=mode)

    def compares(self, at: int, question: str, comparison: str, value: str) -> None:
        row = self.page.locator(".condition-row").filter(has=self.page.get_by_label("Question", exact=True)).nth(at)
        row.get_by_label("Question", exact=True).select_option(label=question)
        row.get_by_label("Comparison").select_option(label=comparison)
        if row.get_by_label("Answer").count():
            row.get_by_label("Answer").select_option(label=value)
        else:
            row.get_by_label("Value").fill(value)

    def is_saved(self) -> None:
        expect(self.page.locator(".designer-bar [role=status]")).to_contain_text("Draft, saved")

    def publishes(self) -> None:
        self.page.get_by_role("button", name="Publish version").click()

    def has_questions(self, *texts: str) -> None:
        expect(self.page.locator(".question-list strong")).to_have_text(
            [f"{place}. {text}" for place, text in enumerate(texts, 1)]
        )


def drafted(survey: Survey) -> list[dict[str, Any]]:
    """The questions of the stored draft."""
    db.session.rollback()
    row = db.session.get_one(SurveyDraft, survey.id)
    db.session.refresh(row)
    return json.loads(row.content)


def logic_of(survey: Survey, place: int) -> Any:
    return drafted(survey)[place]["display_if"]
