"""Which days of surveys a night computes, and that nights come to what one run over all days does (CLAR-81)."""

from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.audit import SERVER
from core.database import db
from core.forest.nightly import queue_changed_days
from core.forest.run import run_task
from core.forest.tasks import claim_next
from core.models import Chunk, ForestDay, ForestTask, Participant, ScheduledEvent, Study, Survey
from core.streams import SPECS, DataStream
from core.studies.changing import set_forest, set_nightly_forest
from core.surveys.schedules import Weekly
from tests.forest_truth import life as lives
from tests.forest_truth import server, truth
from tests.forest_truth.life import AUTUMN, SPRING, Life
from tests.support.factories import Factory
from webapp.stores import object_store, settings

ZONE = lives.NEW_YORK
NIGHT = datetime(2024, 6, 20, 6, 30, tzinfo=UTC)  # 02:30 in New York
DAY = timedelta(days=1)
BEFORE = NIGHT - 40 * DAY


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    study = factory.study("Surveys", timezone_name=ZONE.key)
    set_forest(db.session(), study, True, actor=SERVER)
    set_nightly_forest(db.session(), study, True, actor=SERVER)
    db.session.commit()
    return study


@pytest.fixture
def person(factory: Factory, study: Study) -> Participant:
    return factory.participant(study)


@pytest.fixture
def survey(factory: Factory, study: Study) -> Survey:
    return factory.survey(study)


def send(factory: Factory, person: Participant, survey: Survey, *clocks: str) -> None:
    """Events at these times of June 2024 in New York, such as `12 09:00`."""
    schedule = factory.schedule(survey, Weekly(0, datetime.min.time()))
    of = {"survey_id": survey.id, "participant_id": person.id, "schedule_id": schedule.id}
    db.session.add_all(ScheduledEvent(scheduled_at=at(clock), **of) for clock in clocks)
    db.session.commit()


def answer(person: Participant, survey: Survey, clock: str, written: datetime = BEFORE) -> None:
    """A chunk of the survey's timings of this hour."""
    of = {"participant_id": person.id, "study_id": person.study_id, "survey_id": survey.id, "size_bytes": 5}
    stream = SPECS[DataStream.SURVEY_TIMINGS].number
    db.session.add(Chunk(**of, stream=stream, time_bin=at(clock), md5=b"m" * 16, updated_at=written))
    db.session.commit()


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2024-06-{clock}").replace(tzinfo=ZONE).astimezone(UTC)


def computed(study: Study, night: datetime = NIGHT, measured: bool = True) -> list[tuple[str, str, list[int]]]:
    """Queues a night and ends it. Returns first and last day that are read, and the days of June that are written."""
    queue_changed_days(db.session(), study, night, window_days=30)
    found = []
    for task in db.session.scalars(sa.select(ForestTask).filter_by(state="queued").order_by(ForestTask.start_on)):
        task.state = "success"
        days = [date.fromisoformat(day) for day in task.days or ()]
        found.append((f"{task.start_on:%m-%d}", f"{task.end_on:%m-%d}", [day.day for day in days]))
        for day in days if measured else ():
            of = {"participant_id": task.participant_id, "study_id": study.id, "day": day}
            db.session.merge(ForestDay(**of, sycamore_task_id=task.id, sycamore_total_surveys=1))
    db.session.commit()
    return found


def test_a_survey_of_the_evening_that_is_answered_after_midnight(
    factory: Factory, study: Study, person: Participant, survey: Survey
) -> None:
    send(factory, person, survey, "17 23:50", "18 23:50")
    answer(person, survey, "17 23:00")
    assert computed(study, NIGHT - 2 * DAY) == [("06-17", "06-17", [17])]
    answer(person, survey, "19 00:00", NIGHT - timedelta(hours=20))
    assert computed(study) == [("06-17", "06-19", [18, 19])]


def test_a_day_without_an_answer_gets_its_turn_once(
    factory: Factory, study: Study, person: Participant, survey: Survey
) -> None:
    send(factory, person, survey, *(f"{day} 09:00" for day in range(10, 22)))
    answer(person, survey, "15 09:00")
    assert computed(study, NIGHT - DAY) == [("06-10", "06-18", [10, 11, 12, 13, 14, 15, 16, 17, 18])]
    assert computed(study, measured=False) == [("06-15", "06-19", [19])]
    assert computed(study) == []
    assert computed(study, NIGHT + DAY) == [("06-15", "06-20", [20])]
    assert computed(study, NIGHT + 2 * DAY) == [("06-15", "06-21", [21])]
    assert computed(study, NIGHT + 3 * DAY) == []


def test_nobody_who_answers_nothing_is_queued(
    factory: Factory, study: Study, person: Participant, survey: Survey
) -> None:
    """Never, not since the window began, or not before leaving the study."""
    send(factory, person, survey, "18 09:00", "19 09:00")
    retired = factory.participant(study, retired_at=at("18 12:00"))
    send(factory, retired, factory.survey(study), "19 09:00")
    silent = factory.participant(study)
    answer(silent, survey, "01 09:00")
    assert [days for _, _, days in computed(study, NIGHT - 15 * DAY)] == [[1]]
    send(factory, silent, factory.survey(study), "19 09:00")
    assert computed(study) == []


def test_an_answer_days_later_changes_the_day_it_was_sent(
    factory: Factory, study: Study, person: Participant, survey: Survey
) -> None:
    """A survey that was never opened before was not counted at all, so all its days change."""
    daily, weekly = factory.survey(study), survey
    send(factory, person, daily, *(f"{day} 09:00" for day in range(10, 20)))
    send(factory, person, weekly, "03 08:00", "10 08:00", "17 08:00")
    for day in range(10, 19):
        answer(person, daily, f"{day} 09:00")
    computed(study, NIGHT - DAY)
    answer(person, daily, "19 09:00", NIGHT - timedelta(hours=17))
    assert [days for _, _, days in computed(study)] == [[18, 19]]
    answer(person, weekly, "20 08:00", NIGHT + timedelta(hours=6))
    assert [days for _, _, days in computed(study, NIGHT + DAY)] == [[3, 10, 17, 19, 20]]


def test_one_day_that_failed_is_repeated_without_the_window(
    factory: Factory, study: Study, person: Participant, survey: Survey
) -> None:
    """The cause may be in the days that were read; then it waits until its data change."""
    send(factory, person, survey, "15 09:00", "19 09:00")
    answer(person, survey, "15 09:00")
    computed(study, NIGHT - DAY)
    assert computed(study, measured=False) == [("06-15", "06-19", [19])]
    for night in range(1, 4):
        db.session.execute(sa.update(ForestTask).values(state="error"))
        assert computed(study, NIGHT + night * DAY, measured=False) == [("06-19", "06-19", [19])] * (night == 1)


@pytest.mark.long
@pytest.mark.parametrize("first", [SPRING, AUTUMN])
def test_nights_come_to_what_one_run_does(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch, first: date
) -> None:
    """Answers after midnight, a survey that is first opened on the fourth day, and two days without an answer."""
    surveys = (
        ("random", 0, "10:00", 300, 60),
        ("random", 0, "23:50", 1500, 300),
        ("random", 1, "12:00", None, None),
        ("random", 2, "12:00", None, None),
        ("random", 3, "12:00", 60, None),
        ("arm", 0, "20:00", None, None),
        ("arm", 1, "20:00", None, None),
        ("arm", 3, "20:00", 600, 60),
        ("random", 4, "12:00", None, None),
        ("arm", 4, "20:00", None, None),
        *(("daily", day, "09:00", 60, 30 if day < 2 else None) for day in (0, 1, 3)),
        *(("daily", day, "09:00", None, None) for day in (2, 4)),
    )
    for module in (server, truth):
        monkeypatch.setattr(module, "SURVEYS", surveys)
    life = Life(first, count=5)
    participant = server.settle(life, factory, ())
    db.session.execute(sa.update(Chunk).values(updated_at=Chunk.time_bin + timedelta(hours=1)))
    study = db.session.get_one(Study, participant.study_id)
    number = participant.id
    for day in life.days:
        night = datetime.combine(day + DAY, datetime.min.time(), ZONE) + timedelta(hours=3)
        queue_changed_days(db.session(), study, night.astimezone(UTC), window_days=30)
        db.session.commit()
        while (task := claim_next(db.engine, datetime.now(UTC))) is not None:
            assert run_task(db.engine, object_store(), settings(), task).state == "success"
        db.session.expire_all()
    lines = server.compared(life, db.session.get_one(Participant, number), ("sycamore",), life.days)
    assert [line for line in lines if not line.is_right] == []
    by_night = rows(number)
    server.measure(db.session.get_one(Participant, number), ("sycamore",), life.days)
    assert rows(number) == by_night and len(by_night) == 5


def rows(participant_id: int) -> list[tuple[object, ...]]:
    """Each day with what sycamore made of it."""
    measures = [column for column in ForestDay.__table__.c if column.name.startswith(("sycamore_a", "sycamore_total"))]
    query = (
        sa.select(ForestDay.day, *measures).where(ForestDay.participant_id == participant_id).order_by(ForestDay.day)
    )
    return [tuple(row) for row in db.session.execute(query)]
