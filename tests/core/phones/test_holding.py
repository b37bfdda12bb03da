"""Retired or stopped by mistake: for ten minutes nothing that phones send is lost (CLAR-12, PORTAL-135)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.audit import COMMAND_LINE
from core.database import db
from core.models import Participant, QueuedUpload, QueueState, StoredObject, UploadRecord
from core.participants.changing import may_undo_retirement, retire_participant, unretire_participant
from core.participants.purging import ask_for_purge, take_back_purge
from core.phones.holding import delete_held, release_stranded
from core.storage import ObjectMissing
from core.studies.changing import reopen_study, stop_study
from tests.core.processing.test_batch import process
from tests.support.factories import Factory
from tests.webapp.phone.test_uploads import GPS, NAME, PATIENT, send
from webapp.stores import object_store, sealed_store

Change = Callable[[Participant, datetime], object]


def retire(participant: Participant, at: datetime) -> None:
    retire_participant(db.session(), participant, at, actor=COMMAND_LINE)


def unretire(participant: Participant, at: datetime) -> None:
    unretire_participant(db.session(), participant, at, actor=COMMAND_LINE)


def stop(participant: Participant, at: datetime) -> None:
    stop_study(db.session(), participant.study, at, actor=COMMAND_LINE)


def reopen(participant: Participant, at: datetime) -> None:
    reopen_study(db.session(), participant.study, at, actor=COMMAND_LINE)


MISTAKES = [pytest.param(retire, unretire, id="retired"), pytest.param(stop, reopen, id="stopped")]


def is_stored(participant: Participant) -> bool:
    path = f"{participant.study.object_id}/{PATIENT}/gps/1717236000000.csv"
    try:
        sealed_store(participant.study).read(path)
    except ObjectMissing:
        return False
    return True


@pytest.mark.parametrize(("change", "undo"), MISTAKES)
def test_an_undo_has_the_files_of_the_meantime_processed(app: Flask, factory: Factory, change: Change, undo: Change):
    """CLAR-12: they run the whole chain, wait unprocessed, and are processed after the undo."""
    participant, now = factory.participant(patient_id=PATIENT), datetime.now(UTC)
    change(participant, now - timedelta(minutes=9))
    db.session.commit()
    assert send(app, participant, GPS).status_code == 200
    assert process().files == 0
    undo(participant, now)
    db.session.commit()
    assert process().files == 1 and is_stored(participant)


@pytest.mark.parametrize(("change", "undo"), MISTAKES)
def test_a_file_that_an_undo_overtook_is_processed_all_the_same(
    app: Flask, factory: Factory, change: Change, undo: Change
):
    """CLAR-12: its rows came after the undo, from a request that had begun before it."""
    participant, now = factory.participant(patient_id=PATIENT), datetime.now(UTC)
    change(participant, now)
    db.session.commit()
    assert send(app, participant, GPS).status_code == 200
    assert release_stranded(db.session()) == 0 and process().files == 0
    undo(participant, now)
    db.session.execute(sa.update(QueuedUpload).values(state=QueueState.HELD.value))
    db.session.commit()
    assert process().files == 0 and release_stranded(db.session()) == 1
    assert process().files == 1 and is_stored(participant)


@pytest.mark.parametrize(("change", "undo"), MISTAKES)
def test_they_outlast_a_purge_that_is_taken_back(app: Flask, factory: Factory, change: Change, undo: Change):
    """PORTAL-136, CLAR-12: everything is as it was; a purge that is done deletes them itself."""
    participant, now = factory.participant(patient_id=PATIENT), datetime.now(UTC)
    change(participant, now)
    db.session.commit()
    assert send(app, participant, GPS).status_code == 200
    ask_for_purge(db.session(), participant, actor=COMMAND_LINE)
    db.session.commit()
    assert delete_held(db.session(), object_store(), now + timedelta(minutes=29)) == 0
    take_back_purge(db.session(), participant, actor=COMMAND_LINE)
    undo(participant, now)
    db.session.commit()
    release_stranded(db.session())
    assert process().files == 1 and is_stored(participant)


@pytest.mark.parametrize(("change", "undo"), MISTAKES)
def test_without_an_undo_they_are_deleted_whole(app: Flask, factory: Factory, change: Change, undo: Change):
    """CLAR-12, PHONE-64: after the ten minutes files are thrown away, as they always were."""
    participant, now = factory.participant(patient_id=PATIENT), datetime.now(UTC)
    change(participant, now)
    db.session.commit()
    assert send(app, participant, GPS).status_code == 200 and is_stored(participant)
    assert delete_held(db.session(), object_store(), now + timedelta(minutes=9)) == 0
    assert delete_held(db.session(), object_store(), now + timedelta(minutes=11)) == 1
    assert not is_stored(participant)
    for model in (QueuedUpload, UploadRecord):
        assert db.session.scalars(sa.select(model)).all() == []
    assert not db.session.scalars(sa.select(StoredObject).where(StoredObject.path.contains("gps"))).all()
    undo(participant, now + timedelta(minutes=12))
    db.session.commit()
    assert send(app, participant, GPS, NAME.replace("1717236000000", "1717236000001")).status_code == 200


def test_whose_participant_is_still_retired_stays_held_when_the_study_is_reopened(app: Flask, factory: Factory):
    participant, now = factory.participant(patient_id=PATIENT), datetime.now(UTC)
    stop(participant, now)
    retire(participant, now)
    db.session.commit()
    assert send(app, participant, GPS).status_code == 200
    reopen(participant, now)
    db.session.commit()
    assert process().files == 0
    unretire(participant, now)
    db.session.commit()
    assert process().files == 1


def test_who_retired_a_participant_may_undo_it_for_ten_minutes(app: Flask, factory: Factory):
    """PORTAL-135."""
    participant, now = factory.participant(), datetime.now(UTC)
    participant.retired_at, participant.retired_by_id = now, 7
    assert may_undo_retirement(participant, 7, now + timedelta(minutes=9))
    assert not may_undo_retirement(participant, 7, now + timedelta(minutes=10))
    assert not may_undo_retirement(participant, 8, now)
