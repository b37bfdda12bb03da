"""Figures of surveys, and answers of one participant over time (NOTIF-24, CLAR-56)."""

from datetime import timedelta

import pytest
from flask import Flask

from core.answers.over_time import series_of
from core.answers.overview import rates_of_surveys, submission_figures, submissions_by_survey
from core.answers.rates import response_rates
from core.answers.submitted import submissions_of
from core.database import db
from core.models import Participant, Survey
from tests.support.answered import survey_with_answers
from tests.support.factories import Factory
from tests.support.this_hour import this_hour


@pytest.fixture
def people(factory: Factory) -> list[Participant]:
    study = factory.study(timezone_name="UTC")
    return [factory.participant(study, timezone_name="UTC", is_test=n == 2) for n in range(3)]


@pytest.fixture
def survey(people: list[Participant]) -> Survey:
    return survey_with_answers(people[0].study, people, days=4)


def test_rates_of_all_surveys_are_those_of_each(app: Flask, people: list[Participant], survey: Survey):
    """NOTIF-24: one meaning everywhere; of one participant also those of the study team."""
    session, study_id = db.session(), survey.study_id
    assert rates_of_surveys(session, study_id) == {survey.id: response_rates(session, survey.id).total}
    of_one = response_rates(session, survey.id, participant_id=people[2].id, with_test=True).total
    assert rates_of_surveys(session, study_id, participant_id=people[2].id) == {survey.id: of_one}
    assert rates_of_surveys(session, study_id, since=(this_hour() + timedelta(days=1)).date()) == {}


def test_submissions_are_counted_with_those_that_cannot_be_read(app: Flask, people: list[Participant], survey: Survey):
    now = this_hour()
    session = db.session()
    everybody = submission_figures(session, survey.id, with_test=True)
    figures = submission_figures(session, survey.id)
    assert figures.with_problem == 1 and figures.newest_at == now - timedelta(hours=2)
    of_test = submissions_by_survey(session, people[2].id)
    assert everybody.submissions - figures.submissions == of_test[survey.id]
    lately = submission_figures(session, survey.id, since=now - timedelta(hours=3), until=now)
    assert lately.submissions == 1


def test_series_hold_numbers_and_single_choices_oldest_first(app: Flask, people: list[Participant], survey: Survey):
    """Texts and several answers have no line; options count from 0, with the ends that the question allows."""
    found = series_of(submissions_of(db.session(), survey.id, participant_id=people[0].id))
    assert [series.variable for series in found] == ["q1", "q3", "q4"]
    mood = found[0]
    assert mood.ends == (0, 2) and found[1].ends == (0, 10) and found[2].ends is None
    assert [point.at for point in mood.points] == sorted(point.at for point in mood.points)
    assert all(point.text == ("bad", "so; so", "good, mostly")[int(point.value)] for point in mood.points)
