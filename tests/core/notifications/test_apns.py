"""Sending by Apple directly (NOTIF-34), and what Apple's refusals mean (NOTIF-41, NOTIF-42, NOTIF-43)."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask

import core.notifications.senders.apns
from core.audit import SERVER
from core.database import db
from core.models import CredentialKind, PushToken
from core.notifications.credential_files import ApnsKey
from core.notifications.credentials import remove_credential, store_credential
from core.notifications.delivery import NOT_CONFIGURED, Route, route_to
from core.notifications.messages import survey_message
from core.notifications.outcomes import Fate, Outcome
from core.notifications.senders.apns import ApnsSender
from core.notifications.senders.fcm import FcmSender
from core.streams import Platform
from tests.core.notifications.test_credentials import ACCOUNT, APPLE, NOW, as_json, pem
from tests.support.factories import Factory
from tests.support.fakes.apple import KEY, KEY_ID, TEAM_ID, TOPIC, FakeApple, running_apple

TOKEN = "0123456789abcdef" * 4
OURS = ApnsKey(pem(KEY), KEY_ID, TEAM_ID, TOPIC)
MESSAGE = survey_message(Platform.IOS, {"a-survey": ["u1"]}, NOW)


@pytest.fixture
def apple(tmp_path: Path) -> Iterator[FakeApple]:
    with running_apple(tmp_path) as fake:
        yield fake


def test_the_payload_is_what_firebase_would_have_delivered(apple: FakeApple):
    """NOTIF-34, NOTIF-31: an alert of priority 10 for the topic, the data at top level."""
    assert ApnsSender(OURS, apple.gateway).send(TOKEN, MESSAGE).fate is Fate.DELIVERED
    path, headers, payload = apple.pushes[0]
    assert path == f"/3/device/{TOKEN}"
    assert [headers[f"apns-{name}"] for name in ("topic", "push-type", "priority")] == [TOPIC, "alert", "10"]
    alert = {"title": "Beiwe", "body": "You have a survey to take."}
    assert payload == {**MESSAGE.data, "aps": {"alert": alert, "sound": "default"}}


def test_one_authorization_serves_many_messages(apple: FakeApple):
    """NOTIF-34: Apple refuses those who sign new ones too often."""
    for _ in range(3):
        assert ApnsSender(OURS, apple.gateway).send(TOKEN, MESSAGE).fate is Fate.DELIVERED
    assert len(apple.authorizations) == 1


@pytest.mark.parametrize(
    ("status", "reason", "fate"),
    [
        (410, "Unregistered", Fate.UNREGISTERED),
        (400, "BadDeviceToken", Fate.UNREGISTERED),
        (400, "DeviceTokenNotForTopic", Fate.UNREGISTERED),
        (400, "TopicDisallowed", Fate.CREDENTIALS),
        (403, "ExpiredProviderToken", Fate.CREDENTIALS),
        (413, "PayloadTooLarge", Fate.FAILED),
        (429, "TooManyRequests", Fate.FAILED),
        (429, "TooManyProviderTokenUpdates", Fate.QUOTA),
        (500, "InternalServerError", Fate.UNREACHABLE),
        (503, "Shutdown", Fate.UNREACHABLE),
    ],
)
def test_each_refusal_has_its_class(apple: FakeApple, status: int, reason: str, fate: Fate):
    """NOTIF-41, NOTIF-42, NOTIF-43."""
    apple.refusals = [(status, reason)]
    assert ApnsSender(OURS, apple.gateway).send(TOKEN, MESSAGE) == Outcome(fate, reason)


def test_a_key_of_another_and_a_token_that_is_none(apple: FakeApple):
    """NOTIF-42, NOTIF-41: what is no hex never gets into the request."""
    other = replace(OURS, key=pem(ec.generate_private_key(ec.SECP256R1())))
    assert ApnsSender(other, apple.gateway).send(TOKEN, MESSAGE).fate is Fate.CREDENTIALS
    for token in ("", "x", "../" + TOKEN, TOKEN + "\r\n", "٣" * 64):
        assert ApnsSender(OURS, apple.gateway).send(token, MESSAGE).fate is Fate.UNREGISTERED
    assert apple.pushes == []


def test_a_service_that_cannot_be_reached_or_says_nothing(apple: FakeApple, monkeypatch: pytest.MonkeyPatch):
    """NOTIF-42."""
    nobody = replace(apple.gateway, port=9)
    assert ApnsSender(OURS, nobody).send(TOKEN, MESSAGE) == Outcome(
        Fate.UNREACHABLE, "The push service does not answer."
    )
    monkeypatch.setattr(core.notifications.senders.apns, "SEND_SECONDS", 0.3)
    apple.refusals = [(500, "")]  # without a body, which the library waits for
    assert ApnsSender(OURS, apple.gateway).send(TOKEN, MESSAGE).fate is Fate.UNREACHABLE


def test_nothing_that_is_secret_is_logged(apple: FakeApple, caplog: pytest.LogCaptureFixture):
    """NOTIF-42."""
    caplog.set_level(logging.DEBUG)
    apple.refusals = [(410, "Unregistered")]
    ApnsSender(OURS, apple.gateway).send(TOKEN, MESSAGE)
    ApnsSender(OURS, apple.gateway).send(TOKEN, MESSAGE)
    for secret in (TOKEN, "u1", *apple.authorizations):
        assert secret not in caplog.text


def test_apple_is_preferred_and_either_service_will_do(app: Flask, factory: Factory):
    """NOTIF-34: a token counts only with the credentials of its service."""
    participant = factory.participant(platform=Platform.IOS)
    for service in ("fcm", "apns"):
        db.session.add(PushToken(participant_id=participant.id, service=service, token=f"{service}-token"))

    def way() -> tuple[type, str] | Outcome:
        route = route_to(db.session(), participant.id, "http://127.0.0.1:9")
        return (type(route.sender), route.token) if isinstance(route, Route) else route

    assert way() == NOT_CONFIGURED
    store_credential(db.session(), CredentialKind.BACKEND, as_json(ACCOUNT), NOW, actor=SERVER)
    assert way() == (FcmSender, "fcm-token")
    store_credential(db.session(), CredentialKind.APNS, as_json(APPLE), NOW, actor=SERVER)
    assert way() == (ApnsSender, "apns-token")
    remove_credential(db.session(), CredentialKind.BACKEND, actor=SERVER)
    assert way() == (ApnsSender, "apns-token")
