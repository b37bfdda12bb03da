"""Questions that pages ask: history, why not, delivery, the coming day, heartbeats and sends by hand."""

from datetime import time, timedelta

import pytest
import sqlalchemy as sa

from core.audit import COMMAND_LINE, SERVER
from core.database import db
from core.models import AuditRecord, ParticipantActivity, ParticipantEvent, PushReceipt
from core.notifications.by_hand import NotSent, TextRefused, preview_text, send_survey_now, send_text
from core.notifications.coming_day import coming_day
from core.notifications.delivering import opener
from core.notifications.delivery_figures import delivery_rates, lost_tokens, not_reached
from core.notifications.heartbeats import send_heartbeats
from core.notifications.history import Answer, Step, notifications_of
from core.notifications.why import conditions, first_that_fails
from core.participants.pausing import pause_participant
from core.streams import Platform
from core.studies.changing import set_quiet_hours, stop_study
from core.surveys.schedules import Absolute
from tests.core.notifications.test_due import TODAY, answer
from tests.core.notifications.test_sending import NOON
from tests.support.fakes.google import UNREGISTERED, fcm_error
from tests.support.pushing import NEW_IOS, Pushing, attempts, data_of, events

DAY = timedelta(days=1)


def test_the_history_says_what_happened_to_each_notification(pushing: Pushing):
    """NOTIF-24, CLAR-51, CLAR-62."""
    someone = pushing.phone(Platform.IOS, **NEW_IOS)
    survey = pushing.asked(Absolute(TODAY, time(11)), Absolute(TODAY, time(12)), Absolute(TODAY, time(18)))
    pushing.look()
    newest = events()[1]
    db.session.add(PushReceipt(participant_id=someone.id, uuid=newest.uuid, received_at=pushing.now))
    answer(pushing, someone, survey, pushing.now + timedelta(minutes=20))
    shown = notifications_of(
        db.session(), someone, pushing.now - DAY, pushing.now + DAY, pushing.now + timedelta(hours=1)
    )
    assert [(n.step, n.answer, n.will_be_tried) for n in shown] == [
        (Step.SCHEDULED, Answer.OPEN, True),
        (Step.RECEIVED, Answer.IN_TIME, False),
        (Step.ACCEPTED, Answer.MISSED, False),
    ]
    assert shown[1].answered_at == shown[1].opened_at == pushing.now + timedelta(minutes=20)
    assert shown[1].sent_at == pushing.now


def test_a_late_answer_is_late(pushing: Pushing):
    """CLAR-51."""
    someone = pushing.phone()
    survey = pushing.asked(NOON)
    pushing.study.survey_expiry_minutes = 60
    pushing.look()
    answer(pushing, someone, survey, pushing.now + timedelta(minutes=90))
    (shown,) = notifications_of(db.session(), someone, pushing.now - DAY, pushing.now + DAY, pushing.now + DAY)
    assert (shown.answer, shown.step) == (Answer.LATE, Step.ACCEPTED)


def first(pushing: Pushing, someone: object, survey: object) -> str:
    failing = first_that_fails(conditions(db.session(), someone, survey, pushing.now, pushing.now))  # type: ignore[arg-type]
    return failing.name if failing else ""


def test_why_a_survey_was_not_sent_names_the_first_condition_that_fails(pushing: Pushing):
    """NOTIF-20, NOTIF-33, CLAR-54: each with what to do."""
    someone = pushing.phone()
    survey = pushing.asked(NOON)
    db.session.execute(sa.text("UPDATE sender_state SET looked_at = :at"), {"at": pushing.now})
    assert first(pushing, someone, survey) == ""
    set_quiet_hours(db.session(), pushing.study, (time(11), time(13)), None, actor=SERVER)
    assert first(pushing, someone, survey) == "It is no quiet hour"
    db.session.execute(sa.text("UPDATE push_tokens SET retired_at = now(), retired_because = 'gone'"))
    assert first(pushing, someone, survey) == "The phone has a push token"
    pause_participant(db.session(), someone, None, pushing.now, actor=SERVER)
    assert first(pushing, someone, survey) == "The participant is not paused"
    stop_study(db.session(), pushing.study, pushing.now, actor=SERVER)
    assert first(pushing, someone, survey) == "The study is running"


def test_why_says_when_it_was_sent_after_all(pushing: Pushing):
    """NOTIF-40."""
    someone = pushing.phone()
    survey = pushing.asked(NOON)
    pushing.look()
    assert first(pushing, someone, survey) == "It was not sent yet"


def test_delivery_by_platform_and_version_and_who_got_nothing(pushing: Pushing):
    """CLAR-62: received only where apps report it; test participants stay out."""
    ios, android, lost, test = (
        pushing.phone(Platform.IOS, **NEW_IOS),
        pushing.phone(last_version_name="3.4"),
        pushing.phone(last_version_name="3.4"),
        pushing.phone(),
    )
    test.is_test = True
    pushing.asked(NOON)
    db.session.add(
        PushReceipt(participant_id=ios.id, uuid=events(participant_id=ios.id)[0].uuid, received_at=pushing.now)
    )
    mismatch = fcm_error(403, "PERMISSION_DENIED", "Mismatch", "SENDER_ID_MISMATCH")
    pushing.google.by_token = {f"t-{lost.patient_id}": mismatch}
    pushing.look()
    span = (pushing.now - DAY, pushing.now + DAY)
    rates = delivery_rates(db.session(), pushing.study, *span)
    assert [(r.platform, r.app_version, r.messages, r.accepted, r.received) for r in rates] == [
        ("ANDROID", "3.4", 2, 1, None),
        ("IOS", "2024.27", 1, 1, 1),
    ]
    assert rates[0].median_delay_seconds == 0.0
    (missed,) = not_reached(db.session(), pushing.study, *span)
    assert (missed.patient_id, missed.reason) == (lost.patient_id, "SENDER_ID_MISMATCH: Mismatch")
    assert android.patient_id != lost.patient_id
    pushing.google.by_token = {f"t-{lost.patient_id}": UNREGISTERED}
    pushing.later(minutes=6)
    assert [(day.day, day.count) for day in lost_tokens(db.session(), pushing.study, *span)] == [(TODAY, 1)]


def test_the_coming_day_is_that_of_the_participants_clocks(pushing: Pushing):
    """NOTIF-21."""
    pushing.phone(zone="Europe/London")
    pushing.factory.participant(pushing.study)
    survey = pushing.asked(Absolute(TODAY, time(18, 30)))
    hours = coming_day(db.session(), pushing.study, pushing.now)
    assert [(hour.begins_at.hour, hour.events, hour.reachable) for hour in hours] == [(17, 1, 1), (22, 1, 0)]
    assert {hour.survey_id for hour in hours} == {survey.object_id}


def test_heartbeats_go_to_silent_phones_and_are_not_repeated(pushing: Pushing):
    """NOTIF-60, NOTIF-32, NOTIF-35: an hour less a minute after anything of the phone, and after the last heartbeat."""
    someone, busy, gone = pushing.phone(), pushing.phone(), pushing.phone()
    silent = pushing.now - timedelta(minutes=59, seconds=1)
    for who, at in ((someone, silent), (busy, silent + timedelta(seconds=2)), (gone, pushing.now - timedelta(days=8))):
        theirs = ParticipantActivity.participant_id == who.id
        db.session.execute(sa.update(ParticipantActivity).where(theirs).values(last_surveys_at=at))
    db.session.commit()

    def beat() -> int:
        return send_heartbeats(db.engine, opener(pushing.google.url), clock=lambda: pushing.now).accepted

    assert (beat(), beat()) == (1, 0)
    (message,) = pushing.google.messages
    assert message["token"] == f"t-{someone.patient_id}"
    assert (data_of(message)["type"], message["android"]["ttl"]) == ("message", "3600s")
    pushing.now += timedelta(minutes=59, seconds=1)
    assert beat() == 2
    db.session.rollback()
    kinds = db.session.scalars(
        db.select(ParticipantEvent.kind).where(ParticipantEvent.participant_id == someone.id)
    ).all()
    assert kinds == ["heartbeat notification sent"] * 2


def test_a_survey_sent_by_hand_is_in_the_history_and_the_audit_trail(pushing: Pushing):
    """NOTIF-70."""
    someone, survey = pushing.phone(), pushing.asked()
    arguments = (db.session(), db.engine, opener(pushing.google.url), someone, survey, lambda: pushing.now)
    assert send_survey_now(*arguments, actor=COMMAND_LINE) is None
    (attempt,) = attempts()
    assert (attempt.kind, attempt.status, attempt.researcher_name) == ("manual", "success", COMMAND_LINE.name)
    assert db.session.scalars(db.select(AuditRecord.action)).all().count("notification.send") == 1
    pushing.google.by_token = {f"t-{someone.patient_id}": fcm_error(400, "INVALID_ARGUMENT", "Bad", "INVALID_ARGUMENT")}
    assert "did not take it" in (send_survey_now(*arguments, actor=COMMAND_LINE) or "")
    db.session.execute(sa.text("UPDATE push_tokens SET retired_at = now()"))
    with pytest.raises(NotSent, match="no push token"):
        send_survey_now(*arguments, actor=COMMAND_LINE)
    assert [attempt.status for attempt in attempts()][2] == "The phone has told this server no push token."


def test_a_text_is_previewed_counted_and_logged_without_its_words(pushing: Pushing):
    """NOTIF-32, CLAR-20."""
    chosen = [pushing.phone(), pushing.phone(Platform.IOS), pushing.factory.participant(pushing.study)]
    preview = preview_text(db.session(), chosen, "Thank you")
    assert preview.reached == {"ANDROID": 1, "IOS": 1}
    assert preview.missed == {"The phone has told this server no push token.": 1}
    with pytest.raises(TextRefused):
        preview_text(db.session(), chosen, " ")
    done = send_text(
        db.session(),
        db.engine,
        opener(pushing.google.url),
        pushing.study,
        chosen,
        "Thank you",
        lambda: pushing.now,
        actor=COMMAND_LINE,
    )
    assert done.accepted == 2
    row = db.session.scalars(db.select(AuditRecord).where(AuditRecord.action == "notification.text")).one()
    assert row.detail == {"chosen": 3, "sent_to": 2}
