"""Resends, and a week with a change of clocks, replayed with a clock of the tests' own (NOTIF-51, NOTIF-54)."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from core.audit import SERVER
from core.database import db
from core.models import NotificationAttempt, ParticipantActivity, PushReceipt, ScheduledEvent, SenderState
from core.streams import Platform
from core.studies.settings_changes import save_app_settings
from core.surveys.schedules import Absolute, Weekly
from tests.core.notifications.test_due import TODAY, answer
from tests.support.pushing import NEW_IOS, Pushing, attempts, data_of, events

NEW_YORK = ZoneInfo("America/New_York")


def local(hour: int, day: date = TODAY, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), NEW_YORK).astimezone(UTC)


def run(pushing: Pushing, begins: datetime, ends: datetime, minutes: int = 30) -> dict[str, list[str]]:
    """Looks each half hour; returns the surveys of each message by the clock of New York."""
    told: dict[str, list[str]] = {}
    at = begins
    while at <= ends:
        before = len(pushing.sent())
        db.session.execute(sa.update(ParticipantActivity).values(last_surveys_at=at))
        pushing.look(at)
        for message in pushing.sent()[before:]:
            told.setdefault(f"{at.astimezone(NEW_YORK):%H:%M}", []).append("+".join(message))
        at += timedelta(minutes=minutes)
    return told


def test_two_diaries_are_resent_together_and_neither_drifts(pushing: Pushing):
    """NOTIF-54, NOTIF-51, NOTIF-22: 09:00 and 21:00, each three hours, at rest from 22:00 to 08:00."""
    pushing.phone(Platform.IOS, **NEW_IOS)
    every_day = range(7)
    first = pushing.asked(*(Weekly(day, time(9)) for day in every_day)).object_id
    second = pushing.asked(*(Weekly(day, time(21)) for day in every_day)).object_id
    pushing.now = local(8)
    pushing.rebuild()
    db.session.execute(sa.delete(ScheduledEvent).where(ScheduledEvent.scheduled_at < local(8)))
    told = run(pushing, local(8), local(23, minute=30))
    both = f"{first}+{second}"
    assert told == {"09:00": [first], "12:00": [first], "15:00": [first], "18:00": [first], "21:00": [both]}
    tomorrow = TODAY + timedelta(days=1)
    told = run(pushing, local(0, tomorrow), local(12, tomorrow))
    assert told == {"08:00": [both], "09:00": [f"{second}+{first}"], "12:00": [f"{second}+{first}"]}


@pytest.mark.parametrize("how", ["receipt", "submission"])
def test_a_receipt_or_a_submission_of_one_ends_its_own_resends_only(pushing: Pushing, how: str):
    """NOTIF-54, NOTIF-51."""
    someone = pushing.phone(Platform.IOS, **NEW_IOS)
    one, other = pushing.asked(Absolute(TODAY, time(9))), pushing.asked(Absolute(TODAY, time(10)))
    run(pushing, local(9), local(10))
    if how == "receipt":
        (uuid,) = [event.uuid for event in events(survey_id=one.id)]
        db.session.add(PushReceipt(participant_id=someone.id, uuid=uuid, received_at=pushing.now))
    else:
        answer(pushing, someone, one, local(10, minute=10))
    assert run(pushing, local(12), local(13)) == {"13:00": [other.object_id]}


def test_what_may_not_be_resent(pushing: Pushing):
    """NOTIF-51, NOTIF-52, NOTIF-53: Android, old apps, silent phones, a period of zero, events marked so."""
    someone = pushing.phone(Platform.IOS, **NEW_IOS)
    pushing.phone(Platform.IOS)
    pushing.phone()
    pushing.asked(Absolute(TODAY, time(9)))
    assert pushing.look(local(9)).accepted == 3
    theirs = ParticipantActivity.participant_id == someone.id
    seconds = timedelta(seconds=1)
    for statement, undo in (
        ("UPDATE app_settings SET resend_period_minutes = 0", "UPDATE app_settings SET resend_period_minutes = 180"),
        ("UPDATE scheduled_events SET is_never_resent = true", "UPDATE scheduled_events SET is_never_resent = false"),
        (
            "UPDATE sender_state SET resends_begin_at = '2024-06-06T00:00:00Z'",
            "UPDATE sender_state SET resends_begin_at = NULL",
        ),
    ):
        db.session.execute(sa.text(statement))
        assert pushing.look(local(12)).messages == 0, statement
        db.session.execute(sa.text(undo))
    db.session.execute(
        sa.update(ParticipantActivity).where(theirs).values(last_surveys_at=local(12) - timedelta(days=7, seconds=1))
    )
    assert pushing.look(local(12)).messages == 0
    db.session.execute(sa.update(ParticipantActivity).where(theirs).values(last_surveys_at=local(12) - seconds))
    assert pushing.look(local(12)).messages == 1
    assert attempts(was_resend=True)[0].participant_id == someone.id
    assert db.session.scalar(sa.select(SenderState.looked_at)) == local(12)


def test_switching_resends_on_resends_nothing_of_the_past(pushing: Pushing):
    """NOTIF-51."""
    pushing.phone(Platform.IOS, **NEW_IOS)
    for minutes, hour in ((0, 9), (60, 10)):
        save_app_settings(db.session(), pushing.study, {"resend_period_minutes": minutes}, local(10), actor=SERVER)
        pushing.asked(Absolute(TODAY, time(hour, 30)))
        assert pushing.look(local(hour, minute=30)).messages == 1
    assert [event.is_never_resent for event in events()] == [True, False]
    assert [len(message) for message in pushing.sent()] == [1, 1]


def test_nothing_is_resent_after_expiry_or_eight_times(pushing: Pushing):
    """CLAR-51, NOTIF-51."""
    pushing.phone(Platform.IOS, **NEW_IOS)
    pushing.study.resends_rest_from = pushing.study.resends_rest_until = None
    pushing.study.survey_expiry_minutes = 31 * 24 * 60
    pushing.asked(Absolute(TODAY, time(9)))
    told = run(pushing, local(9), local(9) + timedelta(hours=40), 60)
    assert sum(len(some) for some in told.values()) == 9
    pushing.study.survey_expiry_minutes = 4 * 60
    pushing.asked(Absolute(TODAY + timedelta(days=3), time(9)))
    day = TODAY + timedelta(days=3)
    assert list(run(pushing, local(9, day), local(20, day))) == ["09:00", "12:00"]


def test_an_hours_old_burst_is_one_message_on_the_phone(pushing: Pushing):
    """NOTIF-35, CLAR-60: twelve hourly events of one survey while the phone is off: the last replaces the others,
    and each one before it ends when the next comes.
    """
    pushing.phone()
    survey = pushing.asked(*(Absolute(TODAY, time(hour)) for hour in range(1, 13)))
    for hour in range(1, 13):
        assert pushing.look(local(hour)).accepted == 1
    sent = [message["android"] for message in pushing.google.messages]
    assert {message["collapse_key"] for message in sent} == {survey.object_id}
    lives = [int(message["ttl"].removesuffix("s")) for message in sent]
    assert lives == [3600] * 11 + [24 * 3600]


def test_a_time_that_exists_twice_is_sent_once(pushing: Pushing):
    """NOTIF-21, NOTIF-4: 01:30 on the day on which clocks go back, and 02:30 where it is skipped."""
    pushing.phone()
    pushing.now = datetime(2024, 11, 2, tzinfo=UTC)
    pushing.asked(Absolute(date(2024, 11, 3), time(1, 30)), Absolute(date(2024, 3, 10), time(2, 30)))
    db.session.execute(sa.delete(NotificationAttempt))
    for minute in range(0, 180, 30):
        pushing.look(datetime(2024, 11, 3, 5, tzinfo=UTC) + timedelta(minutes=minute))
    sent = [attempt.attempted_at for attempt in attempts(status="success")]
    assert sent == [datetime(2024, 11, 3, 5, 30, tzinfo=UTC)]
    assert "survey_ids" in data_of(pushing.google.messages[0])
