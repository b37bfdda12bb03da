"""Tasks over a real database and store: claims, retries, cancelling, measures, states and leftovers."""

import errno
import io
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.audit import COMMAND_LINE
from core.config import Settings
from core.database import db
from core.downloads.statistics import FIELDS, read_filters, statistics_rows
from core.forest import run as running
from core.forest import sources
from core.forest.job import Answer, Job, TreeFailed
from core.forest.results import save_rows
from core.forest.run import remove_orphans, run_task
from core.forest.sources import LaidOut
from core.forest.states import forest_store
from core.forest.tasks import (
    RETRY_AFTER,
    Cancel,
    ForestRefused,
    cancel_task,
    claim_next,
    copy_task,
    create_tasks,
    is_task_waiting,
    take_up_lost,
    task_of,
)
from core.forest.trees import MEASURES, Tree, library_version
from core.measures.origins import origins
from core.models import (
    AuditRecord,
    Chunk,
    DailyStatistics,
    ForestDay,
    ForestState,
    ForestTask,
    Participant,
    StoredObject,
    Study,
    TaskState,
)
from core.storage import SealedStore, StoreUnavailable
from core.streams import SPECS, DataStream
from core.streams.paths import registered_path
from core.studies.changing import set_forest
from tests.support.factories import Factory
from tests.support.paths import VECTORS
from webapp.stores import object_store, settings

GOLDEN = VECTORS / "forest" / "input" / "fv2abcde"
START, END = date(2024, 6, 13), date(2024, 6, 15)


@pytest.fixture
def participant(factory: Factory) -> Participant:
    """One of a study with Forest, in New York, with the golden calls and texts in the store."""
    participant = factory.participant(factory.study(), "fv2abcde")
    set_forest(db.session(), participant.study, True, actor=COMMAND_LINE)
    for stream in (DataStream.CALLS, DataStream.TEXTS):
        add_chunks(factory, participant, stream)
    return participant


def study_of(participant: Participant) -> Study:
    return db.session.get_one(Study, participant.study_id)


def add_chunks(factory: Factory, participant: Participant, stream: DataStream) -> None:
    """Stores and registers the golden chunks of a stream."""
    study = study_of(participant)
    store = factory.store(study)
    for file in sorted((GOLDEN / stream).iterdir()):
        hour = datetime.strptime(file.name[:19], "%Y-%m-%d %H_%M_%S").replace(tzinfo=UTC)
        path = registered_path(study.object_id, participant.patient_id, None, stream, hour, None)
        contents = file.read_bytes()
        store.create(path, contents)
        of = {"participant_id": participant.id, "study_id": study.id}
        db.session.add(Chunk(stream=SPECS[stream].number, time_bin=hour, size_bytes=len(contents), **of))
    db.session.commit()


def make(participant: Participant, *trees: str, start: date = START, end: date = END) -> list[ForestTask]:
    tasks = create_tasks(
        db.session(), study_of(participant), [participant.patient_id], trees, start, end, actor=COMMAND_LINE
    )
    db.session.commit()
    return tasks


def run_next(now: datetime | None = None) -> running.Outcome:
    number = claim_next(db.engine, now or datetime.now(UTC))
    assert number is not None
    outcome = run_task(db.engine, object_store(), settings(), number)
    db.session.rollback()
    db.session.expire_all()
    return outcome


def rows_of(participant: Participant) -> list[dict[str, Any]]:
    filters = read_filters({"order_direction": "ascending"})
    return list(statistics_rows(db.session(), study_of(participant), filters))


def answer_with(rows: list[dict[str, Any]]) -> Any:
    """A stand-in for a tree that gives these rows and writes a file."""

    def tree(job: Job, timeout_s: float, **more: Any) -> Answer:
        job.output_dir.mkdir()
        (job.output_dir / "out.csv").write_text("x")
        return Answer(rows, peak_memory_bytes=5 << 20)

    return tree


def oak(day: str, steps: float | None = 10.0) -> dict[str, Any]:
    return {"date": day, "oak_walking_time": steps, "oak_steps": steps, "oak_cadence": steps}


def test_stored_data_become_daily_measures(app: Flask, participant: Participant) -> None:
    """FOREST-2, FOREST-23, FOREST-24, FOREST-40, CLAR-81, DATA-60: real tree and store, nothing left on the disk."""
    of = {"participant_id": participant.id, "study_id": participant.study_id}
    db.session.add(DailyStatistics(day=START, gps_bytes=7, **of))
    (task,) = make(participant, "willow")
    outcome = run_next()
    assert (outcome.state, outcome.days, outcome.reason) == ("success", 3, None)
    rows = rows_of(participant)
    assert list(rows[0]) == list(FIELDS)
    first = rows[0]
    assert (first["date"], first["timezone"], first["beiwe_gps_bytes"]) == ("2024-06-13", "EDT", 7)
    assert (first["willow_incoming_call_count"], first["willow_incoming_call_duration"]) == (2, pytest.approx(23.1))
    assert first["oak_steps"] is None
    assert [row["date"] for row in rows] == ["2024-06-13", "2024-06-14", "2024-06-15"]
    assert rows[1]["beiwe_gps_bytes"] is None and rows[1]["willow_incoming_MMS_count"] == 5
    task = db.session.get_one(ForestTask, task.id)
    assert (task.library_version, task.zone, task.tries) == (library_version(), "America/New_York", 1)
    assert task.input_files and task.input_bytes and task.peak_memory_bytes
    assert task.output_path and task.output_path.startswith(
        f"{study_of(participant).object_id}/fv2abcde/forest/willow_"
    )
    contents, _ = forest_store(object_store(), study_of(participant), settings()).read(task.output_path)
    with zipfile.ZipFile(io.BytesIO(contents)) as archive:
        assert sorted(archive.namelist()) == ["daily/fv2abcde.csv", "task_report.txt"]
        report = archive.read("task_report.txt").decode()
    assert "2024-06-13 to 2024-06-15" in report and "fv2abcde" in report and "3 days" in report
    assert db.session.scalar(
        sa.select(sa.func.count()).select_from(StoredObject).filter_by(participant_id=participant.id)
    )
    assert list((settings().var_dir / "forest").iterdir()) == []
    (known,) = origins(db.session(), study_of(participant), [participant])
    assert (known.tree, known.versions, known.stale_days) == ("willow", (library_version(),), 0)
    study_of(participant).timezone_name = "Europe/Berlin"
    assert origins(db.session(), study_of(participant), [participant])[0].stale_days == 3  # CLAR-81


def test_no_data_ends_in_a_plain_error(app: Flask, participant: Participant) -> None:
    """FOREST-2: days without data, and a tree without chunks."""
    make(participant, "oak")
    outcome = run_next()
    assert outcome.state == "error"
    assert outcome.reason == "There is no data of this participant for this tree in these days."
    task = db.session.scalars(sa.select(ForestTask)).one()
    assert task.trace is None and task.output_path is None
    assert rows_of(participant) == []


def test_one_task_at_a_time_for_a_participant_and_tree(app: Flask, participant: Participant, factory: Factory) -> None:
    """FOREST-22: oldest first; other trees and participants run beside it; the database refuses a second."""
    make(participant, "willow", "oak")
    make(participant, "willow")
    now = datetime.now(UTC)
    claimed = [claim_next(db.engine, now) for _ in range(3)]
    trees = [db.session.get_one(ForestTask, number).tree for number in claimed if number]
    assert (trees, claimed[2]) == (["willow", "oak"], None)
    waiting = db.session.scalars(sa.select(ForestTask).filter_by(state="queued")).one()
    waiting.state, waiting.claimed_until = "running", now
    with pytest.raises(sa.exc.IntegrityError):
        db.session.commit()
    db.session.rollback()


def test_who_has_forest_off_or_is_purged_waits(app: Flask, participant: Participant) -> None:
    """FOREST-21, STORE-9."""
    make(participant, "willow")
    study_of(participant).has_forest = False
    db.session.commit()
    assert may_not_run()
    study_of(participant).has_forest = True
    study_of(participant).hidden_at = datetime.now(UTC)
    db.session.commit()
    assert may_not_run()
    study_of(participant).hidden_at = None
    participant.purge_asked_at = datetime.now(UTC)
    db.session.commit()
    assert may_not_run()
    participant.purge_asked_at = None
    db.session.commit()
    assert not may_not_run()


def may_not_run() -> bool:
    """No task is claimed, and no flow run is started for one."""
    is_waiting = is_task_waiting(db.session(), datetime.now(UTC))
    is_claimed = claim_next(db.engine, datetime.now(UTC)) is not None
    assert is_waiting == is_claimed
    return not is_claimed


def test_wishes_that_cannot_be_are_refused_beside_their_field(
    app: Flask, participant: Participant, factory: Factory
) -> None:
    """FOREST-21: each wish names the field of the form."""
    other = factory.participant(factory.study(), "otherone")
    wrong = [
        ("date_end", [participant.patient_id], ["oak"], END, START),
        ("date_start", [participant.patient_id], ["oak"], date(1970, 1, 1), START),
        ("trees", [participant.patient_id], [], START, END),
        ("trees", [participant.patient_id], ["birch"], START, END),
        ("participant_patient_ids", [], ["oak"], START, END),
        ("participant_patient_ids", [other.patient_id], ["oak"], START, END),
    ]
    for field, ids, trees, start, end in wrong:
        with pytest.raises(ForestRefused) as refused:
            create_tasks(db.session(), study_of(participant), ids, trees, start, end, actor=COMMAND_LINE)
        assert refused.value.field == field
    assert db.session.scalars(sa.select(ForestTask)).all() == []


def test_a_lost_task_is_taken_up_again_and_the_third_loss_is_an_error(app: Flask, participant: Participant) -> None:
    """FOREST-20: the process was killed; its claim ends by itself."""
    (task,) = make(participant, "willow")
    now = datetime.now(UTC)
    states = []
    for _ in range(3):
        assert claim_next(db.engine, now) == task.id
        assert take_up_lost(db.session(), now) == 0
        now += timedelta(minutes=4)
        assert take_up_lost(db.session(), now) == 1
        db.session.commit()
        states.append(task.state)
        now += max(RETRY_AFTER)
    assert states == ["queued", "queued", "error"]
    assert task.reason == "The process that ran it ended."


def test_the_machine_s_failures_are_tried_again_and_the_tree_s_are_not(
    app: Flask, participant: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk or a store that does not answer fails one task for a time; nothing is left on the disk."""
    (task,) = make(participant, "willow")
    with monkeypatch.context() as patch:
        patch.setattr(sources, "LEAST_FREE_BYTES", 1 << 60)
        outcome = run_next()
    assert (outcome.state, outcome.reason) == (
        "queued",
        "The disk failed: Less than 1 GiB would be left on the disk.",
    )
    assert claim_next(db.engine, datetime.now(UTC)) is None  # not yet

    def full(*given: Any, **named: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(running.tempfile, "mkdtemp", full)
        outcome = run_next(datetime.now(UTC) + RETRY_AFTER[0])
    assert (outcome.state, outcome.reason) == ("queued", "The disk failed: No space left on device.")
    db.session.get_one(ForestTask, task.id).tries = 1
    db.session.commit()

    def away(*given: Any) -> None:
        raise StoreUnavailable("the store does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(running, "lay_out", away)
        assert run_next(datetime.now(UTC) + RETRY_AFTER[1]).state == "queued"

    def broken(*given: Any, **more: Any) -> None:
        raise TreeFailed("willow failed: ValueError: x", "Traceback", peak_memory_bytes=3 << 30)

    with monkeypatch.context() as patch:
        patch.setattr(running, "run_tree", broken)
        outcome = run_next(datetime.now(UTC) + RETRY_AFTER[1] + RETRY_AFTER[0])
    assert (outcome.state, outcome.reason) == ("error", "willow failed: ValueError: x")
    task = db.session.get_one(ForestTask, task.id)
    assert (task.trace, task.peak_memory_bytes) == ("Traceback", 3 << 30)
    assert list((settings().var_dir / "forest").iterdir()) == []


def test_a_pool_without_a_free_connection_is_no_failure_of_the_data(
    app: Flask, participant: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FOREST-23: the claim ends by itself, and the task is taken up again."""
    (task,) = make(participant, "willow")
    pool = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1}
    engine = sa.create_engine(db.engine.url, creator=db.engine.pool._creator, **pool)  # type: ignore[attr-defined]

    def tree(job: Job, timeout_s: float, *, is_cancelled: Callable[[], bool]) -> Answer:
        with engine.connect():
            is_cancelled()  # needs another
        return Answer([])

    monkeypatch.setattr(running, "run_tree", tree)
    monkeypatch.setattr(running, "LOOK_EVERY_S", 0)
    number = claim_next(engine, datetime.now(UTC))
    assert number == task.id
    with pytest.raises(sa.exc.TimeoutError):
        run_task(engine, object_store(), settings(), number)
    engine.dispose()
    db.session.refresh(task)
    assert (task.state, task.reason) == ("running", None)
    assert take_up_lost(db.session(), datetime.now(UTC) + timedelta(minutes=4)) == 1
    assert task.state == "queued"


def test_a_task_that_was_cancelled_while_it_ran_writes_nothing(
    app: Flask, participant: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FOREST-20: cancelled from queued and from running; its results do not count."""
    queued, running_one = make(participant, "sycamore", "willow")
    session = db.session()
    now = datetime.now(UTC)
    assert cancel_task(session, study_of(participant), queued, now, actor=COMMAND_LINE) is Cancel.DONE
    assert cancel_task(session, study_of(participant), queued, now, actor=COMMAND_LINE) is Cancel.OVER
    session.commit()

    def tree(job: Job, timeout_s: float, **more: Any) -> Answer:
        task = session.get_one(ForestTask, running_one.id, populate_existing=True)
        assert cancel_task(session, study_of(participant), task, now, actor=COMMAND_LINE) is Cancel.DONE
        session.commit()
        return Answer([oak("2024-06-13")])

    monkeypatch.setattr(running, "run_tree", tree)
    assert run_next().state == TaskState.CANCELLED
    assert rows_of(participant) == []
    actions = db.session.scalars(sa.select(AuditRecord.action).order_by(AuditRecord.id)).all()
    assert actions[-3:] == ["forest.create", "forest.cancel", "forest.cancel"]


def test_a_recomputed_day_without_a_row_becomes_null(app: Flask, participant: Participant) -> None:
    """FOREST-7, FOREST-40: each tree changes its own part only, and a day without any part goes."""
    oaks, willows = make(participant, "oak", "willow")
    session = db.session()
    days = [START, date(2024, 6, 14)]
    assert save_rows(session, oaks, [oak("2024-06-13"), oak("2024-06-14"), oak("2024-06-15")], days) == 2
    willow = {"date": "2024-06-13"}
    fields = [measure.field for measure in MEASURES[Tree.WILLOW]]
    assert save_rows(session, willows, [willow | dict.fromkeys(fields, 3)], [START]) == 1
    assert save_rows(session, oaks, [oak("2024-06-13", None)], days) == 0
    (left,) = session.scalars(sa.select(ForestDay)).all()
    session.refresh(left)
    assert (left.day, left.oak_steps, left.oak_task_id) == (START, None, None)
    assert (left.willow_incoming_mms_count, left.willow_task_id) == (3, willows.id)


def test_jasmine_goes_on_from_the_state_before_its_days(
    app: Flask, participant: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FOREST-6, FOREST-7: one state per participant and last day, under our seal; later states are not used."""
    seen: list[bytes | None] = []

    def tree(job: Job, timeout_s: float, **more: Any) -> Answer:
        seen.append(job.state_file.read_bytes() if job.state_file else None)
        job.saved_state.write_bytes(f"after {job.end}".encode())
        return Answer([])

    monkeypatch.setattr(running, "run_tree", tree)
    monkeypatch.setattr(running, "lay_out", lambda *given: LaidOut(1, 1, []))
    for start, end in ((13, 13), (14, 15), (14, 15), (15, 16)):
        make(participant, "jasmine", start=date(2024, 6, start), end=date(2024, 6, end))
        assert run_next().state == "success"
    assert seen == [None, b"after 2024-06-13", b"after 2024-06-13", b"after 2024-06-13"]
    states = db.session.scalars(sa.select(ForestState).order_by(ForestState.up_to)).all()
    assert [state.up_to.day for state in states] == [13, 15, 16]
    kept = list(object_store().keys(f"{study_of(participant).object_id}/fv2abcde/forest/jasmine_state"))
    assert sorted(kept) == sorted(state.path + ".zst" for state in states)
    db.session.execute(sa.update(ForestState).values(library_version="0.9"))
    db.session.commit()
    make(participant, "jasmine", start=date(2024, 6, 17), end=date(2024, 6, 17))
    run_next()
    assert seen[-1] is None  # a state of an older library is not used


def test_the_newest_hour_counts_at_night_and_when_later_data_came(
    app: Flask, participant: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FOREST-2: trees leave the newest hour out; a night's last day is over, and is computed again if it grows."""
    seen = []

    def tree(job: Job, timeout_s: float, **more: Any) -> Answer:
        seen.append(job.has_later_data)
        return Answer([])

    monkeypatch.setattr(running, "run_tree", tree)
    for end, is_nightly in ((END, False), (END, True), (END - timedelta(days=1), False)):
        (task,) = make(participant, "willow", end=end)
        task.is_nightly = is_nightly
        db.session.commit()
        assert run_next().state == "success"
    assert seen == [False, True, True]


def test_of_old_states_one_a_month_is_kept(
    app: Flask, participant: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLAR-81: late uploads of any month have a state from before their day to begin with, of this library."""

    def tree(job: Job, timeout_s: float, **more: Any) -> Answer:
        job.saved_state.write_bytes(b"state")
        return Answer([])

    monkeypatch.setattr(running, "run_tree", tree)
    monkeypatch.setattr(running, "lay_out", lambda *given: LaidOut(1, 1, []))
    first = date(2024, 1, 1)
    days = [first + timedelta(days=number) for number in range((START - first).days)]
    folder = f"{study_of(participant).object_id}/fv2abcde/forest"
    for day in days:
        version = "0.9" if day < date(2024, 2, 10) else library_version() or ""
        about = {"participant_id": participant.id, "library_version": version}
        db.session.add(ForestState(**about, up_to=day, path=f"{folder}/state_{day}.npz"))
    make(participant, "jasmine", end=START)
    outcome = run_next()
    assert outcome.state == "success", outcome.reason
    kept = db.session.scalars(sa.select(ForestState.up_to).order_by(ForestState.up_to)).all()
    since = START - timedelta(days=101)
    assert kept == [date(2024, 2, 10), date(2024, 3, 1)] + [day for day in days if day >= since] + [START]


def test_a_range_that_ends_in_the_future_drops_no_states(
    app: Flask, participant: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLAR-81: its state is today's; one that was saved for a day to come is not kept."""

    def tree(job: Job, timeout_s: float, **more: Any) -> Answer:
        job.saved_state.write_bytes(b"state")
        return Answer([])

    monkeypatch.setattr(running, "run_tree", tree)
    monkeypatch.setattr(running, "lay_out", lambda *given: LaidOut(1, 1, []))
    today = datetime.now(study_of(participant).zone).date()
    last = [today - timedelta(days=days) for days in (3, 2, 1)]
    folder = f"{study_of(participant).object_id}/fv2abcde/forest"
    for day in (*last, today + timedelta(days=200)):
        about = {"participant_id": participant.id, "library_version": library_version() or ""}
        db.session.add(ForestState(**about, up_to=day, path=f"{folder}/state_{day}.npz"))
    make(participant, "jasmine", start=last[0], end=today + timedelta(days=365))
    assert run_next().state == "success"
    kept = db.session.scalars(sa.select(ForestState.up_to).order_by(ForestState.up_to)).all()
    assert kept[:-1] == last and today <= kept[-1] <= today + timedelta(days=1)


def test_a_state_without_our_seal_is_not_loaded(
    app: Flask, participant: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FOREST-6: one that was put there under the legacy seal ends the task."""
    monkeypatch.setattr(running, "lay_out", lambda *given: LaidOut(1, 1, []))
    legacy = SealedStore(object_store(), study_of(participant), Settings(SEAL="legacy"))
    path = f"{study_of(participant).object_id}/fv2abcde/forest/jasmine_state_x.npz"
    legacy.create(path, b"PK")
    state = ForestState(
        participant_id=participant.id, up_to=date(2024, 6, 1), path=path, library_version=library_version() or ""
    )
    db.session.add(state)
    make(participant, "jasmine")
    outcome = run_next()
    assert outcome.state == "error" and outcome.reason and "damaged" in outcome.reason


def test_again_with_the_same_parameters(app: Flask, participant: Participant) -> None:
    """FOREST-25."""
    (task,) = make(participant, "oak")
    task.days = ["2024-06-14"]
    copy = copy_task(db.session(), study_of(participant), task, actor=COMMAND_LINE)
    db.session.commit()
    assert copy.external_id != task.external_id
    assert [getattr(copy, name) for name in ("tree", "start_on", "end_on", "days", "state")] == [
        "oak",
        START,
        END,
        ["2024-06-14"],
        "queued",
    ]
    assert task_of(db.session(), study_of(participant), str(copy.external_id)) is copy
    assert task_of(db.session(), study_of(participant), "no-uuid") is None


def test_folders_of_killed_runs_are_removed_and_those_in_use_stay(app: Flask, tmp_path: Any) -> None:
    """FOREST-23: a killed worker leaves no folder for long."""
    from core.embedded.locks import take_lock

    for name in ("run-dead", "run-alive"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".lock").touch()
    held = take_lock(tmp_path / "run-alive" / ".lock", wait=False)
    assert held is not None
    assert remove_orphans(tmp_path) == 1
    assert [path.name for path in tmp_path.glob("run-*")] == ["run-alive"]
