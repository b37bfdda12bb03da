"""Outcomes: what becomes of events, attempts, tokens and services (NOTIF-40 to NOTIF-45)."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
import sqlalchemy as sa

from core.audit import SERVER
from core.database import db
from core.models import (
    CredentialKind,
    MessageState,
    NotificationAttempt,
    PushMessage,
    PushMessageEvent,
    PushReceipt,
    PushToken,
    ScheduledEvent,
)
from core.notifications.credentials import remove_credential
from core.notifications.sending import sole_sender
from core.phones.tracking import remember_reports
from core.streams import Platform
from core.surveys.schedules import Absolute, Weekly
from tests.core.notifications.test_due import TODAY, answer
from tests.support.fakes.google import UNREGISTERED, Answer, fcm_error
from tests.support.pushing import NEW_IOS, Pushing, attempts, events, messages, tokens

NOON = Absolute(TODAY, time(12))


def test_an_unregistered_token_is_retired_and_the_event_waits_for_the_next(pushing: Pushing):
    """NOTIF-41, NOTIF-44: no attempt in the history."""
    someone = pushing.phone()
    pushing.asked(NOON)
    pushing.google.by_token = {f"t-{someone.patient_id}": UNREGISTERED}
    look = pushing.look()
    assert (look.accepted, look.tokens_retired) == (0, 1)
    assert tokens(someone)[0].retired_because
    assert (attempts(), events()[0].state) == ([], "pending")
    pushing.google.by_token = {}
    pushing.token(someone)
    assert pushing.later(minutes=1).accepted == 1


def test_a_credential_whose_first_run_loses_all_tokens_is_to_blame(pushing: Pushing):
    """NOTIF-41: wrong topic or sandbox; the tokens stay, and the service is left alone."""
    phones = [pushing.phone() for _ in range(3)]
    db.session.execute(sa.text("DELETE FROM push_service_states"))
    pushing.asked(NOON)
    pushing.google.by_token = {f"t-{someone.patient_id}": UNREGISTERED for someone in phones}
    look = pushing.look()
    assert (look.tokens_retired, [tokens(someone)[0].retired_at for someone in phones]) == (0, [None] * 3)
    assert pushing.later(minutes=1).waiting == {"the push service is left alone for a while": 3}
    pushing.google.by_token = {}
    assert pushing.later(minutes=5).accepted == 3


def test_the_404_of_a_wrong_project_retires_no_token(pushing: Pushing):
    """NOTIF-36, NOTIF-41."""
    someone = pushing.phone()
    pushing.asked(NOON)
    pushing.google.answers = [fcm_error(404, "NOT_FOUND", "Project not found.")]
    pushing.look()
    assert tokens(someone)[0].retired_at is None
    assert tokens(someone)[0].failures == 0
    assert events()[0].state == "pending"
    assert pushing.later(minutes=6).accepted == 1


def test_failures_of_a_token_count_at_most_once_in_six_minutes_and_retire_it_at_last(pushing: Pushing):
    """NOTIF-42: with an attempt and its reason each time, and a row in the participant's history."""
    someone = pushing.phone()
    pushing.asked(NOON)
    mismatch = fcm_error(403, "PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH")
    pushing.google.by_token = {f"t-{someone.patient_id}": mismatch}
    pushing.look()
    assert pushing.later(minutes=2).waiting == {"the token failed a moment ago": 1}
    pushing.later(minutes=4)
    assert tokens(someone)[0].failures == 2
    assert {attempt.status for attempt in attempts()} == {"SENDER_ID_MISMATCH: SenderId mismatch"}
    db.session.execute(sa.update(PushToken).values(failures=719))
    pushing.later(minutes=6)
    assert tokens(someone)[0].retired_because == "720 tries in a row failed."
    assert events()[0].state == "pending"


def test_a_success_ends_the_count(pushing: Pushing):
    """NOTIF-40."""
    someone = pushing.phone()
    pushing.asked(NOON)
    db.session.execute(sa.update(PushToken).values(failures=5))
    assert pushing.look().accepted == 1
    assert tokens(someone)[0].failures == 0


@pytest.mark.parametrize(
    ("answer_given", "status"),
    [
        (Answer(502, "<html><title>502</title></html>"), "Unexpected HTTP response from push notification service."),
        (fcm_error(401, "UNAUTHENTICATED", "No", "THIRD_PARTY_AUTH_ERROR"), "THIRD_PARTY_AUTH_ERROR: No"),
    ],
)
def test_the_services_own_trouble_counts_against_no_token(pushing: Pushing, answer_given: Answer, status: str):
    """NOTIF-42: the event waits, and is sent when the service is back."""
    someone = pushing.phone()
    pushing.asked(NOON)
    pushing.google.answers = [answer_given]
    pushing.look()
    assert [attempt.status for attempt in attempts()] == [status]
    assert tokens(someone)[0].failures == 0
    assert pushing.later(minutes=5).accepted == 1


@pytest.mark.parametrize("header", ["120", "date"])
def test_a_quota_is_obeyed_and_leaves_no_attempt(pushing: Pushing, header: str):
    """NOTIF-43: Retry-After as seconds and as a date."""
    pushing.phone()
    pushing.asked(NOON)
    date_text = f"{datetime.now(UTC) + timedelta(seconds=120):%a, %d %b %Y %H:%M:%S GMT}"
    said = fcm_error(
        429, "RESOURCE_EXHAUSTED", "Quota", "QUOTA_EXCEEDED", Retry_After=date_text if header == "date" else header
    )
    pushing.google.answers = [said]
    pushing.look()
    assert attempts() == []
    assert pushing.later(seconds=110).messages == 0
    assert pushing.later(seconds=11).accepted == 1


def test_without_credentials_events_wait_and_expire(pushing: Pushing):
    """NOTIF-33, NOTIF-23."""
    pushing.phone()
    pushing.asked(NOON)
    remove_credential(db.session(), CredentialKind.BACKEND, actor=SERVER)
    assert pushing.look().waiting == {"no push service is set up": 1}
    assert pushing.later(hours=25).ended == 1
    pushing.configure()
    assert pushing.look().messages == 0


def test_an_unknown_answer_is_sent_again_after_two_minutes_with_the_same_uuids(pushing: Pushing):
    """NOTIF-45: and not before."""
    pushing.phone()
    pushing.asked(NOON)
    pushing.google.hangs_up_after = {1}
    assert pushing.look().accepted == 0
    assert [message.state for message in messages()] == ["pending"]
    assert pushing.later(seconds=119).messages == 0
    assert pushing.later(seconds=2).accepted == 1
    first, second = pushing.sent()
    assert first == second
    assert [message.state for message in messages()] == ["unknown", "accepted"]
    assert len(attempts()) == 1


@pytest.mark.parametrize("change", ["answered", "retired token", "paused", "stopped"])
def test_everything_is_looked_at_again_before_a_message_is_repeated(pushing: Pushing, change: str):
    """CLAR-61."""
    someone = pushing.phone()
    survey = pushing.asked(NOON)
    pushing.google.hangs_up_after = {1}
    pushing.look()
    later = pushing.now + timedelta(minutes=3)
    if change == "answered":
        answer(pushing, someone, survey, pushing.now + timedelta(minutes=1))
    elif change == "retired token":
        db.session.execute(sa.update(PushToken).values(retired_at=later))
    elif change == "paused":
        db.session.execute(
            sa.text("INSERT INTO pauses (participant_id, starts_at, made_by) VALUES (:id, :at, 'x')"),
            {"id": someone.id, "at": pushing.now},
        )
    else:
        pushing.study.is_stopped_by_hand = True
    assert pushing.look(later).messages == 0
    assert len(pushing.sent()) == 1


def test_a_rebuild_while_a_message_is_on_its_way_sends_nothing_twice(pushing: Pushing):
    """NOTIF-7, CLAR-61: pending rows count as sent, and the event made anew is done once they are settled."""
    pushing.phone()
    survey = pushing.asked(NOON)
    pushing.google.hangs_up_after = {1}
    pushing.look()
    db.session.execute(sa.delete(ScheduledEvent))
    db.session.execute(sa.update(PushMessage).values(written_at=pushing.now))
    pushing.rebuild()
    assert pushing.later(minutes=1).messages == 0
    db.session.execute(sa.update(PushMessage).values(state=MessageState.ACCEPTED.value))
    assert pushing.later(minutes=5).messages == 0
    assert len(pushing.sent()) == 1
    assert survey.object_id in pushing.sent()[0]
    assert db.session.scalar(db.select(PushMessageEvent.event_id)) is None


def test_an_event_made_anew_takes_the_uuids_of_a_message_that_may_have_been_sent(pushing: Pushing):
    """NOTIF-7, CLAR-61: sent again with the same uuids, one each where two schedules ask at one minute."""
    pushing.phone()
    pushing.now -= timedelta(minutes=1)  # weekly events are made before their time only
    survey = pushing.asked(NOON, Weekly(3, time(12)))
    pushing.google.hangs_up_after = {1}
    pushing.later(minutes=1)
    (first,) = pushing.sent()
    db.session.execute(sa.delete(ScheduledEvent).where(ScheduledEvent.scheduled_at <= pushing.now))
    pushing.now -= timedelta(minutes=1)
    pushing.rebuild()
    made = events(scheduled_at=pushing.now + timedelta(minutes=1))
    assert sorted(str(event.uuid) for event in made) == sorted(first[survey.object_id])
    assert pushing.later(minutes=6).accepted == 1
    assert sorted(pushing.sent()[1][survey.object_id]) == sorted(first[survey.object_id])


def test_an_event_made_anew_has_a_uuid_of_its_own_where_another_event_has_that_of_the_message(pushing: Pushing):
    """NOTIF-3: uuids are unique."""
    pushing.phone()
    survey = pushing.asked(NOON)
    pushing.google.hangs_up_after = {1}
    pushing.look()
    pushing.now -= timedelta(minutes=1)
    pushing.factory.schedule(survey, Weekly(3, time(12)))
    pushing.rebuild()
    made = events(scheduled_at=pushing.now + timedelta(minutes=1))
    assert len({event.uuid for event in made}) == 2


def test_a_receipt_confirms_its_attempt_also_when_it_comes_first(pushing: Pushing):
    """NOTIF-50."""
    someone = pushing.phone(Platform.IOS, **NEW_IOS)
    pushing.asked(NOON)
    (event,) = events()
    db.session.add(PushReceipt(participant_id=someone.id, uuid=event.uuid, received_at=pushing.now))
    pushing.look()
    assert attempts()[0].is_confirmed
    db.session.execute(sa.update(NotificationAttempt).values(is_confirmed=False))
    remember_reports(db.session(), someone, {"notification_uuids": f'["{event.uuid}"]'}, "/x", pushing.now)
    assert attempts()[0].is_confirmed


def test_one_process_sends_at_a_time(pushing: Pushing):
    """CLAR-61, OPS-22."""
    with sole_sender(db.engine) as first, sole_sender(db.engine) as second:
        assert (first, second) == (True, False)
    with sole_sender(db.engine) as again:
        assert again


def test_a_study_of_many_with_a_third_of_dead_tokens(pushing: Pushing):
    """NOTIF-41: less than half are lost, so they are lost tokens."""
    phones = [pushing.phone() for _ in range(20)]
    pushing.asked(NOON)
    pushing.google.by_token = {f"t-{someone.patient_id}": UNREGISTERED for someone in phones[:6]}
    look = pushing.look()
    assert (look.accepted, look.tokens_retired) == (14, 6)
    assert pushing.later(minutes=1).messages == 0


def test_an_event_of_long_ago_is_not_sent_when_its_date_moves_back(pushing: Pushing):
    """NOTIF-7: the same time is never sent twice."""
    from core.surveys.schedules import Relative

    someone = pushing.phone()
    baseline = pushing.factory.intervention(pushing.study)
    pushing.factory.intervention_date(someone, baseline, TODAY)
    pushing.asked(Relative(baseline.id, 0, time(11)))
    assert pushing.look().accepted == 1
    for day, expected in ((date(2024, 6, 9), 0), (TODAY, 0)):
        pushing.factory.intervention_date(someone, baseline, day)
        pushing.rebuild()
        assert pushing.later(minutes=1).messages == expected
