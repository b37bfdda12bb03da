"""Pages of answers: rates, questions, submissions, one participant over time (NOTIF-24, CLAR-56)."""

import re

import pytest
from flask import Flask

from core.database import db
from core.models import Participant, Study, Submission, Survey
from tests.support.answered import survey_with_answers
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Mood", timezone_name="UTC")


@pytest.fixture
def people(factory: Factory, study: Study) -> list[Participant]:
    return [factory.participant(study, timezone_name="UTC", is_test=n == 2) for n in range(3)]


@pytest.fixture
def survey(study: Study, people: list[Participant]) -> Survey:
    return survey_with_answers(study, people)


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("nurse", study=study))


def test_try(visitor, study, survey, people):
    at = f"/view_study/{study.id}/survey/{survey.id}/answers"
    number = db.session.scalar(db.select(Submission.id))
    for path in (
        "",
        "?by=week",
        "/questions",
        "/questions?days=7",
        "/submissions",
        "/submissions?only=problems",
        f"/submissions/{number}",
        "/scores",
        "/scores/new",
        "/codebook",
        "/codebook.csv",
        "/export",
        f"/submissions/{number}/file",
    ):
        got = visitor.get(at + path)
        print(path, got.status_code, re.findall(r"<dd>.*?</dd>", got.text)[:9], len(got.text))
        if got.status_code != 200:
            print(got.text[:3000])
    got = visitor.get(f"/view_study/{study.id}/participant/{people[0].patient_id}/answers")
    print(got.status_code, len(got.text))
    got = visitor.get(f"/view_study/{study.id}/surveys")
    print(re.findall(r"\d+ %", got.text))
    for form in ("csv", "xlsx", "parquet", "sav", "dta"):
        got = visitor.post(at + "/export", form=form, layout="wide", texts="1")
        print(got.status_code, len(got.data), got.headers["Content-Disposition"])
    assert 0
