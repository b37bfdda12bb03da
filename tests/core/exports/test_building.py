"""Exports from the request to the end of their days, whatever happens meanwhile (CLAR-74)."""

import hashlib
import io
import os
import resource
import signal
import subprocess
import sys
import time
import zipfile
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from flask import Flask

from core.access import Role
from core.audit import SERVER, actor_of
from core.config import get_settings
from core.database import db
from core.exports import building, files
from core.exports.asking import (
    ExportRefused,
    ask_for_export,
    cancel_export,
    delete_export,
    may_run_again,
    run_again,
)
from core.exports.building import build_next
from core.exports.choice import ExportChoice
from core.exports.expiry import prune_exports
from core.exports.files import export_prefix, read_file
from core.exports.listing import export_of_study, exports_of_study, has_file
from core.exports.standing import DIED, PURGED_MEANWHILE, clear_up, is_export_waiting, note_dead, sole_builder
from core.limits import limit_session
from core.models import (
    AuditRecord,
    CountedEvent,
    DataAccessRecord,
    Export,
    ExportKind,
    ExportParticipant,
    ExportState,
    NotificationAttempt,
    Participant,
    Researcher,
    StoredObject,
    Study,
)
from core.models.researcher import requester_of
from core.participants.purging import ask_for_purge, purge_next
from core.storage import StoreUnavailable
from tests.core.processing.test_batch import HEADER, process, queue
from tests.support.factories import Factory
from tests.support.paths import REPOSITORY
from tests.support.sites import TwoSites
from webapp.stores import object_store, sealed_store, settings

AT_MS = 1700002800000


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Sleep")


@pytest.fixture
def anna(factory: Factory, study: Study) -> Researcher:
    return factory.researcher("anna", study=study)


@pytest.fixture
def people(factory: Factory, study: Study, anna: Researcher) -> list[Participant]:
    """Two participants with a chunk each; the second is of the study team."""
    people = [factory.participant(study, "first111"), factory.participant(study, "second11", is_test=True)]
    for participant in people:
        queue(factory, participant, f"accel/{AT_MS}.csv", HEADER + f"{AT_MS},3,1,1,1".encode())
    assert not process().failures
    return people


def ask(study: Study, anna: Researcher, kind: str = "streams", form: str = "csv", **choice: Any) -> Export:
    export = ask_for_export(
        db.session(),
        study,
        ExportKind(kind),
        form,
        ExportChoice(**choice),
        file_name="x.zip",
        actor=actor_of(anna),
    )
    db.session.commit()
    return export


def build(store: Any = None) -> building.BuiltExport | None:
    with sole_builder(db.engine) as is_sole:
        assert is_sole
        built = build_next(db.engine, store or object_store(), settings())
    db.session.expire_all()
    return built


def contents(study: Study, export: Export) -> bytes:
    db.session.refresh(export)
    assert export.size_bytes is not None and export.part_bytes is not None
    prefix = export_prefix(study.object_id, export)
    return b"".join(read_file(sealed_store(study), prefix, export.part_bytes, 0, export.size_bytes))


def objects(study: Study) -> list[str]:
    return list(object_store().keys(f"{study.object_id}/exports/"))


def rows_of_objects(study: Study) -> int:
    query = sa.select(sa.func.count()).select_from(StoredObject)
    return db.session.scalar(query.where(StoredObject.path.startswith(f"{study.object_id}/exports/"))) or 0


def test_an_export_holds_what_a_download_would(
    study: Study, anna: Researcher, people: list[Participant], monkeypatch: pytest.MonkeyPatch
):
    """CLAR-74, DATA-22: the same names; sealed parts, each with its row; size, hash and end are in the row."""
    monkeypatch.setattr(files, "PART_BYTES", 100)
    export = ask(study, anna)
    assert is_export_waiting(db.session())
    built = build()
    assert built is not None and built.state is ExportState.DONE
    whole = contents(study, export)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        name = "accelerometer/2023-11-14 23_00_00+00_00.csv"
        assert archive.namelist() == [f"first111/{name}", f"second11/{name}"]
        assert archive.testzip() is None
    assert (export.size_bytes, export.sha256) == (len(whole), hashlib.sha256(whole).digest())
    assert (export.files_total, export.files_done) == (2, 2)
    assert export.ended_at is not None and export.expires_at == export.ended_at + timedelta(days=7)
    assert len(objects(study)) == rows_of_objects(study) == -(-len(whole) // 100)
    raw = b"".join(object_store().read(objects(study)[0])[0])
    assert b"first111" not in raw
    prefix = export_prefix(study.object_id, export)
    assert b"".join(read_file(sealed_store(study), prefix, 100, 150, 420)) == whole[150:420]
    assert build() is None and not is_export_waiting(db.session())
    kinds = [row.kind for row in db.session.scalars(sa.select(DataAccessRecord))]
    assert kinds == ["export"]
    assert db.session.scalar(sa.select(AuditRecord.detail).filter_by(action="export.create"))["export"] == export.id


def test_a_choice_narrows_it(study: Study, anna: Researcher, people: list[Participant]):
    """PORTAL-240, CLAR-37."""
    export = ask(study, anna, with_test=False, streams=("accelerometer",))
    empty = ask(study, anna, "streams", "parquet", streams=("gps",), patient_ids=("first111",))
    build()
    build()
    with zipfile.ZipFile(io.BytesIO(contents(study, export))) as archive:
        assert [name.split("/")[0] for name in archive.namelist()] == ["first111"]
    with zipfile.ZipFile(io.BytesIO(contents(study, empty))) as archive:
        assert archive.namelist() == []


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_events_table_says_what_came_of_each_event(
    factory: Factory, study: Study, anna: Researcher, people: list[Participant], form: str
):
    """CLAR-74, NOTIF-24: scheduled, sent, opened, answered, late."""
    survey = factory.survey(study)
    version = db.session.scalar(sa.text("SELECT max(id) FROM survey_versions"))
    at = datetime(2026, 3, 1, 9, tzinfo=UTC)
    of = {"participant_id": people[0].id, "survey_id": survey.id}
    for hours, outcome, more in ((0, "late", {"answered_at": at + timedelta(minutes=90)}), (24, "missed", {})):
        asked = at + timedelta(hours=hours)
        times = {"scheduled_at": asked, "counts_at": asked, "expires_at": asked + timedelta(hours=1)}
        db.session.add(CountedEvent(on_day=date(2026, 3, 1), outcome=outcome, **of, **times, **more))
    attempt = {"survey_version_id": version, "participant_id": people[0].id, "kind": "weekly", "scheduled_at": at}
    for minute, status in ((1, "failed"), (2, "success"), (3, "success")):
        moment = at + timedelta(minutes=minute)
        db.session.add(NotificationAttempt(status=status, attempted_at=moment, is_confirmed=minute == 3, **attempt))
    db.session.commit()
    export = ask(study, anna, "events", form)
    build()
    file = io.BytesIO(contents(study, export))
    found = pl.read_parquet(file) if form == "parquet" else pl.read_csv(file, try_parse_dates=True)
    rows = found.select("participant_id", "outcome", "messages", "is_received", "minutes", "sent_at").rows()
    sent = at + timedelta(minutes=2)
    assert rows == [("first111", "late", 2, True, 90, sent), ("first111", "missed", 0, False, None, None)]
    assert found["survey_id"].to_list() == [survey.object_id] * 2


def test_what_cannot_be_built_says_why_and_others_go_on(study: Study, anna: Researcher, people: list[Participant]):
    """CLAR-74: answers to a survey that is gone."""
    wrong, right = ask(study, anna, "answers", "csv", survey_id=99_999), ask(study, anna)
    build()
    build()
    assert (wrong.state, wrong.reason) == ("failed", "The survey is not there any more.")
    assert right.state == "done"


class BrokenStore:
    """A store that stops taking objects after some."""

    def __init__(self, after: int, error: Exception) -> None:
        self.store, self.left, self.error = object_store(), after, error

    def create(self, key: str, data: bytes) -> str:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return self.store.create(key, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def test_a_store_that_fails_fails_one_export(
    study: Study, anna: Researcher, people: list[Participant], monkeypatch: pytest.MonkeyPatch
):
    """CLAR-74: no half file stays, and it can be run again."""
    monkeypatch.setattr(files, "PART_BYTES", 100)
    export = ask(study, anna)
    build(BrokenStore(2, StoreUnavailable("x: No space left on device")))
    assert (export.state, export.reason) == ("failed", building.NO_ROOM)
    assert not has_file(export, datetime.now(UTC))
    build()  # the next run deletes what was written
    assert objects(study) == [] and rows_of_objects(study) == 0 and not export.has_objects
    run_again(db.session(), study, export, actor=actor_of(anna))
    db.session.commit()
    build()
    assert export.state == "done" and export.reason is None
    assert contents(study, export)


def test_a_full_disk_is_a_plain_reason(
    study: Study, anna: Researcher, people: list[Participant], monkeypatch: pytest.MonkeyPatch
):
    """CLAR-74: files may not grow beyond a few bytes, while large tables are collected on the disk."""
    monkeypatch.setattr("core.exports.parquet_files.SPILL_BYTES", 1)
    export = ask(study, anna, "streams", "parquet")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        build()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (export.state, export.reason) == ("failed", building.NO_ROOM)
    assert not (settings().var_dir / "exports").exists()


def test_a_cancelled_export_stops_and_leaves_nothing(
    study: Study, anna: Researcher, people: list[Participant], monkeypatch: pytest.MonkeyPatch
):
    """CLAR-74."""
    waiting, running = ask(study, anna), ask(study, anna)
    cancel_export(db.session(), study, waiting, actor=actor_of(anna))
    db.session.commit()

    def cancelled(*args: Any) -> None:
        cancel_export(db.session(), study, running, actor=actor_of(anna))
        db.session.commit()

    monkeypatch.setattr(building, "SECONDS_BETWEEN_MOVES", 0.0)
    monkeypatch.setattr(files.PartWriter, "write", cancelled)
    built = build()
    assert built is not None and built.number == running.id and built.state is ExportState.CANCELLED
    monkeypatch.undo()
    assert build() is None and objects(study) == []
    with pytest.raises(ExportRefused, match="cancelled by now"):
        cancel_export(db.session(), study, running, actor=actor_of(anna))
    db.session.rollback()


def test_an_export_ends_after_its_days(study: Study, anna: Researcher, people: list[Participant]):
    """CLAR-74: seven days, a setting; its row says so for some time."""
    export = ask(study, anna)
    build()
    later = datetime.now(UTC) + timedelta(days=7, minutes=1)
    assert has_file(export, datetime.now(UTC)) and not has_file(export, later)
    assert may_run_again(export, later) and not may_run_again(export, datetime.now(UTC))
    assert not any(count for _, count in prune_exports(db.engine, object_store(), datetime.now(UTC)))
    assert dict(prune_exports(db.engine, object_store(), later))["objects of exports"] == 1
    db.session.expire_all()
    assert export.state == "expired" and objects(study) == [] and rows_of_objects(study) == 0
    assert dict(prune_exports(db.engine, object_store(), later + timedelta(days=90)))["exports"] == 1


def test_an_export_of_a_study_that_was_deleted_meanwhile_is_refused(
    study: Study, anna: Researcher, people: list[Participant]
):
    """PERM-92."""
    export = ask(study, anna)
    study.hidden_at = datetime.now(UTC)
    db.session.commit()
    build()
    db.session.expire_all()
    assert (export.state, export.reason) == ("failed", "The study was deleted meanwhile.")


def test_a_deleted_export_is_not_listed_and_goes(study: Study, anna: Researcher, people: list[Participant]):
    """CLAR-74."""
    export = ask(study, anna)
    build()
    delete_export(db.session(), study, export, actor=actor_of(anna))
    db.session.commit()
    assert exports_of_study(db.session(), study.id) == []
    assert is_export_waiting(db.session())
    with sole_builder(db.engine):
        assert clear_up(db.engine, object_store()) == 1
    assert objects(study) == []


def test_an_export_goes_when_a_participant_in_it_is_purged(study: Study, anna: Researcher, people: list[Participant]):
    """CLAR-74, STORE-9: others stay; run again, it is built without them."""
    export, other = ask(study, anna), ask(study, anna, patient_ids=("second11",))
    build()
    build()
    assert ask_for_purge(db.session(), people[0], actor=SERVER)
    db.session.commit()
    certificate = purge_next(db.engine, object_store(), datetime.now(UTC) + timedelta(minutes=31))
    assert certificate is not None and export_prefix(study.object_id, export) in certificate.belongings.prefixes
    db.session.expire_all()
    assert (export.state, export.reason) == ("expired", "The data of a participant in it were deleted.")
    assert other.state == "done" and contents(study, other)
    assert len(objects(study)) == rows_of_objects(study) == 1
    run_again(db.session(), study, export, actor=actor_of(anna))
    db.session.commit()
    build()
    assert b"first111" not in contents(study, export)
    assert db.session.scalars(sa.select(ExportParticipant.participant_id).filter_by(export_id=export.id)).all() == [
        people[1].id
    ]


def test_a_purge_that_is_asked_for_meanwhile_stops_the_export(
    study: Study, anna: Researcher, people: list[Participant], monkeypatch: pytest.MonkeyPatch
):
    """CLAR-74, STORE-9: between the first byte that was read and the end."""
    export = ask(study, anna)
    end = files.PartWriter.end

    def purged(writer: files.PartWriter) -> bytes:
        assert ask_for_purge(db.session(), people[0], actor=SERVER)
        db.session.commit()
        return end(writer)

    monkeypatch.setattr(files.PartWriter, "end", purged)
    build()
    assert (export.state, export.reason) == ("failed", PURGED_MEANWHILE)
    build()
    assert objects(study) == []


KILLED = """
import time
from core.config import get_settings
from core.database import get_engine
from core.exports import building, files, standing
from core.storage import open_store
store = files.PartWriter._store
def slow(writer, part):
    store(writer, part)
    print("stored", flush=True)
    time.sleep(60)
files.PART_BYTES, files.PartWriter._store = 100, slow
with standing.sole_builder(get_engine()) as is_sole:
    assert is_sole
    building.build_next(get_engine(), open_store(get_settings()), get_settings())
"""


def test_a_builder_that_is_killed_leaves_a_row_that_says_so(study: Study, anna: Researcher, people: list[Participant]):
    """CLAR-74: SIGKILL in the middle of the file; the page says so at once; nothing half stays; it runs again."""
    export = ask(study, anna)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen([sys.executable, "-c", KILLED], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "stored\n"
    db.session.refresh(export)
    assert export.state == "running" and note_dead(db.session()) == [] and objects(study)
    with sole_builder(db.engine) as is_sole:
        assert not is_sole
    db.session.commit()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 10
    while note_dead(db.session()) != [export.id]:
        db.session.commit()
        assert time.monotonic() < deadline
    db.session.commit()
    db.session.refresh(export)
    assert (export.state, export.reason) == ("failed", DIED)
    assert is_export_waiting(db.session())
    run_again(db.session(), study, export, actor=actor_of(anna))
    db.session.commit()
    build()
    db.session.refresh(export)
    assert export.state == "done" and len(objects(study)) == 1
    with zipfile.ZipFile(io.BytesIO(contents(study, export))) as archive:
        assert len(archive.namelist()) == 2


def test_an_export_of_a_limited_person_holds_and_shows_the_own_site(app: Flask, factory: Factory):
    """PERM-95: built with the maker's limit; seen by people with that limit who see everybody in it, and unlimited."""
    world = TwoSites(factory)
    world.fill_the_others()
    north = world.limited(Role.STUDY_ANALYST)
    everybody = ask(world.study, world.admin)
    with sa.orm.Session(db.engine, expire_on_commit=False) as session:
        limit_session(session, requester_of(db.session(), north).limits)
        kind = ExportKind.STREAMS
        own = ask_for_export(session, world.study, kind, "csv", ExportChoice(), file_name="x", actor=actor_of(north))
        session.commit()
    build()
    build()
    own = db.session.get_one(Export, own.id)
    with zipfile.ZipFile(io.BytesIO(contents(world.study, own))) as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {one.patient_id for one in world.north}
    assert b"zs" in contents(world.study, everybody)

    def seen_by(person: Researcher) -> list[int]:
        with sa.orm.Session(db.engine) as session:
            limit_session(session, requester_of(db.session(), person).limits)
            listed = [export.id for export in exports_of_study(session, world.study.id)]
            for export in (own, everybody):
                assert (export_of_study(session, world.study.id, export.id) is not None) == (export.id in listed)
            return listed

    colleague, other = world.limited(Role.STUDY_ANALYST), world.limited(Role.STUDY_ANALYST, "Zsouthern clinic")
    assert seen_by(north) == seen_by(colleague) == [own.id]
    assert seen_by(other) == [] and seen_by(world.admin)[:2] == [own.id, everybody.id]
    db.session.execute(sa.text("UPDATE field_values SET value = 'Zsouthern clinic' WHERE value = 'Northern clinic'"))
    db.session.commit()
    assert seen_by(north) == []


def test_at_most_some_exports_wait(study: Study, anna: Researcher, monkeypatch: pytest.MonkeyPatch):
    """CLAR-74."""
    monkeypatch.setattr("core.exports.asking.MOST_OPEN", 1)
    ask(study, anna)
    with pytest.raises(ExportRefused, match="wait already"):
        ask(study, anna)
    db.session.rollback()
    with pytest.raises(ExportRefused, match="no such form"):
        ask(study, anna, "streams", "sav")
    assert get_settings().exports_kept_days == 7
