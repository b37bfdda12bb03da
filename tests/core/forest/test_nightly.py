"""Which days a night computes (CLAR-81)."""

from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask

from core.audit import SERVER
from core.database import db
from core.forest.nightly import NIGHTLY, changed_days, queue_changed_days, recent_nights, studies_in_the_night
from core.forest.trees import Tree
from core.models import Chunk, ForestTask, Participant, Study, TaskState
from core.streams import SPECS, DataStream
from core.studies.changing import set_forest, set_nightly_forest
from tests.support.factories import Factory

NIGHT = datetime(2024, 6, 20, 6, 30, tzinfo=UTC)  # 02:30 in New York


@pytest.fixture
def study(factory: Factory) -> Study:
    study = factory.study("Sleep and movement", timezone_name="America/New_York")
    set_forest(db.session(), study, True, actor=SERVER)
    set_nightly_forest(db.session(), study, True, actor=SERVER)
    db.session.commit()
    return study


@pytest.fixture
def person(factory: Factory, study: Study) -> Participant:
    return factory.participant(study)


def add(person: Participant, stream: DataStream, at: str, written: datetime) -> None:
    """A chunk of the hour `at` (UTC), written at this time."""
    row = {
        "participant_id": person.id,
        "study_id": person.study_id,
        "stream": SPECS[stream].number,
        "updated_at": written,
    }
    db.session.add(Chunk(**row, time_bin=datetime.fromisoformat(at).replace(tzinfo=UTC), size_bytes=5, md5=b"m" * 16))
    db.session.commit()


def finish(tree: Tree, ready: datetime, state: TaskState = TaskState.SUCCESS) -> None:
    """Ends the open nightly tasks of a tree, which read their data at this time."""
    for task in db.session.scalars(
        db.select(ForestTask).where(ForestTask.tree == tree.value, ForestTask.state == "queued")
    ):
        task.state, task.data_ready_at, task.ended_at, task.days_written = state.value, ready, ready, 2
        task.reason = "The library failed." if state is TaskState.ERROR else None
    db.session.commit()


def queued(tree: Tree) -> list[tuple[date, date, list[str] | None]]:
    query = (
        db.select(ForestTask).where(ForestTask.tree == tree.value, ForestTask.state == "queued").order_by(ForestTask.id)
    )
    return [(task.start_on, task.end_on, task.days) for task in db.session.scalars(query)]


def test_the_first_night_takes_all_days_and_the_next_what_changed(app: Flask, study: Study, person: Participant):
    """Days are those of the study's zone; today waits; late uploads are tasks of their own."""
    session = db.session()
    before, shortly_before = NIGHT - timedelta(hours=3), NIGHT - timedelta(minutes=5)
    add(person, DataStream.ACCELEROMETER, "2024-06-01T03:00", before)  # still 31 May in New York
    add(person, DataStream.ACCELEROMETER, "2024-06-18T12:00", shortly_before)  # may be committed after it was read
    add(person, DataStream.ACCELEROMETER, "2024-06-20T05:00", shortly_before)  # today
    add(person, DataStream.GPS, "2024-06-10T12:00", before)
    assert queue_changed_days(session, study, NIGHT) == 3
    session.commit()
    assert queued(Tree.OAK) == [
        (date(2024, 5, 31), date(2024, 5, 31), ["2024-05-31"]),
        (date(2024, 6, 18), date(2024, 6, 18), ["2024-06-18"]),
    ]
    assert queued(Tree.JASMINE) == [(date(2024, 6, 10), date(2024, 6, 19), None)]
    assert queued(Tree.WILLOW) == []
    assert queue_changed_days(session, study, NIGHT) == 0  # while they are open

    finish(Tree.OAK, NIGHT)
    finish(Tree.JASMINE, NIGHT)
    next_night = NIGHT + timedelta(days=1)
    late = NIGHT + timedelta(hours=9)
    add(person, DataStream.ACCELEROMETER, "2024-06-03T12:00", late)
    add(person, DataStream.ACCELEROMETER, "2024-06-05T12:00", late)
    add(person, DataStream.GPS, "2024-06-02T12:00", late)
    assert queue_changed_days(session, study, next_night) == 3
    session.commit()
    assert queued(Tree.OAK) == [
        (date(2024, 6, 3), date(2024, 6, 5), ["2024-06-03", "2024-06-05"]),
        (date(2024, 6, 18), date(2024, 6, 20), ["2024-06-18", "2024-06-20"]),
    ]
    assert queued(Tree.JASMINE) == [(date(2024, 6, 2), date(2024, 6, 20), None)]


def test_a_failed_night_is_repeated_and_shown(app: Flask, study: Study, person: Participant):
    session = db.session()
    add(person, DataStream.CALLS, "2024-06-18T12:00", NIGHT - timedelta(hours=3))
    assert queue_changed_days(session, study, NIGHT) == 1
    session.commit()
    finish(Tree.WILLOW, NIGHT, TaskState.ERROR)
    (night,) = recent_nights(session, study)
    assert night.counts == {"willow": {"error": 1}}
    assert [(patient_id, tree, reason) for _, patient_id, tree, reason in night.failed] == [
        (person.patient_id, "willow", "The library failed.")
    ]
    assert queue_changed_days(session, study, NIGHT + timedelta(days=1)) == 1
    session.commit()
    assert {task.asked_by for task in session.scalars(db.select(ForestTask))} == {NIGHTLY}


def test_a_purge_and_other_hours_and_switches_keep_nights_away(
    app: Flask, factory: Factory, study: Study, person: Participant
):
    session = db.session()
    assert [each.id for each in studies_in_the_night(session, NIGHT)] == [study.id]
    assert studies_in_the_night(session, NIGHT + timedelta(hours=1)) == []
    add(person, DataStream.CALLS, "2024-06-18T12:00", NIGHT - timedelta(hours=3))
    assert len(changed_days(session, study, NIGHT)) == 1
    person.purge_asked_at = db.func.now()
    set_nightly_forest(session, study, False, actor=SERVER)
    session.commit()
    assert changed_days(session, study, NIGHT) == []
    assert studies_in_the_night(session, NIGHT) == []
