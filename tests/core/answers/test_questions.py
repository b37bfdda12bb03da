"""What pages ask of answers: rates, distributions, one participant, the codebook (NOTIF-24, CLAR-56)."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from core.access import SiteLimit
from core.answers.codebook import codebook
from core.answers.distributions import Spread, distribution
from core.answers.rates import Counts, response_rates
from core.answers.reading import AnswerState
from core.answers.submitted import answers_of, submissions_of
from core.database import db
from core.limits import limit_session
from core.models import CustomField, FieldValue, Participant, Survey
from core.streams import Platform
from core.surveys.saving import add_version
from tests.support.answering import CONTENT, MOOD, ODD, asks, file_of, opens, process, submits
from tests.support.factories import Factory
from tests.support.this_hour import this_hour

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def people(factory: Factory) -> list[Participant]:
    """Two of a study, and a phone of the study team."""
    study = factory.study(timezone_name="UTC")
    return [factory.participant(study, timezone_name="UTC", is_test=n == 2) for n in range(3)]


@pytest.fixture
def survey(factory: Factory, people: list[Participant]) -> Survey:
    """Asked each day for four days; everybody answers the first two, the second participant late."""
    now = this_hour()
    survey = factory.survey(people[0].study, content=json.dumps(CONTENT))
    for place, person in enumerate(people):
        asks(person, survey, *(now - n * DAY for n in (4, 3, 2)), now - HOUR)
        for n in (4, 3):
            given = {"mood": place, "why": (0, 2), "energy": n, "hours": "8", "rest": "text"}
            at = now - n * DAY + (place + 1) * HOUR
            submits(person, survey, at, file_of(given, Platform.ANDROID))
        opens(person, survey, now - 2 * DAY + HOUR)
    submits(people[0], survey, now - 4 * DAY + 3 * HOUR, file_of({}, Platform.ANDROID))
    process()
    return survey


def spread(found: list[Spread], question_id: str) -> Spread:
    return next(each for each in found if each.question_id == question_id)


def test_rates_by_day_week_and_participant(app: Flask, people: list[Participant], survey: Survey):
    """NOTIF-24, CLAR-62: without the study team's phones; what is still open is not in the rate."""
    now = this_hour()
    rates = response_rates(db.session(), survey.id)
    assert rates.total == Counts(answered=4, missed=2, open=2, opened=6)
    assert rates.total.rate == pytest.approx(4 / 6)
    assert [row.counts.answered for row in rates.days] == [2, 2, 0, 0]
    assert [row.day for row in rates.days] == [(now - n * DAY).date() for n in (4, 3, 2)] + [(now - HOUR).date()]
    assert sum((week.counts for week in rates.weeks), Counts()) == rates.total
    assert [(row.patient_id, row.counts.answered, row.extra) for row in rates.participants] == [
        (people[0].patient_id, 2, 1),
        (people[1].patient_id, 2, 0),
    ]
    assert [row.mean_minutes for row in rates.participants] == [60, 120]
    assert rates.times == {60: 2, 120: 2} and rates.median_minutes == 90 and (rates.extra, rates.unasked) == (1, 0)
    assert response_rates(db.session(), survey.id, with_test=True).total.answered == 6
    assert response_rates(db.session(), survey.id, participant_id=people[1].id).total.answered == 2
    last = (now - 3 * DAY).date()
    assert response_rates(db.session(), survey.id, first=last, last=last).total == Counts(answered=2, opened=2)
    assert Counts().rate is None


@pytest.mark.parametrize("has_times", [False, True])
def test_distributions_count_each_answer(app: Flask, survey: Survey, has_times: bool):
    """From tallies, and from the answers of a time: the same."""
    of_time = {"since": this_hour() - 100 * DAY, "until": this_hour()} if has_times else {}
    found = distribution(db.session(), survey.id, **of_time)
    mood = spread(found, "mood")
    assert mood.options == [("bad", 2), ("so; so", 2), ("good, mostly", 0)]
    assert (mood.answered, mood.skipped, mood.unseen, mood.unreadable) == (4, 1, 0, 0)
    assert spread(found, "why").options == [("work", 4), ("pain, bad", 0), (ODD, 4)]
    energy = spread(found, "energy")
    assert energy.numbers == [(3, 2), (4, 2)] and energy.mean == 3.5 and (energy.least, energy.most) == (0, 10)
    assert spread(found, "hours").numbers == [(8, 4)]
    assert spread(found, "rest").answered == 4 and spread(found, "rest").numbers == []


def test_distributions_of_one_participant_and_of_a_part_of_the_time(
    app: Flask, people: list[Participant], survey: Survey
):
    session = db.session()
    assert spread(distribution(session, survey.id, participant_id=people[1].id), "mood").options[1][1] == 2
    some = distribution(session, survey.id, since=this_hour() - 3 * DAY, participant_id=people[0].id)
    assert spread(some, "mood").options[0][1] == 1
    assert spread(distribution(session, survey.id, with_test=True), "mood").options[2][1] == 2


def test_an_edited_question_is_not_mixed_with_the_earlier_one(
    app: Flask, factory: Factory, people: list[Participant], survey: Survey
):
    """CLAR-56: another order of options is another wording; a question that moved is the same."""
    now = this_hour()
    turned = MOOD | {"answers": MOOD["answers"][::-1]}
    edited = [*CONTENT[1:4], turned, CONTENT[4]]
    edited[0] = {key: value for key, value in edited[0].items() if key != "display_if"}
    survey.content = json.dumps(edited)
    add_version(db.session(), survey, now)
    db.session.commit()
    submits(people[0], survey, now + HOUR, file_of({"mood": 0, "energy": 1}, Platform.ANDROID, edited))
    process()
    found = distribution(db.session(), survey.id)
    moods = [each for each in found if each.question_id == "mood"]
    assert [(each.number, each.revision, each.answered) for each in moods] == [(1, 1, 4), (1, 2, 1)]
    assert moods[1].options[0] == ("good, mostly", 1)
    assert spread(found, "energy").answered == 5
    book = {each.name: each for each in codebook(db.session(), survey.id)}
    assert list(book) == ["q1", "q1_v2", "q2", "q3", "q4", "q5"]
    assert (book["q1"].versions, book["q1_v2"].versions, book["q3"].versions) == ((1,), (2,), (1, 2))
    assert book["q1_v2"].codes == ((0, "good, mostly"), (1, "so; so"), (2, "bad"))
    assert book["q2"].names == ("q2_0", "q2_1", "q2_2") and book["q1"].names == ("q1",)
    assert book["q3"].answered == 5 and book["q5"].field_type == "MULTI_LINE_TEXT"


def test_a_codebook_is_there_before_anybody_answers(app: Flask, factory: Factory):
    survey = factory.survey(factory.study(), content=json.dumps(CONTENT))
    assert [each.question_id for each in codebook(db.session(), survey.id)] == [q["question_id"] for q in CONTENT]


def test_one_participant_over_time_with_the_file_behind_each_answer(
    app: Flask, people: list[Participant], survey: Survey
):
    now = this_hour()
    session = db.session()
    found = submissions_of(session, survey.id, participant_id=people[0].id)
    assert [each.standing for each in found] == ["answered", "extra", "answered"]
    assert [each.asked_at for each in found] == [now - 3 * DAY, None, now - 4 * DAY]
    newest = found[0]
    assert newest.path.startswith(f"{people[0].study.object_id}/{people[0].patient_id}/surveyAnswers/")
    assert [each.chosen for each in newest.answers[:2]] == [("bad",), ("work", ODD)]
    assert newest.answers[2].number == 3 and newest.answers[4].text == ""
    page = submissions_of(session, survey.id, limit=2, with_test=False)
    rest = submissions_of(session, survey.id, before=(page[-1].submitted_at, page[-1].id), with_test=False)
    assert len({each.id for each in [*page, *rest]}) == 5
    assert submissions_of(session, survey.id, only_problems=True) == []
    (answers,) = answers_of(session, [newest.id], with_texts=True).values()
    assert answers[4].text == "text" and answers[4].state is AnswerState.ANSWERED


def test_a_limited_person_sees_the_answers_of_the_own_site_alone(app: Flask, people: list[Participant], survey: Survey):
    """PERM-95: in rates, distributions, lists and codebook."""
    field = CustomField(study_id=survey.study_id, name="Site")
    db.session.add(field)
    db.session.flush()
    db.session.add(FieldValue(participant_id=people[1].id, field_id=field.id, value="North"))
    db.session.commit()
    with Session(db.engine) as limited:
        limit_session(limited, {survey.study_id: SiteLimit(field.id, ("North",))})
        rates = response_rates(limited, survey.id)
        assert [row.patient_id for row in rates.participants] == [people[1].patient_id]
        assert rates.total.answered == 2 and rates.times == {120: 2} and rates.extra == 0
        assert spread(distribution(limited, survey.id), "mood").options == [
            ("bad", 0),
            ("so; so", 2),
            ("good, mostly", 0),
        ]
        assert {each.patient_id for each in submissions_of(limited, survey.id)} == {people[1].patient_id}
        assert codebook(limited, survey.id)[0].answered == 2
        of_others = sa.text("SELECT min(id) FROM submissions WHERE participant_id <> :own")
        someone_else = db.session.scalar(of_others, {"own": people[1].id})
        assert answers_of(limited, [someone_else], with_texts=True) == {}
