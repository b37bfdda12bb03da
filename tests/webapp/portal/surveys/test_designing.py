"""Drafts as the designer sends them, and what no draft can be (SURVEY-5, SURVEY-20)."""

import json
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from core.database import db
from core.models import Study, Survey, SurveyDraft, SurveyVersion
from core.surveys.locking import SurveyDeleted
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from webapp.portal.surveys import designing

pytestmark = pytest.mark.usefixtures("quick_passwords")

SCALE = {"question_id": "a", "question_type": "slider", "question_text": "Pain?", "min": "0", "max": "10"}
HALF = "\ud83d"


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Mood")


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("mlopez", study=study))


@pytest.fixture
def survey(factory: Factory, study: Study) -> Survey:
    return factory.survey(study, name="Evening", content=json.dumps([SCALE]))


def base(survey: Survey) -> str:
    return f"/edit_survey/{survey.study_id}/{survey.id}"


def send(visitor: Visitor, survey: Survey, text: str, *, to: str = "draft", method: str = "PUT") -> TestResponse:
    headers = {"X-CSRFToken": visitor.token(), "Content-Type": "application/json", "Accept": "application/json"}
    return visitor.open(f"{base(survey)}/{to}", method=method, data=text, headers=headers)


def layers(count: int) -> str:
    return "[" * count + "]" * count


def body(content: str = "[]", settings: str = "{}", number: str = "0") -> str:
    return f'{{"number": {number}, "content": {content}, "settings": {settings}}}'


def question(**more: Any) -> str:
    return json.dumps([SCALE | more])


REFUSED = {
    "half of a surrogate pair": body(question(question_text=HALF)),
    "half of a surrogate pair in a key": body(settings=json.dumps({HALF: 1})),
    "NUL": body(question(question_text="a\0b")),
    "too large a number": body('[{"min": 1e999}]'),
    "no number": body('[{"min": NaN}]'),
    "thousands of digits": body(f'[{{"min": {"9" * 5000}}}]'),
    "many layers": body(settings=f'{{"x": {layers(150)}}}'),
    "more layers": body(f'[{{"x": {layers(600)}}}]'),
    "very many layers": body(f'[{{"x": {layers(100_000)}}}]'),
    "an index twice": body("[0, 0]"),
    "an index beyond": body("[1]"),
    "a truth value": body("[true]"),
    "a list": "[]",
    "nothing": "",
    "more": '{"number": 0, "content": [], "is_admin": true}',
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_draft_can_be_is_refused_and_said(visitor: Visitor, survey: Survey, what: str):
    """SURVEY-19: it could not be stored, shown, or read by phones; a short request makes no long draft."""
    answer = send(visitor, survey, REFUSED[what])
    assert answer.status_code == 400 and answer.json and "was not saved" in answer.json["error"]
    assert send(visitor, survey, REFUSED[what], to="draft/compare", method="POST").status_code == 400
    assert db.session.query(SurveyDraft).count() == 0
    assert visitor.get(f"{base(survey)}/questions").status_code == 200


@pytest.mark.parametrize("what", ["half of a surrogate pair", "NUL", "many layers"])
def test_old_forms_are_refused_likewise(visitor: Visitor, survey: Survey, what: str):
    """PORTAL-210."""
    sent = json.loads(REFUSED[what])
    fields = {"content": json.dumps(sent["content"]), "settings": json.dumps(sent["settings"])}
    assert visitor.post(f"/update_survey/{survey.study_id}/{survey.id}", **fields).status_code == 400
    assert db.session.query(SurveyVersion).count() == 1


ODD = {
    "ids and types that are no texts": '[{"question_id": ["a"], "question_type": {"a": 1}, "display_if": []}]',
    "answers that are none": '[{"question_id": "a", "question_type": "checkbox", "answers": [5, null, {"text": 5}]}]',
    "answers that are a text": '[{"question_id": "a", "question_type": "radio_button", "answers": "abc"}]',
    "large numbers": f'[{{"question_id": "a", "question_type": "slider", "min": {"9" * 4000}}}]',
    "ninety layers": f'[{{"question_id": "a", "question_type": "date", "display_if": {"[" * 90}{"]" * 90}}}]',
}


@pytest.mark.parametrize("what", ODD)
def test_odd_drafts_are_shown_everywhere_and_published_nowhere(visitor: Visitor, survey: Survey, what: str):
    """SURVEY-20, SURVEY-25."""
    assert send(visitor, survey, body(ODD[what], '{"randomize": "x"}')).status_code == 200
    for page in ("", "/questions", "/preview?draft=1", "/versions", "/copy"):
        assert visitor.get(base(survey) + page).status_code == 200
    answer = visitor.post(f"{base(survey)}/publish", number="1")
    assert answer.status_code == 422 and "Nothing was published" in answer.text
    assert db.session.query(SurveyVersion).count() == 1


def test_no_text_becomes_markup(visitor: Visitor, study: Study, factory: Factory):
    """SURVEY-5: on any page of the survey, also inside the data that the designer reads."""
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"
    choice = {"question_id": evil, "question_type": "radio_button", "question_text": evil, "answers": [{"text": evil}]}
    asked = SCALE | {"question_text": evil, "display_if": {"==": [evil, 0]}}
    survey = factory.survey(study, name=evil, content=json.dumps([choice, SCALE]), settings=json.dumps({evil: evil}))
    assert send(visitor, survey, body(json.dumps([choice, asked]), json.dumps({evil: 1}))).status_code == 200
    pages = ["", "/questions", "/preview", "/preview?draft=1", "/versions", "/schedule", "/copy", "/bring_in"]
    for page in [base(survey) + page for page in pages] + [f"/view_study/{study.id}/surveys"]:
        shown = visitor.get(page)
        assert shown.status_code == 200
        assert "<script>alert" not in shown.text and "<img src=x" not in shown.text
    copied = visitor.post(f"{base(survey)}/copy", target=str(study.id))
    assert "<script>alert" not in visitor.get(copied.location).text


def test_a_save_without_the_token_is_refused(visitor: Visitor, survey: Survey):
    """PERM-30: the designer's requests are protected as forms are."""
    answer = visitor.open(
        f"{base(survey)}/draft", method="PUT", data=body(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 403 and db.session.query(SurveyDraft).count() == 0


def test_a_survey_deleted_while_it_is_saved_is_said(visitor: Visitor, survey: Survey, monkeypatch: pytest.MonkeyPatch):
    """SURVEY-4."""
    headers = {"X-CSRFToken": visitor.token(), "Accept": "application/json"}

    def was_deleted(*_: Any, **__: Any) -> None:
        raise SurveyDeleted

    monkeypatch.setattr(designing, "save_draft", was_deleted)
    answer = visitor.open(f"{base(survey)}/draft", method="PUT", data=body(), headers=headers)
    assert answer.status_code == 404 and answer.json
