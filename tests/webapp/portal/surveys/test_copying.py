"""The pages that copy surveys and bring in questions (CLAR-50)."""

import json

import pytest
from flask import Flask

from core.access import Role
from core.database import db
from core.models import Study, Survey
from core.surveys.drafts import draft_of
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.webapp.portal.surveys.test_previewing import BOXES, LINE, RADIO, SCALE

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Mood")


@pytest.fixture
def survey(factory: Factory, study: Study) -> Survey:
    return factory.survey(study, name="Evening", content=json.dumps([SCALE, RADIO, BOXES, LINE]))


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("mlopez", study=study))


def place(survey: Survey) -> str:
    return f"/edit_survey/{survey.study_id}/{survey.id}"


def test_a_survey_is_copied_and_the_copy_opens(visitor: Visitor, survey: Survey):
    """CLAR-50, PORTAL-210."""
    page = visitor.get(f"{place(survey)}/copy").text
    assert "4 questions" in page and "Mood" in page
    answer = visitor.post(f"{place(survey)}/copy", target=str(survey.study_id))
    assert answer.status_code == 302
    opened = visitor.get(answer.location).text
    assert "Copy of Evening" in opened and "copied into Mood as a draft" in opened and "4 questions" in opened


def test_a_survey_goes_only_where_the_person_may_edit(visitor: Visitor, survey: Survey, factory: Factory):
    """PERM-19: studies of others are neither offered nor taken."""
    foreign = factory.study("Foreign")
    assert "Foreign" not in visitor.get(f"{place(survey)}/copy").text
    for target in (str(foreign.id), "", "x"):
        answer = visitor.post(f"{place(survey)}/copy", target=target)
        assert answer.status_code == 422 and "Choose a study" in answer.text


def test_questions_are_brought_in_from_another_study(visitor: Visitor, survey: Survey, factory: Factory, study: Study):
    """CLAR-50: dropped conditions are named."""
    empty = factory.survey(study, name="New")
    there = f"{place(empty)}/bring_in"
    page = visitor.get(f"{there}?source_study={study.id}&source={survey.id}").text
    assert "Medicine?" in page and "shown if question 1" in page
    number = draft_of(db.session(), empty).number
    chosen = {"source_study": str(study.id), "source": str(survey.id), "number": str(number)}
    nothing = visitor.post(there, **chosen)
    assert nothing.status_code == 422 and "at least one question" in nothing.text
    stale = visitor.post(there, **(chosen | {"number": "77", "question": "r"}))
    assert stale.status_code == 409 and 'value="r" checked' in stale.text
    answer = visitor.post(there, **chosen, question="r")
    assert answer.status_code == 302
    page = visitor.get(answer.location).text
    assert "1 question added" in page and "“Medicine?” was shown if question 1" in page
    db.session.expire_all()
    content = json.loads(draft_of(db.session(), empty).content)
    assert [q["question_text"] for q in content] == ["Medicine?"] and content[0]["display_if"] is None


def test_questions_of_a_foreign_study_are_not_shown(visitor: Visitor, survey: Survey, factory: Factory):
    """PERM-19."""
    foreign = factory.study("Foreign")
    secret = factory.survey(foreign, content=json.dumps([LINE | {"question_text": "Secret?"}]))
    for query in (f"source_study={foreign.id}&source={secret.id}", f"source={secret.id}"):
        page = visitor.get(f"{place(survey)}/bring_in?{query}")
        assert page.status_code == 200 and "Secret?" not in page.text and "Foreign" not in page.text
    answer = visitor.post(
        f"{place(survey)}/bring_in", source_study=str(foreign.id), source=str(secret.id), question="l", number="0"
    )
    assert answer.status_code == 422


def test_roles_that_see_both_studies_can_choose_either(app: Flask, factory: Factory, study: Study, survey: Survey):
    other = factory.study("Other")
    factory.researcher("rkim", study=other, role=Role.STUDY_ADMIN)
    site = Visitor(app, factory.researcher("boss", is_site_admin=True))
    answer = site.post(f"{place(survey)}/copy", target=str(other.id))
    assert answer.status_code == 302 and f"/{other.id}/" in answer.location
