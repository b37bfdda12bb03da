"""Scores of a survey in the portal: made, previewed, changed, computed anew, removed (CLAR-55, CLAR-57)."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from core.access import Role
from core.audit import SERVER
from core.database import db
from core.models import Score, ScoreRun, ScoreValue, ScoreVersion, Study, Survey
from core.streams import Platform
from core.surveys.saving import SurveyChanges, save_survey
from tests.support.answering import CONTENT, file_of, forget_rows, process, submits
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.support.sites import TwoSites
from tests.support.this_hour import this_hour
from webapp.portal.answers import scores

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def survey(factory: Factory) -> Survey:
    """Two submissions: mood 2 and energy 7, then mood 0 with energy left out."""
    study = factory.study("Mood", timezone_name="UTC")
    survey = factory.survey(study, name="Evening", content=json.dumps(CONTENT))
    person = factory.participant(study, platform=Platform.IOS)
    for hours, given in ((5, {"mood": 2, "energy": 7}), (4, {"mood": 0, "why": (1,)})):
        submits(person, survey, this_hour() - timedelta(hours=hours), file_of(given, Platform.IOS))
    process()
    return survey


@pytest.fixture
def visitor(app: Flask, factory: Factory, survey: Survey) -> Visitor:
    return Visitor(app, factory.researcher("nurse", study=db.session.get_one(Study, survey.study_id)))


def at(survey: Survey, rest: str = "") -> str:
    return f"/view_study/{survey.study_id}/survey/{survey.id}/answers/scores{rest}"


def sends(visitor: Visitor, address: str, **fields: Any) -> TestResponse:
    data = MultiDict({"csrf_token": visitor.token()})
    whole = {"name": "Total", "variable": "total", "combination": "sum", "item": ["mood", "energy"]} | fields
    for name, value in whole.items():
        data.setlist(name, value if isinstance(value, list) else [value])
    return visitor.open(address, method="POST", data=data)


def values() -> list[tuple[int, float | None, int]]:
    """Version, value and items answered, by submission."""
    forget_rows()
    query = sa.select(ScoreVersion.number, ScoreValue.value, ScoreValue.items_answered).join(ScoreVersion)
    return [tuple(row) for row in db.session.execute(query.order_by(ScoreVersion.number, ScoreValue.submission_id))]


def test_a_score_is_made_and_computed_at_once(visitor: Visitor, survey: Survey):
    """CLAR-57: with fewer items than asked for there is no value."""
    assert "How was your mood" in visitor.get(at(survey, "/new")).text
    made = sends(visitor, at(survey, "/new"))
    assert made.status_code == 302
    page = visitor.get(at(survey)).text
    assert "It was computed for all submissions." in page and "sum of 2 items, at least 2 answered" in page
    assert values() == [(1, 9.0, 2), (1, None, 1)]


def test_the_preview_saves_nothing(visitor: Visitor, survey: Survey):
    """What the least and greatest value are, with an item left open and with too few."""
    page = sends(visitor, at(survey, "/new"), preview="1", least_answered="1", reversed="mood")
    assert page.status_code == 200 and "not saved yet" in page.text
    shown = re.findall(r"<dd>([^<]+)</dd>", page.text)
    assert shown == ["0", "12", "4", "no value"]
    assert 'value="Total"' in page.text and db.session.scalar(sa.select(Score.id)) is None
    typed = sends(visitor, at(survey, "/new"), preview="1", item="hours")
    assert "least and greatest value are not known" in typed.text


def test_a_change_makes_a_version_and_computes_anew(visitor: Visitor, survey: Survey):
    """CLAR-57: earlier values stay; codes, reversed items, proration; an equal definition changes nothing."""
    sends(visitor, at(survey, "/new"))
    number = db.session.scalar(sa.select(Score.id))
    fields = {"codes:mood": "10, 20 30", "reversed": ["mood"], "least_answered": "1"}
    assert sends(visitor, at(survey, f"/{number}"), **fields).status_code == 302
    assert values() == [(1, 9.0, 2), (1, None, 1), (2, 17.0, 2), (2, 60.0, 1)]
    page = visitor.get(at(survey, f"/{number}")).text
    assert 'value="10, 20, 30"' in page and "version 2" in page and "Values changed" in page
    sends(visitor, at(survey, f"/{number}"), **fields)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(ScoreVersion)) == 2
    assert visitor.post(at(survey, f"/{number}/compute")).status_code == 302
    assert db.session.scalar(sa.select(sa.func.count()).select_from(ScoreRun)) == 3
    assert not db.session.scalar(sa.select(sa.func.count()).where(ScoreRun.ended_at.is_(None)))


def test_what_cannot_be_is_said_where_it_was_typed(visitor: Visitor, survey: Survey):
    refused: list[tuple[dict[str, Any], str]] = [
        ({"name": " "}, "The name of a score has 1 to 100 characters."),
        ({"variable": "Q1"}, "The name of the variable"),
        ({"item": []}, "A score has 1 to 200 items."),
        ({"least_answered": "3"}, "At least 1 and at most all 2 items"),
        ({"least_answered": "two"}, "At least 1 and at most all 2 items"),
        ({"combination": "product"}, "A score is a sum or a mean."),
        ({"codes:mood": "a, b, c"}, "Codes are numbers"),
        ({"codes:mood": "1, nan, 3"}, "Item 1"),
        ({"codes:mood": "1, 2"}, "It has 3 answers, so it needs 3 codes"),
        ({"item": "why", "reversed": "why"}, "Several answers cannot be reversed."),
        ({"item": "hours", "reversed": "hours"}, "it needs a least and a greatest value"),
        ({"item": "hours", "least:hours": "9", "most:hours": "1"}, "the least first"),
    ]
    for fields, said in refused:
        answer = sends(visitor, at(survey, "/new"), **fields)
        assert answer.status_code == 422 and said in answer.text and 'role="alert"' in answer.text, fields
    sends(visitor, at(survey, "/new"))
    twice = sends(visitor, at(survey, "/new"))
    assert twice.status_code == 422 and "There is, or was, a score with the variable total." in twice.text


def test_a_question_that_is_not_asked_any_more_stays_an_item(visitor: Visitor, survey: Survey):
    sends(visitor, at(survey, "/new"))
    number = db.session.scalar(sa.select(Score.id))
    save_survey(db.session(), survey, SurveyChanges(content=json.dumps(CONTENT[:2])), this_hour(), actor=SERVER)
    db.session.commit()
    assert "Not from the newest version of the survey" in visitor.get(at(survey)).text
    page = visitor.get(at(survey, f"/{number}")).text
    assert "A question that the survey does not ask any more" in page and "cannot be computed wholly" in page
    assert sends(visitor, at(survey, f"/{number}"), name="Other").status_code == 302
    assert "Other" in visitor.get(at(survey)).text


def test_a_removed_score_is_in_no_page(visitor: Visitor, survey: Survey):
    sends(visitor, at(survey, "/new"))
    number = db.session.scalar(sa.select(Score.id))
    assert visitor.post(at(survey, f"/{number}/remove")).status_code == 302
    assert "No scores yet" in visitor.get(at(survey)).text
    assert visitor.get(at(survey, f"/{number}")).status_code == 404
    assert visitor.post(at(survey, f"/{number}/compute")).status_code == 404


def test_many_submissions_are_scored_in_the_background(
    visitor: Visitor, survey: Survey, monkeypatch: pytest.MonkeyPatch
):
    started: list[str] = []
    monkeypatch.setattr(scores, "MOST_AT_ONCE", 1)
    monkeypatch.setattr(scores, "start_run", lambda name: bool(started.append(name)) or True)
    sends(visitor, at(survey, "/new"))
    page = visitor.get(at(survey)).text
    assert started == ["compute-scores"] and values() == [] and "Being computed" in page


def test_a_viewer_reads_the_definition(app: Flask, visitor: Visitor, factory: Factory, survey: Survey):
    sends(visitor, at(survey, "/new"), reversed="mood")
    number = db.session.scalar(sa.select(Score.id))
    study = db.session.get_one(Study, survey.study_id)
    viewer = Visitor(app, factory.researcher(study=study, role=Role.STUDY_VIEWER))
    page = viewer.get(at(survey, f"/{number}")).text
    assert "Reversed" in page and "<form" not in page.partition("<main")[2].partition("</main")[0]
    assert "New score" not in viewer.get(at(survey)).text


def test_scores_of_somebody_limited_to_a_site_are_of_everybody(app: Flask, factory: Factory):
    """PERM-95: who may change the study's surveys defines scores; other sites' submissions are scored, too."""
    world = TwoSites(factory)
    world.fill_the_others()
    save_survey(db.session(), world.survey, SurveyChanges(content=json.dumps(CONTENT[:1])), this_hour(), actor=SERVER)
    db.session.commit()
    person = world.limited(Role.STUDY_RESEARCHER, may_change_study=True)
    assert sends(Visitor(app, person), at(world.survey, "/new"), item="mood").status_code == 302
    assert len(values()) == len(world.north) + len(world.south)
