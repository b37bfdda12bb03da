"""Which days a night computes (CLAR-81)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from core.audit import SERVER
from core.database import db, open_session
from core.forest.night_report import Missing, day_by_tree, last_day, recent_nights
from core.forest.nightly import NIGHTLY, changed_days, queue_changed_days, queue_night, studies_in_the_night
from core.forest.trees import Tree
from core.models import Chunk, ForestDay, ForestTask, Participant, Study, TaskState
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


def finish(tree: Tree, state: TaskState = TaskState.SUCCESS, tries: int = 1) -> None:
    """Ends the open nightly tasks of a tree."""
    for task in db.session.scalars(
        db.select(ForestTask).where(ForestTask.tree == tree.value, ForestTask.state == "queued")
    ):
        task.state, task.ended_at, task.days_written, task.tries = state.value, NIGHT, 2, tries
        task.reason = "The library failed." if state is TaskState.ERROR else None
    db.session.commit()


def queue(study: Study, night: datetime) -> int:
    number = queue_changed_days(db.session(), study, night, window_days=30)
    db.session.commit()
    return number


def queued(tree: Tree) -> list[tuple[date, date, list[str] | None]]:
    query = (
        db.select(ForestTask).where(ForestTask.tree == tree.value, ForestTask.state == "queued").order_by(ForestTask.id)
    )
    return [(task.start_on, task.end_on, task.days) for task in db.session.scalars(query)]


def test_the_first_night_takes_all_days_and_the_next_what_changed(app: Flask, study: Study, person: Participant):
    """Days are those of the study's zone; today waits; late uploads are tasks of their own (CLAR-81)."""
    before, shortly_before = NIGHT - timedelta(hours=3), NIGHT - timedelta(minutes=5)
    add(person, DataStream.ACCELEROMETER, "2024-06-01T03:00", before)  # still 31 May in New York
    add(person, DataStream.ACCELEROMETER, "2024-06-18T12:00", shortly_before)  # may be committed after it was read
    add(person, DataStream.ACCELEROMETER, "2024-06-20T05:00", shortly_before)  # today
    assert queue(study, NIGHT) == 2
    assert queued(Tree.OAK) == [
        (date(2024, 5, 31), date(2024, 5, 31), ["2024-05-31"]),
        (date(2024, 6, 18), date(2024, 6, 18), ["2024-06-18"]),
    ]
    assert queued(Tree.WILLOW) == []
    assert queue(study, NIGHT) == 0  # while they are open

    finish(Tree.OAK)
    late = NIGHT + timedelta(hours=9)
    add(person, DataStream.ACCELEROMETER, "2024-06-03T12:00", late)
    add(person, DataStream.ACCELEROMETER, "2024-06-05T12:00", late)
    assert queue(study, NIGHT + timedelta(days=1)) == 2
    assert queued(Tree.OAK) == [
        (date(2024, 6, 3), date(2024, 6, 5), ["2024-06-03", "2024-06-05"]),
        (date(2024, 6, 18), date(2024, 6, 20), ["2024-06-18", "2024-06-20"]),
    ]


def test_data_that_came_while_a_night_ran_is_the_next_nights(app: Flask, study: Study, person: Participant):
    """One task of a night may read its data hours after another: what came in between is not lost."""
    add(person, DataStream.ACCELEROMETER, "2024-06-01T12:00", NIGHT - timedelta(hours=3))
    add(person, DataStream.ACCELEROMETER, "2024-06-18T12:00", NIGHT - timedelta(hours=3))
    assert queue(study, NIGHT) == 2
    for task, hours in zip(db.session.scalars(db.select(ForestTask).order_by(ForestTask.id)), (1, 9), strict=True):
        task.data_ready_at = NIGHT + timedelta(hours=hours)
    finish(Tree.OAK)
    add(person, DataStream.ACCELEROMETER, "2024-06-01T13:00", NIGHT + timedelta(hours=2))
    assert queue(study, NIGHT + timedelta(days=1)) == 1
    assert queued(Tree.OAK) == [(date(2024, 6, 1), date(2024, 6, 1), ["2024-06-01"])]


def test_jasmine_reads_a_window_and_writes_what_changed(app: Flask, study: Study, person: Participant):
    """FOREST-7, CLAR-81: at least thirty days where there are so many; from an earlier change on, if there is one."""
    add(person, DataStream.GPS, "2024-05-01T12:00", NIGHT - timedelta(days=60))
    add(person, DataStream.GPS, "2024-06-10T12:00", NIGHT - timedelta(hours=3))
    assert queue(study, NIGHT) == 1
    assert queued(Tree.JASMINE) == [(date(2024, 5, 1), date(2024, 6, 19), ["2024-05-01", "2024-06-10"])]
    finish(Tree.JASMINE)
    add(person, DataStream.GPS, "2024-06-20T12:00", NIGHT + timedelta(hours=9))
    assert queue(study, NIGHT + timedelta(days=1)) == 1
    assert queued(Tree.JASMINE) == [(date(2024, 5, 22), date(2024, 6, 20), ["2024-06-20"])]
    finish(Tree.JASMINE)
    add(person, DataStream.GPS, "2024-05-02T12:00", NIGHT + timedelta(hours=30))
    assert queue(study, NIGHT + timedelta(days=2)) == 1
    assert queued(Tree.JASMINE) == [(date(2024, 5, 2), date(2024, 6, 21), ["2024-05-02"])]


def test_jasmines_window_does_not_begin_before_the_data(app: Flask, study: Study, person: Participant):
    add(person, DataStream.GPS, "2024-06-12T12:00", NIGHT - timedelta(days=60))
    assert queue(study, NIGHT) == 1
    finish(Tree.JASMINE)
    add(person, DataStream.GPS, "2024-06-20T12:00", NIGHT + timedelta(hours=9))
    assert queue(study, NIGHT + timedelta(days=1)) == 1
    assert queued(Tree.JASMINE) == [(date(2024, 6, 12), date(2024, 6, 20), ["2024-06-20"])]


@pytest.mark.parametrize(
    ("state", "tries", "is_due"),
    [
        (TaskState.ERROR, 1, False),  # the data of this one day: they must change first
        (TaskState.ERROR, 3, True),  # the machine, three times
        (TaskState.CANCELLED, 1, True),
    ],
)
def test_the_next_night_repeats_what_the_machine_or_a_person_ended(
    app: Flask, study: Study, person: Participant, state: TaskState, tries: int, is_due: bool
):
    """CLAR-81: beside another task of the same night that succeeded; and once more if that night ended so too."""
    add(person, DataStream.ACCELEROMETER, "2024-06-01T12:00", NIGHT - timedelta(hours=3))
    add(person, DataStream.ACCELEROMETER, "2024-06-18T12:00", NIGHT - timedelta(hours=3))
    assert queue(study, NIGHT) == 2
    newest = db.session.scalars(db.select(ForestTask).order_by(ForestTask.id.desc())).first()
    assert newest is not None
    newest.state = TaskState.SUCCESS.value
    for night in (1, 2):
        finish(Tree.OAK, state, tries)
        assert queue(study, NIGHT + timedelta(days=night)) == is_due
        assert queued(Tree.OAK) == [(date(2024, 6, 1), date(2024, 6, 1), ["2024-06-01"])] * is_due
    finish(Tree.OAK)
    assert queue(study, NIGHT + timedelta(days=3)) == 0


def test_a_failed_night_is_shown(app: Flask, study: Study, person: Participant):
    add(person, DataStream.CALLS, "2024-06-18T12:00", NIGHT - timedelta(hours=3))
    assert queue(study, NIGHT) == 1
    finish(Tree.WILLOW, TaskState.ERROR)
    (night,) = recent_nights(db.session(), study)
    assert night.counts == {"willow": {"error": 1}}
    assert [(patient_id, tree, reason) for _, patient_id, tree, reason in night.failed] == [
        (person.patient_id, "willow", "The library failed.")
    ]
    assert {task.asked_by for task in db.session.scalars(db.select(ForestTask))} == {NIGHTLY}


def test_the_morning_says_who_has_no_measures_and_why(app: Flask, factory: Factory, study: Study, person: Participant):
    """CLAR-81: of the last day that a night was to compute, by analysis; retired participants are left out."""
    assert last_day(db.session(), study) is None
    names = ("computed", "failed22", "waiting2", "cancel22", "late2222", "retired2")
    people = {name: factory.participant(study, name) for name in names}
    for name, one in people.items():
        if name != "late2222":
            add(one, DataStream.CALLS, "2024-06-19T12:00", NIGHT - timedelta(hours=3))
    people["retired2"].retired_at = NIGHT
    person.device_id = ""
    db.session.commit()
    assert queue(study, NIGHT) == 5
    ends = {"computed": "success", "failed22": "error", "cancel22": "cancelled"}
    for name, state in ends.items():
        (task,) = db.session.scalars(db.select(ForestTask).where(ForestTask.participant_id == people[name].id))
        task.state, task.ended_at = state, NIGHT
        if state == "success":
            of = {"participant_id": people[name].id, "study_id": study.id}
            db.session.add(ForestDay(**of, day=date(2024, 6, 19), willow_task_id=task.id))
    add(people["late2222"], DataStream.TEXTS, "2024-06-19T12:00", NIGHT + timedelta(hours=3))
    day = last_day(db.session(), study)
    assert day == date(2024, 6, 19)
    found = day_by_tree(db.session(), study, day)
    assert found["willow"].computed == 1
    assert found["willow"].missing == {
        Missing.FAILED: ["failed22"],
        Missing.WAITING: ["waiting2"],
        Missing.CANCELLED: ["cancel22"],
        Missing.CAME_LATER: ["late2222"],
    }
    assert found["oak"].missing == {Missing.NO_DATA: sorted(set(names) - {"retired2"})}


def test_what_came_of_a_day_before_it_was_over_is_the_next_nights(app: Flask, study: Study, person: Participant):
    """CLAR-81: a call shortly after midnight, when the night was queued two hours later and nothing followed."""
    add(person, DataStream.CALLS, "2024-06-19T16:00", NIGHT - timedelta(hours=14))
    add(person, DataStream.CALLS, "2024-06-20T04:00", NIGHT - timedelta(hours=1, minutes=50))  # 00:00 in New York
    assert queue(study, NIGHT) == 1
    assert queued(Tree.WILLOW) == [(date(2024, 6, 19), date(2024, 6, 19), ["2024-06-19"])]
    finish(Tree.WILLOW)
    assert queue(study, NIGHT + timedelta(days=1)) == 1
    assert queued(Tree.WILLOW) == [(date(2024, 6, 20), date(2024, 6, 20), ["2024-06-20"])]


def test_days_that_failed_because_of_their_data_are_repeated_in_halves(app: Flask, study: Study, person: Participant):
    """CLAR-81: so that one bad day keeps no other back, and none is lost; new days are tasks of their own."""
    for day in range(1, 6):
        add(person, DataStream.CALLS, f"2024-06-0{day}T12:00", NIGHT - timedelta(hours=3))
    assert queue(study, NIGHT) == 1
    finish(Tree.WILLOW, TaskState.ERROR)
    add(person, DataStream.CALLS, "2024-06-03T13:00", NIGHT + timedelta(hours=3))
    add(person, DataStream.CALLS, "2024-06-20T13:00", NIGHT + timedelta(hours=9))
    assert queue(study, NIGHT + timedelta(days=1)) == 3
    assert [days for _, _, days in queued(Tree.WILLOW)] == [
        ["2024-06-01", "2024-06-02"],
        ["2024-06-03", "2024-06-04", "2024-06-05"],
        ["2024-06-20"],
    ]
    waiting = db.session.scalars(db.select(ForestTask).where(ForestTask.state == "queued").order_by(ForestTask.id))
    for one in waiting.all()[1:]:
        one.state, one.ended_at = "success", NIGHT
    finish(Tree.WILLOW, TaskState.ERROR)
    assert queue(study, NIGHT + timedelta(days=2)) == 2
    assert [days for _, _, days in queued(Tree.WILLOW)] == [["2024-06-01"], ["2024-06-02"]]
    finish(Tree.WILLOW, TaskState.ERROR)
    assert queue(study, NIGHT + timedelta(days=3)) == 0


def test_halves_of_jasmine_end_with_their_days(app: Flask, study: Study, person: Participant):
    """FOREST-7: the second goes on from the state after the first."""
    for day in (1, 2, 18, 19):
        add(person, DataStream.GPS, f"2024-06-{day:02}T12:00", NIGHT - timedelta(hours=3))
    assert queue(study, NIGHT) == 1
    finish(Tree.JASMINE, TaskState.ERROR)
    assert queue(study, NIGHT + timedelta(days=1)) == 2
    assert queued(Tree.JASMINE) == [
        (date(2024, 6, 1), date(2024, 6, 2), ["2024-06-01", "2024-06-02"]),
        (date(2024, 6, 1), date(2024, 6, 19), ["2024-06-18", "2024-06-19"]),
    ]


def test_days_of_long_ago_keep_no_night_back(app: Flask, study: Study, person: Participant):
    """A phone with a wrong clock, or an import: days further back than a task may be long are left out."""
    add(person, DataStream.GPS, "2014-08-10T12:00", NIGHT - timedelta(hours=3))
    late = datetime(2026, 6, 20, 6, 30, tzinfo=UTC)
    assert queue(study, late) == 0
    add(person, DataStream.CALLS, "2026-06-10T12:00", late - timedelta(hours=3))
    assert queue(study, late) == 1


@pytest.mark.parametrize(
    ("noon", "down", "hours"),
    [
        ("2024-03-29T12:07", range(0), [2, 3, 2, 2]),  # on 31 March the hour of two is left out
        ("2024-10-25T12:07", range(12, 17), [5, 2, 2, 2]),  # no server at first; on 27 October the hour comes twice
    ],
)
def test_every_night_is_queued_once(app: Flask, study: Study, noon: str, down: range, hours: list[int]):
    """CLAR-81: by an hourly look, also when clocks change or the server was down."""
    session, zone = db.session(), ZoneInfo("Europe/Berlin")
    begin = datetime.fromisoformat(noon).replace(tzinfo=zone)
    study.timezone_name, study.last_night_on = zone.key, begin.date()
    session.commit()
    nights = []
    for hour in range(96):
        now = begin.astimezone(UTC) + timedelta(hours=hour)
        if hour not in down and studies_in_the_night(session, now):
            queue_night(session, study, now, window_days=30)
            session.commit()
            nights.append(now.astimezone(zone))
    assert [(night.date() - begin.date()).days for night in nights] == [1, 2, 3, 4]
    assert [night.hour for night in nights] == hours


def test_two_processes_queue_a_night_once(app: Flask, study: Study, person: Participant):
    """CLAR-81: a run by hand beside the hourly one."""
    add(person, DataStream.CALLS, "2024-06-18T12:00", NIGHT - timedelta(hours=3))
    study.last_night_on = None
    number = study.id
    db.session.commit()

    def one(_: int) -> int:
        with open_session() as session:
            count = queue_night(session, session.get_one(Study, number), NIGHT, window_days=30)
            session.commit()
            return count

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(one, range(4))) == [0, 0, 0, 1]


def test_a_purge_and_other_hours_and_switches_keep_nights_away(
    app: Flask, factory: Factory, study: Study, person: Participant
):
    session = db.session()
    study.last_night_on = NIGHT.date() - timedelta(days=1)
    session.commit()
    assert [each.id for each in studies_in_the_night(session, NIGHT)] == [study.id]
    assert studies_in_the_night(session, NIGHT - timedelta(hours=1)) == []
    add(person, DataStream.CALLS, "2024-06-18T12:00", NIGHT - timedelta(hours=3))
    assert len(changed_days(session, study, NIGHT, 30)) == 1
    person.purge_asked_at = db.func.now()
    set_nightly_forest(session, study, False, actor=SERVER)
    session.commit()
    assert changed_days(session, study, NIGHT, 30) == []
    assert studies_in_the_night(session, NIGHT) == []
