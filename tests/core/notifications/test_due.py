"""What is sent, and when: zones, pauses, quiet hours, expiry, bundles (NOTIF-20 to NOTIF-24)."""

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from core.audit import SERVER
from core.database import db
from core.models import EventRebuild, ScheduledEvent, UploadRecord
from core.notifications.due import Ended
from core.notifications.due_rows import waiting_events
from core.notifications.sending import look_at_due
from core.participants.changing import retire_participant
from core.participants.pausing import pause_participant
from core.streams import SPECS, DataStream, Platform
from core.surveys.schedules import Absolute, Weekly
from tests.core.notifications.test_rules import DUE_CASES
from tests.support.pushing import NEW_IOS, Pushing, attempts, data_of, events

TODAY = date(2024, 6, 5)


def test_a_survey_is_sent_once_at_its_time(pushing: Pushing):
    """NOTIF-20, NOTIF-40."""
    someone = pushing.phone()
    survey = pushing.asked(Absolute(TODAY, time(12, 30)))
    assert pushing.look().due == 0
    look = pushing.later(minutes=30)
    assert (look.due, look.messages, look.accepted) == (1, 1, 1)
    (event,) = events()
    assert pushing.sent() == [{survey.object_id: [str(event.uuid)]}]
    assert event.state == "done"
    (attempt,) = attempts()
    assert (attempt.status, attempt.kind, attempt.uuid) == ("success", "absolute", None), "Android reports no receipts"
    assert attempt.participant_id == someone.id
    assert pushing.later(hours=1).is_empty
    assert pushing.look(pushing.now - timedelta(minutes=61)).is_empty, "the clock was set back"


def test_every_due_vector_holds_in_the_database(pushing: Pushing):
    """NOTIF-21: an event is due at its minute, on the participant's clock, in all zones."""
    studies: dict[str, tuple[Any, Any]] = {}
    for case in DUE_CASES:
        name = case["study_zone"]
        if name not in studies:
            study = pushing.factory.study(timezone_name=name)
            studies[name] = study, pushing.factory.survey(study)
    someone = pushing.phone()
    for case in DUE_CASES:
        now, at = datetime.fromisoformat(case["now"]), datetime.fromisoformat(case["scheduled_time"])
        study, survey = studies[case["study_zone"]]
        someone.study_id = study.id
        someone.timezone_name = None if case["participant_zone_unknown"] else case["participant_zone"]
        db.session.execute(db.delete(ScheduledEvent))
        db.session.add(ScheduledEvent(survey_id=survey.id, participant_id=someone.id, scheduled_at=at))
        db.session.commit()
        found = look_at_due(db.session(), now)
        assert bool(found.messages or found.ended) is case["due"], case["id"]
        counts_at = datetime.fromisoformat(case["counts_as"])
        for moment, expected in ((counts_at - timedelta(minutes=1), False), (counts_at, True)):
            assert bool(look_at_due(db.session(), moment).messages) is expected, case["id"]


def test_nine_in_new_york_is_nine_in_tokyo(pushing: Pushing):
    """NOTIF-21: the participant's wall clock; the study's where the phone's zone is unknown or no zone."""
    phones = {zone: pushing.phone(zone=zone) for zone in ("Asia/Tokyo", None, "GMT+3")}
    pushing.asked(Absolute(TODAY, time(9)))
    moments = {}
    for hour in range(-24, 24):
        pushing.look(datetime(2024, 6, 5, tzinfo=UTC) + timedelta(hours=hour))
        for attempt in attempts():
            moments.setdefault(attempt.participant_id, attempt.attempted_at)
    tokyo, new_york = datetime(2024, 6, 5, 0, tzinfo=UTC), datetime(2024, 6, 5, 13, tzinfo=UTC)
    assert [moments[someone.id] for someone in phones.values()] == [tokyo, new_york, new_york]


def test_two_times_at_one_minute_are_one_message_with_two_uuids(pushing: Pushing):
    """NOTIF-22."""
    pushing.phone()
    survey = pushing.asked(Absolute(TODAY, time(13)), Weekly(3, time(13)))
    look = pushing.later(hours=1)
    assert (look.due, look.messages) == (2, 1)
    (uuids,) = pushing.sent()
    assert len(set(uuids[survey.object_id])) == 2


def test_android_gets_each_survey_apart_and_ios_all_at_once(pushing: Pushing):
    """NOTIF-22, CLAR-60, NOTIF-35: with an end and a key to replace earlier ones."""
    android, ios = pushing.phone(), pushing.phone(Platform.IOS)
    one, two = pushing.asked(Absolute(TODAY, time(12))), pushing.asked(Absolute(TODAY, time(11, 59)))
    assert pushing.look().messages == 3
    by_token: dict[str, list[dict[str, Any]]] = {}
    for message in pushing.google.messages:
        by_token.setdefault(message["token"], []).append(message)
    theirs = by_token[f"t-{android.patient_id}"]
    assert {message["android"]["collapse_key"] for message in theirs} == {one.object_id, two.object_id}
    (his,) = by_token[f"t-{ios.patient_id}"]
    assert json.loads(data_of(his)["survey_ids"]) == [two.object_id, one.object_id]
    assert data_of(his)["sent_time"] == "2024-06-05T15:59:00"
    expiration = int(his["apns"]["headers"]["apns-expiration"])
    assert expiration == int((pushing.now + timedelta(hours=24)).timestamp())
    assert len(his["apns"]["headers"]["apns-collapse-id"]) == 32


def test_who_is_retired_or_paused_or_has_no_token_gets_nothing(pushing: Pushing):
    """NOTIF-20, CLAR-36."""
    retired, paused, tokenless = (pushing.phone() for _ in range(3))
    db.session.execute(db.text("DELETE FROM push_tokens WHERE participant_id = :id"), {"id": tokenless.id})
    pushing.asked(Absolute(TODAY, time(12)))
    pause_participant(db.session(), paused, None, pushing.now - timedelta(hours=1), actor=SERVER)
    retire_participant(db.session(), retired, pushing.now, actor=SERVER)
    assert pushing.look().messages == 0
    pushing.token(tokenless)
    assert pushing.look().messages == 1


def test_a_test_participant_gets_pushes(pushing: Pushing):
    """CLAR-62."""
    someone = pushing.phone()
    someone.is_test = True
    pushing.asked(Absolute(TODAY, time(12)))
    assert pushing.look().accepted == 1


def test_a_study_that_waits_for_its_rebuild_is_not_sent(pushing: Pushing):
    """CLAR-14."""
    pushing.phone()
    pushing.asked(Absolute(TODAY, time(12)))
    db.session.add(EventRebuild(study_id=pushing.study.id))
    assert pushing.look().messages == 0
    db.session.execute(db.delete(EventRebuild))
    assert pushing.look().messages == 1


@pytest.mark.parametrize("how", ["hidden_at", "is_stopped_by_hand", "end_on", "deleted_at"])
def test_stopped_hidden_and_ended_studies_and_deleted_surveys_are_not_sent(pushing: Pushing, how: str):
    """NOTIF-20: also before their events are removed; the end date is the study's, not UTC's."""
    pushing.phone()
    survey = pushing.asked(Absolute(date(2024, 6, 4), time(23, 30)))
    target = survey if how == "deleted_at" else pushing.study
    values = {"hidden_at": pushing.now, "is_stopped_by_hand": True, "end_on": date(2024, 6, 4)}
    setattr(target, how, values.get(how, pushing.now))
    db.session.commit()
    at = datetime(2024, 6, 5, 3, 45, tzinfo=UTC)  # 23:45 in New York
    if how == "end_on":
        assert len(look_at_due(db.session(), at).messages) == 1
        at += timedelta(minutes=15)
    assert look_at_due(db.session(), at).messages == []


def test_quiet_hours_hold_pushes_back_on_the_participants_clock(pushing: Pushing):
    """CLAR-54."""
    pushing.phone(zone="Asia/Tokyo")
    pushing.study.quiet_from, pushing.study.quiet_until = time(22), time(7)
    pushing.asked(Absolute(TODAY, time(6)))
    six = datetime(2024, 6, 4, 21, tzinfo=UTC)
    look = pushing.look(six)
    assert (look.messages, look.waiting) == (0, {"quiet hours": 1})
    assert pushing.look(six + timedelta(hours=1)).accepted == 1


def test_what_is_a_day_late_or_cannot_be_answered_expires(pushing: Pushing):
    """NOTIF-23, CLAR-51: visible in the history, and never sent."""
    pushing.phone()
    pushing.asked(Absolute(date(2024, 6, 4), time(11)))
    pushing.asked(Absolute(date(2024, 6, 4), time(13)))
    assert (pushing.look().ended, len(pushing.sent())) == (1, 1)
    assert [attempt.status for attempt in attempts()] == [Ended.EXPIRED.value, "success"]
    assert [event.state for event in events()] == ["expired", "done"]
    pushing.study.survey_expiry_minutes = 60
    pushing.asked(Absolute(TODAY, time(10, 30)))
    assert pushing.look().ended == 1


def test_events_of_those_without_a_token_expire_too(pushing: Pushing):
    """NOTIF-23: two days later, when they are late in every zone."""
    pushing.factory.participant(pushing.study)
    pushing.asked(Absolute(TODAY, time(11)))
    assert pushing.look().ended == 0
    assert pushing.later(hours=51).ended == 1
    assert [(attempt.status, attempt.kind) for attempt in attempts()] == [("expired", "absolute")]


def test_a_survey_that_was_answered_before_its_late_push_is_not_sent(pushing: Pushing):
    """NOTIF-24: Android asks by itself."""
    someone = pushing.phone()
    survey = pushing.asked(Absolute(TODAY, time(11)))
    answer(pushing, someone, survey, pushing.now - timedelta(minutes=30))
    assert pushing.look().ended == 1
    assert pushing.sent() == []
    assert [attempt.status for attempt in attempts()] == [Ended.ANSWERED.value]


def test_many_late_events_of_one_survey_are_one_message(pushing: Pushing):
    """CLAR-60: the server was down for hours."""
    pushing.phone()
    survey = pushing.asked(*(Absolute(TODAY, time(hour)) for hour in range(12)))
    assert pushing.look().messages == 1
    assert len(pushing.sent()[0][survey.object_id]) == 12


def test_receipts_come_from_new_ios_apps_only(pushing: Pushing):
    """NOTIF-40, NOTIF-50."""
    new, old = pushing.phone(Platform.IOS, **NEW_IOS), pushing.phone(Platform.IOS)
    pushing.asked(Absolute(TODAY, time(12)))
    pushing.look()
    assert attempts(participant_id=new.id)[0].uuid is not None
    assert attempts(participant_id=old.id)[0].uuid is None


def test_due_events_are_found_by_their_index(pushing: Pushing):
    """NOTIF-20: however many events are to come."""
    pushing.phone()
    pushing.asked(*(Weekly(day, time(hour)) for day in range(7) for hour in range(24)))
    db.session.execute(sa.text("SET LOCAL enable_seqscan = off"))  # a table of a test is read whole otherwise
    query = sa.select(waiting_events(pushing.now).c.id)
    text = str(query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))
    plan = "\n".join(db.session.scalars(sa.text(f"EXPLAIN {text}".replace(":", "\\:"))))
    assert "ix_scheduled_events_pending" in plan, plan


def answer(pushing: Pushing, someone: Any, survey: Any, at: datetime) -> None:
    """An answer file of the survey, submitted at that moment and uploaded just then."""
    name = (
        f"{pushing.study.object_id}/{someone.patient_id}/surveyAnswers/{survey.object_id}/{int(at.timestamp())}000.csv"
    )
    stream = SPECS[DataStream.SURVEY_ANSWERS].number
    row = UploadRecord(path=name, participant_id=someone.id, stream=stream, size_bytes=100, received_at=at)
    db.session.add(row)
    db.session.commit()
