"""Pushes that a phone asks for itself (PHONE-61), and the Firebase files that registration hands out (PHONE-36)."""

import json
import plistlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask
from werkzeug.test import TestResponse

import core.notifications.delivery
from core.audit import SERVER
from core.database import db
from core.models import CredentialKind, Participant, PushToken, SurveyType
from core.notifications.credentials import store_credential
from core.streams import Platform
from tests.core.notifications.test_credentials import APPLE, PLIST, SERVICES, as_json
from tests.support.factories import Factory, phone_fields
from tests.support.fakes.google import UNREGISTERED, Answer, FakeGoogle, fcm_error, running_google

PATHS = ["/test_notification", "/send_survey_notification"]
both = pytest.mark.parametrize("path", PATHS)


@pytest.fixture(autouse=True)
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGoogle]:
    """Stands in for Google; must be there before the application reads its settings."""
    with running_google() as fake:
        monkeypatch.setenv("FCM_URL", fake.url)
        yield fake


def store(kind: CredentialKind, data: bytes) -> None:
    store_credential(db.session(), kind, data, datetime.now(UTC), actor=SERVER)
    db.session.commit()


def reachable(factory: Factory, google: FakeGoogle, platform: Platform = Platform.ANDROID) -> Participant:
    """A participant with a token and a survey, on a server that has credentials."""
    store(CredentialKind.BACKEND, as_json(google.service_account))
    participant = factory.participant(platform=platform)
    factory.survey(participant.study)
    db.session.add(PushToken(participant_id=participant.id, service="fcm", token="the-token"))
    db.session.commit()
    return participant


def ask(app: Flask, participant: Participant, path: str, **fields: str) -> TestResponse:
    return app.test_client().post(path, data=phone_fields(participant, **fields))


def said(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.text


def test_a_greeting_reaches_the_phone_that_asks(google: FakeGoogle, app: Flask, factory: Factory):
    """PHONE-61, NOTIF-71: with and without slash, 204 and nothing else."""
    participant = reachable(factory, google)
    for path in ("/test_notification", "/test_notification/"):
        answer = ask(app, participant, path)
        assert said(answer) == (204, "")
    assert [message["token"] for message in google.messages] == ["the-token"] * 2
    data = google.messages[0]["android"]["data"]
    assert data["type"] == "fake" and data["content"]


def test_up_to_four_surveys_that_phones_know_are_pushed(google: FakeGoogle, app: Flask, factory: Factory):
    """PHONE-61: neither deleted ones nor those of other studies and dead types."""
    participant = reachable(factory, google, Platform.IOS)
    factory.survey(participant.study, deleted_at=datetime.now(UTC))
    factory.survey(factory.study())
    image = factory.survey(participant.study)
    image.survey_type = "image_survey"
    wanted = [db.session.scalar(db.text("SELECT object_id FROM surveys ORDER BY id LIMIT 1"))]
    wanted += [factory.survey(participant.study, kind).object_id for kind in [*SurveyType] * 2]
    assert ask(app, participant, "/send_survey_notification").status_code == 204
    message = google.messages[0]
    assert message["data"]["type"] == "survey" and set(message["data"]) == {"type", "survey_ids", "sent_time"}
    assert json.loads(message["data"]["survey_ids"]) == wanted[:4]
    datetime.strptime(message["data"]["sent_time"], "%Y-%m-%dT%H:%M:%S").astimezone()
    assert message["notification"] == {"title": "Beiwe", "body": "You have surveys to take."}


@both
def test_without_token_or_credentials_the_reason_is_told(google: FakeGoogle, app: Flask, factory: Factory, path: str):
    """PHONE-61: 400 with a reason. NOTIF-33: nothing is sent without credentials."""
    participant = factory.participant()
    assert said(ask(app, participant, path)) == (400, "The phone has told this server no push token.")
    token = PushToken(participant_id=participant.id, service="fcm", token="the-token")
    db.session.add(token)
    db.session.commit()
    no_credentials = (400, "This server has no credentials for sending push notifications.")
    assert said(ask(app, participant, path)) == no_credentials
    store(CredentialKind.APNS, as_json(APPLE))
    store(CredentialKind.ANDROID, as_json(SERVICES))
    assert said(ask(app, participant, path)) == no_credentials
    token.retired_at = datetime.now(UTC)
    db.session.commit()
    assert ask(app, participant, path).status_code == 400
    assert google.sends == 0


def test_what_cannot_be_pushed_is_told(google: FakeGoogle, app: Flask, factory: Factory):
    """PHONE-61: a study without surveys, a phone of no known platform."""
    participant = reachable(factory, google)
    db.session.execute(db.text("UPDATE surveys SET deleted_at = now()"))
    db.session.commit()
    assert said(ask(app, participant, "/send_survey_notification")) == (400, "The study has no active surveys.")
    participant.os_type = None
    db.session.commit()
    assert ask(app, participant, "/test_notification").status_code == 400
    assert google.sends == 0


@both
def test_who_may_ask(google: FakeGoogle, app: Flask, factory: Factory, path: str):
    """PHONE-61, PHONE-20: the password counts, refusals are 403 and empty; PHONE-6: nothing but POST."""
    participant = reachable(factory, google)
    for fields in ({"password": "wrong"}, {"patient_id": "nobody11"}, {"device_id": ""}):
        assert said(ask(app, participant, path, **fields)) == (403, "")
    assert said(app.test_client().post(path)) == (403, "")
    for form in (path, path + "/"):
        assert app.test_client().get(form, query_string=phone_fields(participant)).status_code == 405
    assert google.sends == 0
    participant.retired_at = datetime.now(UTC)
    db.session.commit()
    assert ask(app, participant, path).status_code == 204


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (UNREGISTERED, 400),
        (fcm_error(403, "PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH"), 502),
        (fcm_error(401, "UNAUTHENTICATED", "No certificate", "THIRD_PARTY_AUTH_ERROR"), 502),
        (fcm_error(503, "UNAVAILABLE", "Overloaded", "UNAVAILABLE"), 503),
        (fcm_error(429, "RESOURCE_EXHAUSTED", "Quota exceeded", "QUOTA_EXCEEDED", Retry_After="17"), 503),
        (Answer(500, "<html>oops</html>"), 503),
    ],
)
def test_a_failing_service_is_no_failure_of_ours(
    google: FakeGoogle, app: Flask, factory: Factory, answer: Answer, status: int
):
    """PHONE-61: 502 or 503 with a reason, never a 500. The token is left to the scheduled runs (NOTIF-41)."""
    participant = reachable(factory, google)
    google.answers = [answer]
    response = ask(app, participant, "/test_notification")
    assert response.status_code == status and response.text and "<" not in response.text
    assert response.content_type == "text/plain; charset=utf-8"
    if status == 503:
        assert response.headers["Retry-After"] == answer.headers.get("Retry-After", "60")
    assert db.session.scalar(db.select(PushToken.retired_at)) is None


def test_the_answer_does_not_wait_for_a_silent_service(
    google: FakeGoogle, app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """PHONE-13, PHONE-61: a phone hangs up after 15 seconds."""
    assert core.notifications.delivery.SECONDS < 12
    participant = reachable(factory, google)
    google.is_silent = True
    monkeypatch.setattr(core.notifications.delivery, "SECONDS", 0.2)
    started = time.monotonic()
    assert said(ask(app, participant, "/test_notification")) == (503, "The push service does not answer.")
    assert time.monotonic() - started < 2


def test_no_transaction_is_open_while_a_message_is_on_its_way(
    google: FakeGoogle, app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """PHONE-17: a slow service holds neither a connection nor the participant's row."""
    participant = reachable(factory, google)
    seen = []
    send = google.send

    def watch(*args: str) -> Answer:
        with db.engine.connect() as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
            seen.append(connection.scalar(db.text(query)))
        return send(*args)

    def watched(*args: str) -> Answer:
        with app.app_context():
            return watch(*args)

    monkeypatch.setattr(google, "send", watched)
    assert ask(app, participant, "/test_notification").status_code == 204
    assert seen == [0]


def test_registration_hands_out_the_firebase_file_of_the_platform(app: Flask, factory: Factory):
    """PHONE-36, PHONE-37: null to the other platform, while there is none, and when it is incomplete."""

    def files(path: str) -> tuple[object, object]:
        participant = factory.participant()
        fields = phone_fields(participant, phone_number="1", new_password="secret1")
        answer = app.test_client().post(path, data=fields).get_json()
        return answer["ios_plist"], answer["android_firebase_json"]

    assert files("/register_user") == files("/register_user/ios/") == (None, None)
    store(CredentialKind.ANDROID, as_json(SERVICES))
    store(CredentialKind.IOS, plistlib.dumps(PLIST | {"WHEN": datetime(2026, 1, 1)}))
    assert files("/register_user/") == (None, SERVICES)
    assert files("/register_user/ios") == (PLIST | {"WHEN": "2026-01-01T00:00:00"}, None)
    store(CredentialKind.IOS, plistlib.dumps({"API_KEY": "alone"}))
    assert files("/register_user/ios") == (None, None)
