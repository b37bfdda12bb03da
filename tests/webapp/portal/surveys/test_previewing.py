"""The preview of a survey on a phone (SURVEY-26, CLAR-59)."""

import json
import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from core.audit import SERVER
from core.database import db
from core.models import AuditRecord, Study, Survey, SurveyType, SurveyVersion
from core.surveys.drafts import save_draft
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")

ODD = "Pain <b>now</b>? {{7*7}} 😀 שלום"
SCALE = {"question_id": "s", "question_type": "slider", "question_text": ODD, "min": "0", "max": "10", "required": True}
RADIO = {
    "question_id": "r",
    "question_type": "radio_button",
    "question_text": "Medicine?",
    "answers": [{"text": "Yes"}, {"text": "{{ No }} <i>"}],
    "display_if": {">": ["s", 5]},
}
BOXES = RADIO | {
    "question_id": "b",
    "question_type": "checkbox",
    "question_text": "Why?",
    "display_if": {"==": ["r", 1]},
}
LINE = {
    "question_id": "l",
    "question_type": "free_response",
    "question_text": "Else?",
    "text_field_type": "SINGLE_LINE_TEXT",
}


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Mood")


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("mlopez", study=study))


@pytest.fixture
def survey(factory: Factory, study: Study) -> Survey:
    return factory.survey(study, name="Evening", content=json.dumps([SCALE, RADIO, BOXES, LINE]))


def address(survey: Survey) -> str:
    return f"/edit_survey/{survey.study_id}/{survey.id}/preview"


class Phone:
    """Fills in the form on the phone's screen, as a browser without scripts does."""

    def __init__(self, visitor: Visitor, address: str) -> None:
        self.visitor, self.address = visitor, address
        self.answer = visitor.get(address)

    def presses(self, go: str, *typed: str) -> TestResponse:
        """Types or chooses an answer and presses a button."""
        form = self.answer.text.split('<form class="phone-screen"')[1].split("</form>")[0]
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
        chosen = re.findall(r'name="([^"]+)" value="([^"]*)" checked', form)
        fields: dict[str, Any] = {}
        for name, value in [*hidden, *([] if typed else chosen)]:
            fields.setdefault(unescape(name), []).append(unescape(value))
        if typed:
            fields[f"answer-{fields['at'][0]}"] = list(typed)
        self.answer = self.visitor.open(self.address, method="POST", data=fields | {"go": go})
        return self.answer

    @property
    def title(self) -> str:
        found = re.search(r'class="phone-title"[^>]*>(.*?)</', self.answer.text, re.DOTALL)
        return unescape(found.group(1)) if found else ""


def test_a_survey_is_answered_question_by_question_with_its_conditions(visitor: Visitor, survey: Survey):
    """SURVEY-26: as on the phone, and nothing is written."""
    before = _written(visitor)
    phone = Phone(visitor, address(survey) + "?app=android")
    assert phone.title == ODD and "1 of 4" in phone.answer.text
    phone.presses("next", "7")
    assert phone.title == "Medicine?" and "2 of 4" in phone.answer.text
    phone.presses("next", "1")
    assert phone.title == "Why?"
    phone.presses("next", "0", "1")
    assert phone.title == "Else?"
    end = phone.presses("next", "a, b")
    assert phone.title == "The survey ends here" and "4 of 4 questions" in end.text
    assert "r,Radio Button Question,Medicine?,[Yes; {{ No }} &lt;i&gt;],1" in end.text
    assert "a; b" in end.text  # the app's own way of writing a comma
    phone.presses("back")
    assert phone.title == "Else?" and 'value="a, b"' in phone.answer.text
    for title in ("Why?", "Medicine?", ODD):
        phone.presses("back")
        assert phone.title == title
    phone.presses("next", "2")
    assert phone.title == "Else?"
    end = phone.presses("next", "x")
    assert "2 of 4 questions were shown" in end.text and "r,Radio Button" not in end.text
    assert _written(visitor) == before


@pytest.mark.parametrize(("typed", "said"), [("", "must be answered"), ("11", "from 0 to 10"), ("x", "from 0 to 10")])
def test_a_required_or_wrong_answer_holds_up(visitor: Visitor, survey: Survey, typed: str, said: str):
    """SURVEY-26, PHONE-53."""
    phone = Phone(visitor, address(survey))
    answer = phone.presses("next", typed)
    assert answer.status_code == 422 and said in answer.text and phone.title == ODD
    if typed:
        assert f'value="{typed}"' in answer.text


def test_platforms_differ_and_are_chosen_by_links(visitor: Visitor, factory: Factory, study: Study):
    """PHONE-56: a question that was never shown; PHONE-55: the iOS app stops."""
    content = [SCALE, RADIO, BOXES | {"display_if": {"!=": ["r", 1]}}]
    survey = factory.survey(study, content=json.dumps(content))
    ios = Phone(visitor, address(survey) + "?app=ios")
    assert "As iOS shows it" in ios.answer.text and "app=android" in ios.answer.text
    assert "stops at question 3" in ios.presses("next", "1").text
    android = Phone(visitor, address(survey) + "?app=android")
    assert "The survey ends here" in android.presses("next", "1").text
    page = visitor.get(address(survey)).text
    assert "Everybody stops at question 3" in page and "Every question can be reached" in page


def test_the_page_says_what_no_answers_reach(visitor: Visitor, factory: Factory, study: Study):
    """CLAR-59."""
    content = [SCALE, RADIO, LINE | {"display_if": {"and": [{"==": ["r", 0]}, {"<": ["s", 3]}]}}]
    survey = factory.survey(study, content=json.dumps(content))
    page = visitor.get(address(survey)).text
    assert "No answers lead to 1 question" in page and "3. <bdi>Else?" in page
    assert "Shortest way" in page and "<dd>1 question</dd>" in page


def test_random_order_has_a_number_that_can_be_changed(visitor: Visitor, factory: Factory, study: Study):
    """PHONE-52."""
    content = [LINE | {"question_id": str(n), "question_text": f"Number {n}?"} for n in range(9)]
    chosen = {"randomize": True, "number_of_random_questions": 2}
    survey = factory.survey(study, content=json.dumps(content), settings=json.dumps(chosen))
    firsts = {Phone(visitor, f"{address(survey)}?seed={seed}").title for seed in range(9)}
    assert len(firsts) > 1
    phone = Phone(visitor, f"{address(survey)}?seed=5")
    assert "1 of 2" in phone.answer.text and 'value="5"' in phone.answer.text
    assert phone.title == Phone(visitor, f"{address(survey)}?seed=5").title
    phone.presses("next", "x")
    assert "2 of 2" in phone.answer.text
    assert "The survey ends here" in phone.presses("next", "y").text


def test_an_audio_survey_shows_its_prompt_and_limits(visitor: Visitor, factory: Factory, study: Study):
    content = json.dumps([{"prompt": "Tell us about your <day> 😀"}])
    survey = factory.survey(study, survey_type=SurveyType.AUDIO, content=content)
    page = visitor.get(address(survey)).text
    assert "Tell us about your &lt;day&gt; 😀" in page and "240 seconds" in page and "64,000 bits" in page
    assert "All ways on" not in page


@pytest.mark.parametrize("content", ["[]", '["x"]', '[{"question_id": "a"}]', '[{"question_id": ["a"]}]'])
def test_whatever_is_stored_has_a_preview(visitor: Visitor, factory: Factory, study: Study, content: str):
    survey = factory.survey(study, content=content)
    phone = Phone(visitor, address(survey))
    assert phone.answer.status_code == 200
    assert phone.presses("next").status_code == 200


def test_htmx_gets_the_phone_alone(visitor: Visitor, survey: Survey):
    """The designer's page shows the same fragment."""
    fragment = visitor.swap(address(survey)).text
    assert "<html" not in fragment and 'id="phone"' in fragment and "data-takes-focus" not in fragment
    assert "All ways on" not in fragment


def test_a_forged_form_starts_anew(visitor: Visitor, survey: Survey):
    for at in ("gone", "b", ""):
        answer = visitor.post(address(survey), at=at, go="next", app="android", seed="-1", **{"answer-r": "99"})
        assert answer.status_code == 200 and "1 of 4" in answer.text


def test_a_draft_is_shown_where_it_is_named_and_only_that(visitor: Visitor, survey: Survey):
    """SURVEY-5: previews show the published survey, or exactly the draft that is named."""
    session = db.session()
    drafted = [LINE | {"question_text": "Only drafted?"}]
    number = survey.edit_number
    draft = save_draft(session, survey, drafted, {}, number=number, now=datetime.now(UTC), actor=SERVER)
    session.commit()
    phone = Phone(visitor, f"{address(survey)}?draft={draft.number}")
    assert phone.title == "Only drafted?" and f'name="draft" value="{draft.number}"' in phone.answer.text
    assert "The survey ends here" in phone.presses("next", "x").text
    assert Phone(visitor, address(survey)).title == ODD
    for other in (number, draft.number + 1, "x", ""):
        answer = visitor.get(f"{address(survey)}?draft={other}")
        assert answer.status_code == 404 and "This draft has changed since; open the newest" in answer.text


def _written(visitor: Visitor) -> list[int | None]:
    with visitor.app.app_context():
        return [db.session.scalar(db.select(db.func.max(table.id))) for table in (SurveyVersion, AuditRecord)]
