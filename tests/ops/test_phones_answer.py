"""Phones answer a published survey with skip logic, at the real gunicorn, and processing keeps what they wrote."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from core.audit import SERVER
from core.database import db
from core.models import Participant, Survey, SurveyType
from core.studies.settings_file.writing import study_file_text
from core.surveys.drafts import publish_draft, save_draft
from core.surveys.saving import SurveyChanges, create_survey, save_survey
from ops.phones import Phone, Platform, Transport
from tests.support.commands import command
from tests.support.factories import PASSWORD, Factory
from tests.support.gunicorn import gunicorn
from webapp.stores import object_store

ODD = "{{ 7*7 }} <b>fett</b> 😀 שלום %s"
SURE = {"required": True, "display_if": None}
CONTENT: list[dict[str, Any]] = [
    {"question_id": "a", "question_type": "radio_button", "question_text": ODD, "answers": [{"text": ODD}]} | SURE,
    {
        "question_id": "b",
        "question_type": "checkbox",
        "question_text": f"seen {ODD}",
        "answers": [{"text": f"one {ODD}"}],
        "required": True,
        "display_if": {"==": ["a", 0]},
    },
    {
        "question_id": "c",
        "question_type": "slider",
        "question_text": f"hidden {ODD}",
        "min": "0",
        "max": "3",
        "required": True,
        "display_if": {"not": {"==": ["a", 0]}},
    },
]


def published(participant: Participant) -> Survey:
    session, now = db.session(), datetime.now(UTC)
    survey = create_survey(session, participant.study, SurveyType.TRACKING, now, actor=SERVER)
    save_survey(session, survey, SurveyChanges(name=f"Evening {ODD}"), now, actor=SERVER)
    save_draft(session, survey, CONTENT, {}, number=survey.edit_number, now=now, actor=SERVER)
    assert publish_draft(session, survey, number=survey.edit_number, now=now, actor=SERVER)
    session.commit()
    return survey


@pytest.mark.parametrize("platform", [Platform.ANDROID, pytest.param(Platform.IOS, marks=pytest.mark.long)])
def test_a_phone_answers_what_was_published_and_processing_keeps_it(factory: Factory, platform: Platform):
    """SURVEY-5, PHONE-56, PHONE-71, PROC-39: emoji, right-to-left text, HTML and `{{ }}` from export to answers."""
    participant = factory.participant(platform=None)
    survey = published(participant)
    assert json.loads(study_file_text(db.session(), participant.study))["surveys"][0]["content"] == CONTENT
    with gunicorn() as server:
        phone = Phone(participant.patient_id, PASSWORD, platform, Transport(server))
        phone.register()
        phone.download_surveys()
        assert [found["_id"] for found in phone.surveys] == [survey.object_id]
        assert phone.surveys[0]["content"] == CONTENT and phone.surveys[0]["name"] == f"Evening {ODD}"
        phone.answer_surveys(1717236000000)
        assert [answer.status for answer in phone.upload_round()] == [200, 200]
        assert phone.problems == []
    assert command("process-uploads")["failed"] == 0
    answers = text_below(factory, participant, "surveyAnswers", survey)
    assert f"a,{'radio_button' if platform is Platform.IOS else 'Radio Button Question'},{ODD}," in answers
    assert f"one {ODD}" in answers and f"seen {ODD}" in answers
    assert (f"hidden {ODD}" in answers) == (platform is Platform.IOS) == ("NOT_PRESENTED" in answers)
    timings = text_below(factory, participant, "CHUNKED_DATA", survey)
    assert f"seen {ODD}" in timings and "hidden" not in timings and survey.object_id in timings


def text_below(factory: Factory, participant: Participant, kind: str, survey: Survey) -> str:
    """The contents of the stored files of a survey: raw ones of an alias, or chunks."""
    study, patient = participant.study.object_id, participant.patient_id
    folder = f"{study}/{patient}/{kind}/{survey.object_id}/"
    if kind == "CHUNKED_DATA":
        folder = f"CHUNKED_DATA/{study}/{patient}/survey_timings/{survey.object_id}/"
    keys = [key.removesuffix(".zst") for key in object_store().keys(folder)]
    assert len(keys) == 1, keys
    store = factory.store(participant.study)
    return store.read(keys[0])[0].decode()
