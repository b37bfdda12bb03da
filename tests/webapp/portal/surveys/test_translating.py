"""Translations of a survey: the pages, the table for translators, and what phones get (CLAR-55, CLAR-59)."""

import io
import json
from typing import Any

import pytest
from flask import Flask

from core.audit import SERVER
from core.database import db
from core.models import CustomField, FieldValue, Study, StudyLanguage, Survey, SurveyTranslation
from core.studies.languages import save_language, set_language_field
from tests.support.factories import Factory, phone_fields
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")
CONTENT: list[dict[str, Any]] = [
    {
        "question_id": "q1",
        "question_type": "radio_button",
        "question_text": "=How are you? 📋",
        "answers": [{"text": "Well"}, {"text": "Badly"}],
    },
    {"question_id": "q2", "question_type": "slider", "question_text": "How much?", "min": "0", "max": "10"},
]
SPANISH = {"text-q1": "¿Cómo está?", "answer-q1-0": "Bien", "answer-q1-1": "Mal", "text-q2": "¿Cuánto?"}


@pytest.fixture
def study(factory: Factory) -> Study:
    study = factory.study("Mood")
    field = CustomField(study_id=study.id, name="Language")
    db.session.add(field)
    db.session.flush()
    set_language_field(db.session(), study, field, actor=SERVER)
    db.session.commit()
    return study


@pytest.fixture
def spanish(study: Study) -> StudyLanguage:
    save_language(db.session(), study, "en", "English", {}, actor=SERVER)
    language = save_language(db.session(), study, "es", "Español", {}, actor=SERVER)
    db.session.commit()
    return language


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("mlopez", study=study))


@pytest.fixture
def survey(factory: Factory, study: Study) -> Survey:
    return factory.survey(study, name="Evening", content=json.dumps(CONTENT))


def pages(survey: Survey, language: StudyLanguage) -> tuple[str, str]:
    all_of = f"/edit_survey/{survey.study_id}/{survey.id}/translations"
    return all_of, f"{all_of}/{language.id}"


def test_without_languages_the_page_says_how_to_begin(visitor: Visitor, survey: Survey):
    assert (
        "The study has no languages yet."
        in visitor.get(f"/edit_survey/{survey.study_id}/{survey.id}/translations").text
    )


def test_a_participant_gets_the_own_language_and_the_others_the_base_language(
    visitor: Visitor, app: Flask, factory: Factory, study: Study, survey: Survey, spanish: StudyLanguage
):
    """CLAR-55, PHONE-44: the structure, ids and settings are the same; a missing text is in the base language."""
    all_of, one = pages(survey, spanish)
    assert "Not begun" in visitor.get(all_of).text
    values = {**SPANISH, "name": "Por la noche", "text-q2": "", "edit_number": "0"}
    assert visitor.post(one, **values).location == all_of
    assert "3 of 4" in visitor.get(all_of).text
    speaker, other = factory.participant(study), factory.participant(study)
    db.session.add(FieldValue(participant_id=speaker.id, field_id=study.language_field_id, value="ES"))
    db.session.commit()
    phone = app.test_client()
    got, base = (phone.post("/download_surveys", data=phone_fields(who)).json for who in (speaker, other))
    assert base[0]["content"] == CONTENT and base[0]["name"] == "Evening"
    expected = json.loads(json.dumps(CONTENT))
    expected[0] |= {"question_text": "¿Cómo está?", "answers": [{"text": "Bien"}, {"text": "Mal"}]}
    assert got[0]["content"] == expected and got[0]["name"] == "Por la noche"
    assert {**got[0], "content": 0, "name": 0} == {**base[0], "content": 0, "name": 0}
    assert db.session.get_one(Survey, survey.id).content == json.dumps(CONTENT)


def test_two_editors_do_not_overwrite_each_other(visitor: Visitor, survey: Survey, spanish: StudyLanguage):
    _, one = pages(survey, spanish)
    visitor.post(one, **SPANISH, edit_number="0")
    answer = visitor.post(one, **{**SPANISH, "text-q1": "¿Qué tal?"}, edit_number="0")
    assert answer.status_code == 409 and "¿Qué tal?" in answer.text
    for wrong in ("", "x", "9" * 30):
        assert visitor.post(one, **SPANISH, edit_number=wrong).status_code == 409
    db.session.expire_all()
    (row,) = db.session.scalars(db.select(SurveyTranslation))
    assert row.texts["q1"]["=How are you? 📋"] == "¿Cómo está?"


def test_answers_that_would_read_the_same_are_refused_at_their_field(
    visitor: Visitor, survey: Survey, spanish: StudyLanguage
):
    """CLAR-59."""
    answer = visitor.post(pages(survey, spanish)[1], **{**SPANISH, "answer-q1-1": "bien"}, edit_number="0")
    assert answer.status_code == 422 and 'id="answer-q1-1-error"' in answer.text and "¿Cuánto?" in answer.text


def test_the_table_goes_to_a_translator_and_comes_back(visitor: Visitor, survey: Survey, spanish: StudyLanguage):
    """Formulas stay texts; rows of edited texts change nothing and are counted; semicolons of spreadsheets are read."""
    all_of, one = pages(survey, spanish)
    table = visitor.get(f"{one}.csv")
    assert table.data.startswith(b"\xef\xbb\xbf") and "'=How are you?" in table.text
    lines = table.text.removeprefix("\ufeff").splitlines()
    filled = [lines[0], *(line + f"T{n}" for n, line in enumerate(lines[1:])), "text-q9,9,Question,Gone,Ido"]

    def upload(text: str) -> Any:
        form = {"file": (io.BytesIO(text.encode()), "t.csv"), "csrf_token": visitor.token()}
        return visitor.open(f"{one}.csv", method="POST", data=form, content_type="multipart/form-data")

    assert upload("\n".join(filled)).location == all_of
    page = visitor.get(all_of).text
    assert "4 of 4" in page and "1 row of the file fit no text" in page and "Whole" in page
    for text in ("", "a,b\n1,2", "\x00"):
        assert upload(text).status_code == 422
    assert upload(";".join(lines[0].split(",")) + "\ntext-q2;2;Question;How much?;¿Cuánto?").location == all_of
    assert "¿Cuánto?" in visitor.get(one).text


def test_an_edited_question_is_shown_with_its_earlier_translation(
    visitor: Visitor, survey: Survey, spanish: StudyLanguage
):
    all_of, one = pages(survey, spanish)
    visitor.post(one, **SPANISH, edit_number="0")
    survey.content = json.dumps([CONTENT[0] | {"question_text": "How were you?"}, CONTENT[1]])
    db.session.commit()
    assert "1 text to look at again" in visitor.get(all_of).text
    assert "The text was edited. Before:" in visitor.get(one).text


def test_the_preview_is_in_the_language(visitor: Visitor, survey: Survey, spanish: StudyLanguage):
    visitor.post(pages(survey, spanish)[1], **SPANISH, edit_number="0")
    preview = f"/edit_survey/{survey.study_id}/{survey.id}/preview"
    assert "¿Cómo está?" in visitor.get(f"{preview}?language=es").text
    assert "¿Cómo está?" not in visitor.get(preview).text
    step = visitor.post(preview, language="es", app="ANDROID", at="q1", seed="1", **{"answer-q1": "0", "go": "next"})
    assert "¿Cuánto?" in step.text


def test_a_language_of_another_study_is_not_there(
    visitor: Visitor, factory: Factory, survey: Survey, spanish: StudyLanguage
):
    other = factory.study("Other")
    save_language(db.session(), other, "en", "English", {}, actor=SERVER)
    foreign = save_language(db.session(), other, "fr", "Français", {}, actor=SERVER)
    base = db.session.scalar(db.select(StudyLanguage).filter_by(study_id=survey.study_id, is_base=True))
    db.session.commit()
    for language in (foreign, base):
        assert visitor.get(pages(survey, language)[1]).status_code == 404
        assert visitor.post(pages(survey, language)[1], edit_number="0").status_code == 404
