"""Stored answers are read and scores computed by flows, on a real, temporary Prefect server (OPS-20)."""

import json

import pytest
import sqlalchemy as sa
from flask import Flask

import flows.infrastructure
from core.answers.scores import save_score
from core.audit import SERVER
from core.database import db
from core.models import AnswerTally, ScoreValue, Submission, SubmittedAnswer
from core.streams import Platform
from flows.compute_scores import compute_scores
from flows.read_answers import read_answers
from tests.flows.test_maintenance_flows import artifact
from tests.support.answering import CONTENT, file_of, process, submits
from tests.support.factories import Factory
from tests.support.this_hour import this_hour


@pytest.fixture(autouse=True)
def fresh_store(app: Flask) -> None:
    flows.infrastructure.get_store.cache_clear()


@pytest.mark.usefixtures("prefect")
def test_answers_are_read_and_scores_computed_once(factory: Factory):
    """CLAR-57, CLAR-58."""
    participant = factory.participant()
    survey = factory.survey(participant.study, content=json.dumps(CONTENT))
    submits(participant, survey, this_hour(), file_of({"mood": 1}, Platform.ANDROID))
    process()
    for table in (AnswerTally, SubmittedAnswer, Submission):
        db.session.execute(sa.delete(table))
    db.session.commit()
    assert "1 submissions of 1 participants" in str(read_answers(return_state=True).message)
    assert participant.patient_id in artifact("read-answers")
    assert read_answers(return_state=True).name == "NothingToRead"
    score = {"combination": "sum", "items": [{"question_id": "mood"}]}
    save_score(db.session(), survey, None, name="Mood", variable="mood", definition=score, actor=SERVER)
    db.session.commit()
    assert "1 values changed" in str(compute_scores(return_state=True).message)
    assert db.session.scalars(sa.select(ScoreValue.value)).all() == [1]
    assert compute_scores(return_state=True).name == "NothingToCompute"
