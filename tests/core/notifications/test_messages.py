"""What pushes say (NOTIF-30, NOTIF-31, NOTIF-32, NOTIF-71), and what becomes of them at Google (NOTIF-41 to 43)."""

import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

import core.notifications.senders.fcm
from core.notifications.messages import fake_message, survey_message, surveys_on_request, text_message
from core.notifications.outcomes import HTML_PAGE, Fate, Outcome, cleaned, retry_after
from core.notifications.senders.fcm import FcmSender
from core.streams import Platform
from tests.support.fakes.google import UNREGISTERED, Answer, FakeGoogle, fcm_error, running_google

ANDROID, IOS = Platform.ANDROID, Platform.IOS
FIVE_EAST = datetime(2026, 3, 8, 14, 30, 5, 999, tzinfo=timezone(timedelta(hours=5)))
TOKEN = "a-token:APA91b"


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    with running_google() as fake:
        yield fake


@pytest.fixture
def sender(google: FakeGoogle) -> FcmSender:
    return FcmSender(google.service_account, google.url)


def one_field(message: dict[str, Any], path: str) -> Any:
    for piece in path.split("."):
        message = message[piece]
    return message


def test_a_survey_message_holds_texts_that_ios_does_not_crash_on():
    """NOTIF-30: five fields, each survey once, the time in UTC without fractions."""
    data = survey_message(IOS, {"one": ["u1", "u2"], "two": ["u3"]}, FIVE_EAST).data
    assert set(data) == {"type", "survey_ids", "survey_uuids_dict", "sent_time", "nonce"}
    assert all(isinstance(value, str) for value in data.values())
    assert data["type"] == "survey"
    assert json.loads(data["survey_ids"]) == ["one", "two"]
    assert json.loads(data["survey_uuids_dict"]) == {"one": ["u1", "u2"], "two": ["u3"]}
    assert data["sent_time"] == "2026-03-08T09:30:05"
    assert re.fullmatch("[A-Za-z0-9]{32}", data["nonce"])
    assert data["nonce"] != survey_message(IOS, {"one": ["u1"]}, FIVE_EAST).data["nonce"]


def test_ios_shows_one_survey_or_several():
    """NOTIF-31."""
    one, two = survey_message(IOS, {"a": ["1", "2"]}, FIVE_EAST), survey_message(IOS, {"a": [], "b": []}, FIVE_EAST)
    assert (one.title, one.body) == ("Beiwe", "You have a survey to take.")
    assert two.body == "You have surveys to take."


def test_other_messages_name_their_text_to_android_and_show_it_on_ios():
    """NOTIF-32."""
    android, ios = text_message(ANDROID, "Are you there?"), text_message(IOS, "Are you there?")
    assert {k: v for k, v in android.data.items() if k != "nonce"} == {"type": "message", "message": "Are you there?"}
    assert set(ios.data) == {"nonce"} and ios.body == "Are you there?"


def test_messages_that_phones_ask_for_themselves():
    """NOTIF-71: a greeting; up to four surveys, without uuids."""
    fake = fake_message(ANDROID).data
    assert set(fake) == {"type", "content"} and fake["type"] == "fake" and fake["content"]
    asked = surveys_on_request(IOS, ["a", "b", "c", "d", "e"], datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert asked.data == {"type": "survey", "survey_ids": '["a", "b", "c", "d"]', "sent_time": "2026-01-02T03:04:05"}


def test_android_is_sent_data_of_high_priority_and_nothing_to_show(google: FakeGoogle, sender: FcmSender):
    """NOTIF-31: as FCM receives it."""
    message = survey_message(ANDROID, {"a": ["1"]}, FIVE_EAST)
    assert sender.send(TOKEN, message).fate is Fate.DELIVERED
    assert google.messages == [{"token": TOKEN, "android": {"priority": "high", "data": dict(message.data)}}]


def test_ios_is_sent_data_beside_what_it_shows(google: FakeGoogle, sender: FcmSender):
    """NOTIF-31: as FCM receives it; NOTIF-32 for heartbeats."""
    surveys, heartbeat = survey_message(IOS, {"a": ["1"]}, FIVE_EAST), text_message(IOS, "Öffne die App")
    for message in (surveys, heartbeat):
        assert sender.send(TOKEN, message).fate is Fate.DELIVERED
    assert google.messages == [
        {"token": TOKEN, "data": dict(m.data), "notification": {"title": "Beiwe", "body": m.body}}
        for m in (surveys, heartbeat)
    ]
    assert google.token_requests == 1, "one access token serves many messages"


def test_an_unregistered_token_is_told_apart_from_an_unknown_project(google: FakeGoogle, sender: FcmSender):
    """NOTIF-41: both are 404."""
    google.answers = [UNREGISTERED, fcm_error(404, "NOT_FOUND", "Project not found.")]
    assert sender.send(TOKEN, fake_message(ANDROID)).fate is Fate.UNREGISTERED
    assert sender.send(TOKEN, fake_message(ANDROID)).fate is Fate.CREDENTIALS


@pytest.mark.parametrize(
    ("answer", "fate"),
    [
        (fcm_error(403, "PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH"), Fate.FAILED),
        (fcm_error(400, "INVALID_ARGUMENT", "Bad token", "INVALID_ARGUMENT"), Fate.FAILED),
        (fcm_error(401, "UNAUTHENTICATED", "APNs certificate", "THIRD_PARTY_AUTH_ERROR"), Fate.CREDENTIALS),
        (fcm_error(401, "UNAUTHENTICATED", "Invalid credentials"), Fate.CREDENTIALS),
        (fcm_error(403, "PERMISSION_DENIED", "The API is disabled"), Fate.CREDENTIALS),
        (fcm_error(503, "UNAVAILABLE", "Overloaded", "UNAVAILABLE"), Fate.UNREACHABLE),
        (fcm_error(500, "INTERNAL", "Oh", "INTERNAL"), Fate.UNREACHABLE),
        (fcm_error(418, "TEAPOT", "Short and stout"), Fate.FAILED),
        (Answer(502, "<html><head><title>502</title></head><body>nginx</body></html>"), Fate.UNREACHABLE),
        (Answer(200, "<!DOCTYPE html><title>Log in to the guest network</title>"), Fate.UNREACHABLE),
        (Answer(302, "", {"Location": "http://127.0.0.1:1/"}), Fate.UNREACHABLE),
        (Answer(500, '{"error": ["odd"]}'), Fate.UNREACHABLE),
    ],
)
def test_each_failure_has_its_class_and_a_clean_reason(
    google: FakeGoogle, sender: FcmSender, answer: Answer, fate: Fate
):
    """NOTIF-42: one request, no retries of the library's own."""
    google.answers = [answer]
    outcome = sender.send(TOKEN, fake_message(ANDROID))
    assert outcome.fate is fate
    assert outcome.reason and "<" not in outcome.reason
    assert ("<" in answer.body) == (outcome.reason == HTML_PAGE)
    assert google.sends == 1


def test_a_quota_tells_how_long_to_wait_and_nobody_sleeps(google: FakeGoogle, sender: FcmSender):
    """NOTIF-43."""
    google.answers = [fcm_error(429, "RESOURCE_EXHAUSTED", "Quota exceeded", "QUOTA_EXCEEDED", Retry_After="61")]
    assert sender.send(TOKEN, fake_message(IOS)) == Outcome(Fate.QUOTA, "QUOTA_EXCEEDED: Quota exceeded", 61)
    assert google.sends == 1
    google.answers = [fcm_error(429, "RESOURCE_EXHAUSTED", "Quota exceeded", Retry_After="Wed, 21 Oct 2026 07:28 GMT")]
    outcome = sender.send(TOKEN, fake_message(IOS))
    assert (outcome.fate, outcome.retry_after_seconds) == (Fate.QUOTA, 0), "a date in the past is now"


def test_credentials_that_google_does_not_know_are_told_as_such(google: FakeGoogle):
    """NOTIF-42: without the key in the reason."""
    account = google.service_account | {"client_email": "somebody@else.example"}
    outcome = FcmSender(account, google.url).send(TOKEN, fake_message(ANDROID))
    assert outcome.fate is Fate.CREDENTIALS
    assert outcome.reason == "The push service does not accept this server's credentials: invalid_grant: Bad request."
    google.token_answers = [Answer(200, "<html>proxy</html>"), Answer(403, "<html>proxy</html>")]
    for fate in (Fate.UNREACHABLE, Fate.CREDENTIALS):
        outcome = FcmSender(google.service_account, google.url).send(TOKEN, fake_message(ANDROID))
        assert outcome.fate is fate and "<" not in outcome.reason


def test_an_access_token_that_google_withdrew_is_asked_for_anew(google: FakeGoogle, sender: FcmSender):
    """NOTIF-42: one message is told of it, the next goes through."""
    fates = [sender.send(TOKEN, fake_message(ANDROID)).fate]
    google.access_tokens.clear()
    fates += [sender.send(TOKEN, fake_message(ANDROID)).fate for _ in range(2)]
    assert fates == [Fate.DELIVERED, Fate.CREDENTIALS, Fate.DELIVERED]


def test_a_service_that_is_down_or_silent_is_unreachable_soon(
    google: FakeGoogle, sender: FcmSender, monkeypatch: pytest.MonkeyPatch
):
    """NOTIF-42."""
    monkeypatch.setattr(core.notifications.senders.fcm, "READ_SECONDS", 0.2)
    assert sender.send(TOKEN, fake_message(ANDROID)).fate is Fate.DELIVERED
    google.is_silent = True
    assert sender.send(TOKEN, fake_message(ANDROID)).fate is Fate.UNREACHABLE
    assert FcmSender(google.service_account, google.url).send(TOKEN, fake_message(ANDROID)).fate is Fate.UNREACHABLE
    google.is_silent, google.token_answers = False, [Answer(503, "")] * 3
    outcome = FcmSender(google.service_account, google.url).send(TOKEN, fake_message(ANDROID))
    assert outcome == Outcome(Fate.UNREACHABLE, "The push service does not answer.")
    nobody = FcmSender({**google.service_account, "token_uri": "http://127.0.0.1:9/token"}, google.url)
    assert nobody.send(TOKEN, fake_message(ANDROID)).fate is Fate.UNREACHABLE


def test_nothing_that_is_secret_is_logged(google: FakeGoogle, sender: FcmSender, caplog: pytest.LogCaptureFixture):
    """NOTIF-42: neither tokens nor keys nor what a message says."""
    caplog.set_level(logging.DEBUG)
    google.answers = [fcm_error(400, "INVALID_ARGUMENT", f"no such token {TOKEN}", "INVALID_ARGUMENT")]
    outcome = sender.send(TOKEN, text_message(ANDROID, "a private word"))
    assert sender.send(TOKEN, text_message(IOS, "a private word")).fate is Fate.DELIVERED
    assert outcome.reason == "INVALID_ARGUMENT: no such token …"
    for secret in (TOKEN, "a private word", *google.access_tokens, google.service_account["private_key"][40:80]):
        assert secret not in caplog.text


def test_reasons_are_one_short_line():
    """NOTIF-42."""
    assert cleaned("a\n  b\tc\x00 token-1", "token-1") == "a b c …"
    assert len(cleaned("x" * 5_000)) == 200
    assert cleaned("  <!DOCTYPE HTML><p>x") == HTML_PAGE == "Unexpected HTTP response from push notification service."
    assert cleaned("1 < 2") == "1 < 2"
    assert [retry_after(v) for v in ("7", " 7 ", "-1", "1.5", "٣", "", None)] == [7, 7, None, None, None, None, None]
    assert retry_after("Wed, 21 Oct 2026 07:28:00 GMT", datetime(2026, 10, 21, 7, 26, tzinfo=UTC)) == 120
