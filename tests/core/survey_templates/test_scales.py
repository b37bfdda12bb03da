"""Published scales: worked examples by the sources' rules, and drafts with their scores (CLAR-57)."""

import json

import pytest
from flask import Flask

from core.answers.rules.scoring import GivenAnswer, definition_from, misfits, score_of
from core.answers.rules.wording import wordings_in
from core.answers.scores import scores_of_survey
from core.audit import SERVER
from core.database import db
from core.models import Survey
from core.survey_templates.library import (
    TemplateRefused,
    add_from_scale,
    add_from_template,
    keep_as_template,
    kept_templates,
    remove_template,
)
from core.survey_templates.scale import Scale
from core.survey_templates.scales import SCALES
from core.surveys.copying import copy_survey
from core.surveys.drafts import draft_of
from core.surveys.rules.checking import Level
from core.surveys.rules.survey import check_survey
from tests.support.factories import Factory
from tests.support.this_hour import this_hour

ALL = pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES.keys())


@ALL
def test_each_worked_example_gives_the_sources_score(scale: Scale):
    """CLAR-57: with reversed items, and with missing ones prorated or without a score."""
    ids = tuple(f"q{number}" for number in range(len(scale.items)))
    assert scale.examples
    for example in scale.examples:
        assert len(example.answers) == len(scale.items)
        given = {
            question_id: GivenAnswer("radio_button", len(item.options), None, None, None, [choice])
            for question_id, item, choice in zip(ids, scale.items, example.answers, strict=True)
            if choice is not None
        }
        for score in scale.scores:
            value = score_of(definition_from(scale.definition(score, ids)), given).value
            expected = example.values[score.variable]
            assert value == (None if expected is None else pytest.approx(expected)), (score.name, example)
    assert any(None in example.answers for example in scale.examples), "one with missing items"


@ALL
def test_each_scale_says_where_it_is_from_and_on_what_terms(scale: Scale):
    assert scale.source and scale.licence and scale.about
    for score in scale.scores:
        bounds = [band for band, _ in score.bands]
        assert bounds == sorted(bounds)
        codes = [scale.items[number - 1].codes for number in score.items]
        if bounds:
            assert bounds[-1] == sum(max(each) for each in codes), "the last band ends at the greatest value"
    for item in scale.items:
        assert len(item.codes) == len(item.options) == len(set(item.options))
    assert all(1 <= number <= len(scale.items) for number, _ in scale.to_watch)


@ALL
def test_a_scale_becomes_a_draft_that_can_be_published_with_its_scores(app: Flask, factory: Factory, scale: Scale):
    """No error of checking, no ambiguity of answers that sycamore could not tell apart but what commas bring."""
    study = factory.study()
    survey = add_from_scale(db.session(), study, scale, this_hour(), actor=SERVER)
    db.session.commit()
    content = json.loads(draft_of(db.session(), survey).content)
    assert survey.published_at is None and survey.name == scale.name
    assert not [f for f in check_survey(survey.survey_type, content, {}) if f.level is Level.ERROR]
    (score,) = scores_of_survey(db.session(), survey.id)
    assert misfits(score.definition, wordings_in(content)) == []


def test_the_same_scale_twice_has_questions_of_its_own(app: Flask, factory: Factory):
    """CLAR-50."""
    study = factory.study()
    first, second = (add_from_scale(db.session(), study, SCALES["phq-9"], this_hour(), actor=SERVER) for _ in range(2))
    db.session.commit()
    ids = [{q["question_id"] for q in json.loads(draft_of(db.session(), s).content)} for s in (first, second)]
    assert not ids[0] & ids[1]


def kept(factory: Factory) -> Survey:
    survey = add_from_scale(db.session(), factory.study("Source"), SCALES["ces-d"], this_hour(), actor=SERVER)
    db.session.commit()
    return survey


def test_a_kept_survey_comes_back_with_its_scores_in_the_same_and_in_another_study(app: Flask, factory: Factory):
    """CLAR-50, CLAR-57: ids that are taken are new, and the score follows."""
    now = this_hour()
    source = kept(factory)
    template = keep_as_template(db.session(), source, " Our  scale ", "For the clinic.", now, actor=SERVER)
    db.session.commit()
    original = scores_of_survey(db.session(), source.id)[0].definition
    for study in (db.session.get_one(type(factory.study()), source.study_id), factory.study("Target")):
        survey = add_from_template(db.session(), study, template, now, actor=SERVER)
        db.session.commit()
        content = json.loads(draft_of(db.session(), survey).content)
        (score,) = scores_of_survey(db.session(), survey.id)
        assert survey.name == "Our scale" and misfits(score.definition, wordings_in(content)) == []
        assert (score.definition.question_ids == original.question_ids) is (study.name == "Target")
    remove_template(db.session(), template, now, actor=SERVER)
    assert kept_templates(db.session()) == []


def test_what_cannot_be_kept_is_refused(app: Flask, factory: Factory):
    source = kept(factory)
    empty = factory.survey(factory.study("Other"))
    for survey, name, about in (
        (source, "", ""),
        (source, "x" * 201, ""),
        (source, "x", "x" * 1_001),
        (empty, "x", ""),
    ):
        with pytest.raises(TemplateRefused):
            keep_as_template(db.session(), survey, name, about, this_hour(), actor=SERVER)


def test_scores_follow_a_copied_survey(app: Flask, factory: Factory):
    """CLAR-50: also where questions get new ids."""
    source = kept(factory)
    study = db.session.get_one(type(factory.study()), source.study_id)
    copied = copy_survey(db.session(), source, study, this_hour(), actor=SERVER).survey
    db.session.commit()
    content = json.loads(draft_of(db.session(), copied).content)
    (score,) = scores_of_survey(db.session(), copied.id)
    assert misfits(score.definition, wordings_in(content)) == []
