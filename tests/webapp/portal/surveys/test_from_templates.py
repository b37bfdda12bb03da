"""Templates in the portal: a scale becomes a survey with a rule of alerts, a survey is kept and used elsewhere."""

import json
import re

import pytest
from flask import Flask

from core.database import db
from core.models import AlertRule, Score, Study, Survey, SurveyTemplate
from tests.support.answering import CONTENT
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Mood")


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("mlopez", study=study))


def test_a_scale_becomes_a_survey_and_a_rule_is_made_before_it_is_published(visitor: Visitor, study: Study):
    """CLAR-58: alerts work before the PHQ-9 reaches a phone."""
    at = f"/view_study/{study.id}/surveys/templates"
    assert "PHQ-9" in visitor.get(at).text and "None yet." in visitor.get(at).text
    page = visitor.get(f"{at}/phq-9").text
    for words in ("J Gen Intern Med 2001", "No permission is required", "moderately severe", "who is told"):
        assert words in page, words
    made = visitor.post(f"{at}/phq-9")
    survey = db.session.scalars(db.select(Survey)).one()
    assert made.location == f"/edit_survey/{study.id}/{survey.id}/questions"
    assert db.session.scalars(db.select(Score.variable)).all() == ["phq9"]
    told = visitor.get(made.location).text
    link = re.search(r'href="([^"]+)">Make a rule</a>', told)
    assert "hurting oneself" in told and link
    questions = visitor.get(link[1].replace("&amp;", "&")).text
    last = re.findall(r'name="question" value="([^"]+)"', questions)[-1]
    form = visitor.get(f"/view_study/{study.id}/alerts/rules/new?survey={survey.id}&question={last}").text
    nurse = re.search(r'name="recipients" value="(\d+)"', form)
    assert nurse and "hurting yourself" in form
    wanted = {"survey": str(survey.id), "question": last, "options": "Several days", "recipients": nurse[1]}
    assert visitor.post(f"/view_study/{study.id}/alerts/rules/new", **wanted).status_code == 302
    assert db.session.scalars(db.select(AlertRule)).one().options == ["Several days"]


def test_a_survey_is_kept_used_in_another_study_and_removed_by_who_kept_it(
    app: Flask, visitor: Visitor, factory: Factory, study: Study
):
    survey = factory.survey(study, name="Evening", content=json.dumps(CONTENT))
    page = f"/edit_survey/{study.id}/{survey.id}/keep"
    assert 'value="Evening"' in visitor.get(page).text
    refused = visitor.post(page, name="", about="About it")
    assert refused.status_code == 422 and "About it" in refused.text
    assert visitor.post(page, name="Evening <b>", about="Ours").location == f"/view_study/{study.id}/surveys/templates"
    other = factory.study("Other")
    colleague = Visitor(app, factory.researcher("rkim", study=other))
    at = f"/view_study/{other.id}/surveys/templates"
    assert "Evening &lt;b&gt;" in colleague.get(at).text
    number = db.session.scalar(db.select(SurveyTemplate.id))
    assert "so; so" in colleague.get(f"{at}/{number}").text
    assert colleague.post(f"{at}/{number}").status_code == 302
    copied = db.session.scalars(db.select(Survey).filter_by(study_id=other.id)).one()
    assert copied.name == "Evening <b>" and copied.published_at is None
    assert colleague.post(f"{at}/{number}/remove").status_code == 403
    own = f"/view_study/{study.id}/surveys/templates"
    assert visitor.post(f"{own}/{number}/remove").location == own
    assert colleague.get(f"{at}/{number}").status_code == 404
    for wrong in ("0", "phq-99", "9" * 30):
        assert colleague.post(f"{at}/{wrong}").status_code == 404
