"""The end of taking part: rows after it are dropped, surveys end, and two weeks later the participant is retired."""

import hashlib
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.audit import COMMAND_LINE
from core.config import get_settings
from core.database import db
from core.models import Chunk, Departure, Participant, ScheduledEvent, StoredObject, UploadRecord, WithdrawalReason
from core.participants import ParticipantRefused
from core.participants.departures import end_participation, retire_departed, take_back_departure
from core.processing.departed import departures_to_trim, trim_departed
from core.processing.recording import Recorder
from core.surveys.events import rebuild_events
from core.surveys.schedules import Weekly
from tests.core.processing.test_batch import process, queue
from tests.support.factories import Factory
from webapp.stores import object_store, sealed_store

HEADER = "timestamp,accuracy,x,y,z\n"
# The end of 2 March 2026 in two zones; one of them is not whole hours from UTC.
ENDS = [("UTC", datetime(2026, 3, 3, tzinfo=UTC)), ("Asia/Kolkata", datetime(2026, 3, 2, 18, 30, tzinfo=UTC))]


def leave(participant: Participant, on: date, now: datetime, reason: WithdrawalReason | None = None) -> Departure:
    departure = end_participation(db.session(), participant, on, reason, now, actor=COMMAND_LINE)
    db.session.commit()
    return departure


def rows_at(*moments: datetime) -> bytes:
    lines = "".join(f"{int(at.timestamp() * 1000)},unknown,1,2,3\n" for at in moments)
    return (HEADER + lines).encode()


def contents(participant: Participant, hour: datetime) -> bytes:
    folder = f"CHUNKED_DATA/{participant.study.object_id}/{participant.patient_id}/accelerometer"
    return sealed_store(participant.study).read(f"{folder}/{hour:%Y-%m-%dT%H:%M:%S}.csv")[0]


def someone(factory: Factory, zone: str = "UTC") -> Participant:
    participant = factory.participant(factory.study(timezone_name=zone))
    participant.created_at = datetime(2026, 1, 1, tzinfo=UTC)
    db.session.commit()
    return participant


@pytest.mark.parametrize(("zone", "end"), ENDS)
def test_rows_after_the_last_day_are_dropped_and_counted(app: Flask, factory: Factory, zone: str, end: datetime):
    """CLAR-35: the whole of the last day in the study's zone counts."""
    participant = someone(factory, zone)
    leave(participant, date(2026, 3, 2), end + timedelta(days=2), WithdrawalReason.OWN_WISH)
    before, after = end - timedelta(milliseconds=1), end + timedelta(milliseconds=1)
    path = queue(factory, participant, "accel/1772400000000.csv", rows_at(before, end, after))
    process()
    assert contents(participant, before.replace(minute=0, second=0, microsecond=0)).count(b"\n") == 1
    record = db.session.scalars(sa.select(UploadRecord).where(UploadRecord.path.contains("accel"))).one()
    assert record.dropped_rows == {"time is after the participant's last day in the study": 2}, path


@pytest.mark.parametrize(("zone", "end"), ENDS)
def test_what_was_processed_before_is_taken_out_and_comes_back_from_raw_files(
    app: Flask, factory: Factory, zone: str, end: datetime
):
    """CLAR-35: a withdrawal that is recorded days later."""
    participant = someone(factory, zone)
    before, after, later = (end + timedelta(seconds=s) for s in (-60, 60, 7200))
    queue(factory, participant, "accel/1772400000000.csv", rows_at(before, after, later))
    process()
    count = db.session.scalar(sa.select(sa.func.count()).select_from(Chunk))
    leave(participant, date(2026, 3, 2), end + timedelta(days=2), WithdrawalReason.PRIVACY)
    assert departures_to_trim(db.session()) == [participant.id]
    db.session.commit()
    trim_departed(db.engine, object_store(), get_settings(), participant.id)
    left = db.session.scalars(sa.select(Chunk).where(Chunk.participant_id == participant.id)).all()
    assert len(left) == 1 and contents(participant, left[0].time_bin).count(b"\n") == 1
    assert departures_to_trim(db.session()) == []
    known = set(db.session.scalars(sa.select(StoredObject.path)))
    kept = set(object_store().keys(f"CHUNKED_DATA/{participant.study.object_id}/"))
    assert kept == {path for path in known if path.startswith("CHUNKED_DATA")} and count > len(kept)


def test_a_cut_whose_rows_were_lost_in_a_crash_is_put_right(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """CLAR-35, STORE-7: the object is cut already, registry and object row still describe what it was."""
    participant, end = someone(factory, "Asia/Kolkata"), ENDS[1][1]
    queue(factory, participant, "accel/1772400000000.csv", rows_at(end - timedelta(seconds=60), end))
    process()
    leave(participant, date(2026, 3, 2), end + timedelta(days=2), WithdrawalReason.PRIVACY)
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "record_chunks", dies)
        with pytest.raises(RuntimeError):
            trim_departed(db.engine, object_store(), get_settings(), participant.id)
    trim_departed(db.engine, object_store(), get_settings(), participant.id)
    left = db.session.scalars(sa.select(Chunk).where(Chunk.participant_id == participant.id)).one()
    cut = contents(participant, left.time_bin)
    assert cut.count(b"\n") == 1 and left.sha1 == hashlib.sha1(cut).digest() and left.size_bytes == len(cut)
    row = db.session.scalars(sa.select(StoredObject).where(StoredObject.path.startswith("CHUNKED_DATA"))).one()
    assert row.sha1 == left.sha1


def dies(*_: object) -> None:
    raise RuntimeError("died")


def test_no_survey_is_asked_after_the_last_day(app: Flask, factory: Factory):
    """CLAR-35, NOTIF-3: and everything is asked again when it is taken back."""
    participant = someone(factory)
    survey = factory.survey(participant.study)
    for weekday in range(7):
        factory.schedule(survey, Weekly(weekday, datetime(2026, 1, 1, 12).time()))
    now = datetime.now(UTC)
    rebuild_events(db.session(), participant.study, now)
    planned = db.session.scalar(sa.select(sa.func.count()).select_from(ScheduledEvent))
    leave(participant, now.date() - timedelta(days=1), now)
    assert not list(db.session.scalars(sa.select(ScheduledEvent).where(ScheduledEvent.scheduled_at > now)))
    assert take_back_departure(db.session(), participant, now, actor=COMMAND_LINE)
    db.session.commit()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(ScheduledEvent)) == planned > 0


def test_uploads_are_taken_for_fourteen_days_more(app: Flask, factory: Factory):
    """CLAR-35: whenever the last day was, the phone may still hold data that belong to the study."""
    participant, now = someone(factory), datetime.now(UTC)
    departure = leave(participant, date(2026, 1, 5), now)
    assert departure.kind == "completed" and departure.retire_at == now + timedelta(days=14)
    assert retire_departed(db.session(), now + timedelta(days=13)) == 0
    assert retire_departed(db.session(), now + timedelta(days=14)) == 1
    assert participant.retired_at and retire_departed(db.session(), now + timedelta(days=15)) == 0
    assert not take_back_departure(db.session(), participant, now, actor=COMMAND_LINE)


@pytest.mark.parametrize("on", [date(2999, 1, 1), date(2020, 1, 1)])
def test_a_last_day_is_between_enrolment_and_today(app: Flask, factory: Factory, on: date):
    with pytest.raises(ParticipantRefused):
        leave(someone(factory), on, datetime.now(UTC))
