"""Stored files of answers are read later: older data, imports, files that were missing (CLAR-56, CLAR-58)."""

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

import core.answers.backlog
from core.answers.arriving import MISSING
from core.answers.backlog import ReadParticipant, participants_to_read, read_participant
from core.database import db
from core.models import AnswerTally, Chunk, CountedEvent, Participant, Submission, SubmittedAnswer, Survey
from core.processing.claims import Scope, claimed_participant
from core.storage.sealed import SUFFIX
from core.streams import SPECS, DataStream, Platform
from tests.support.answering import (
    CONTENT,
    asks,
    file_of,
    forget_rows,
    process,
    queue,
    records,
    submission,
    submits,
)
from tests.support.commands import command
from tests.support.factories import Factory
from tests.support.this_hour import this_hour
from webapp.stores import object_store, settings

HOUR = timedelta(hours=1)
DONE = file_of({"mood": 1, "energy": 3}, Platform.ANDROID)


@pytest.fixture
def participant(factory: Factory) -> Participant:
    return factory.participant(factory.study(timezone_name="UTC"), timezone_name="UTC")


@pytest.fixture
def survey(factory: Factory, participant: Participant) -> Survey:
    """Answered, recorded and processed, with rows of none of it, as before an upgrade."""
    now = this_hour()
    survey = factory.survey(participant.study, content=json.dumps(CONTENT))
    for n in range(5):
        submits(participant, survey, now - n * HOUR, DONE)
    records(participant, survey, now)
    process()
    forget()
    return survey


def forget() -> None:
    for table in (AnswerTally, SubmittedAnswer, CountedEvent, Submission):
        db.session.execute(sa.delete(table))
    db.session.commit()


def read() -> list[ReadParticipant | None]:
    numbers = participants_to_read(db.session())
    db.session.commit()
    found = [read_participant(db.engine, object_store(), settings(), number) for number in numbers]
    forget_rows()
    return found


def test_what_is_stored_is_read_once_and_is_not_new(app: Flask, participant: Participant, survey: Survey):
    """CLAR-58: rows say so; a second run changes nothing."""
    now = this_hour()
    asks(participant, survey, now - 4 * HOUR)
    (done,) = command("answers", "read")
    forget_rows()
    assert (done["submissions"], done["problems"]) == (6, 0)
    rows = db.session.scalars(sa.select(Submission)).all()
    assert len(rows) == 6 and not any(row.is_new for row in rows) and sum(row.answered for row in rows) == 10
    assert all(row.os_type == "ANDROID" and row.received_at > now - HOUR for row in rows if not row.is_recording)
    assert db.session.scalars(sa.select(CountedEvent.outcome)).all() == ["answered"]
    tallies = db.session.scalar(sa.select(sa.func.sum(AnswerTally.count)))
    assert read() == []
    assert db.session.scalar(sa.select(sa.func.sum(AnswerTally.count))) == tallies


def test_new_uploads_are_new(app: Flask, participant: Participant, survey: Survey):
    path = submits(participant, survey, this_hour() + HOUR, DONE)
    process()
    assert submission(path).is_new
    read()
    assert submission(path).is_new


def test_reading_that_is_stopped_goes_on(
    app: Flask, participant: Participant, survey: Survey, monkeypatch: pytest.MonkeyPatch
):
    """A transaction for some files; what was committed stays."""
    monkeypatch.setattr(core.answers.backlog, "FILES_AT_ONCE", 2)
    whole, calls = core.answers.backlog.write_submissions, []

    def dies(*given: Any, **more: Any) -> list[int]:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*given, **more)

    monkeypatch.setattr(core.answers.backlog, "write_submissions", dies)
    with pytest.raises(KeyboardInterrupt):
        read_participant(db.engine, object_store(), settings(), participant.id)
    assert len(db.session.scalars(sa.select(Submission.id)).all()) == 2
    db.session.rollback()
    (done,) = read()
    assert done is not None and done.submissions == 4
    assert len(db.session.scalars(sa.select(Submission.id)).all()) == 6


def test_a_file_that_was_missing_is_read_when_it_is_back(app: Flask, participant: Participant, survey: Survey):
    path = submits(participant, survey, this_hour() + HOUR, DONE)
    store = factory_store(participant)
    sealed = b"".join(store.read(path + SUFFIX)[0])
    store.delete(path + SUFFIX)
    process()
    assert submission(path).problem == MISSING
    read()
    assert submission(path).problem == MISSING
    store.create(path + SUFFIX, sealed)
    read()
    assert submission(path).problem is None and submission(path).answered == 2


def factory_store(participant: Participant) -> Any:
    return Factory().store(participant.study).store


def test_files_of_an_import_have_no_row_of_an_upload(app: Flask, factory: Factory, participant: Participant):
    """Objects under their old keys, with rows in the registry alone, of unknown size."""
    now = this_hour()
    survey = factory.survey(participant.study, content=json.dumps(CONTENT))
    path = f"{participant.study.object_id}/{participant.patient_id}/surveyAnswers/{survey.object_id}/1700000000000.csv"
    factory.store(participant.study).create(path, DONE)
    db.session.add(
        Chunk(
            participant_id=participant.id,
            study_id=participant.study_id,
            stream=SPECS[DataStream.SURVEY_ANSWERS].number,
            time_bin=now - 100 * HOUR,
            path=path,
        )
    )
    db.session.commit()
    (done,) = read()
    assert done is not None and done.submissions == 1
    row = submission(path)
    assert (row.submitted_at, row.os_type, row.answered, row.is_new) == (now - 100 * HOUR, None, 2, False)


def test_a_participant_whose_uploads_are_processed_is_left_for_another_run(
    app: Flask, participant: Participant, survey: Survey, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("core.processing.holding.PATIENCE", "1ms")
    queue(participant, "accel/1700002800000.csv", b"timestamp,accuracy,x,y,z\n")
    with claimed_participant(db.engine, Scope()):
        (left,) = read()
        assert left is not None and left.is_left and left.submissions == 0
    assert participants_to_read(db.session()) == [participant.id]
    assert participants_to_read(db.session(), participant.study_id + 1) == []
