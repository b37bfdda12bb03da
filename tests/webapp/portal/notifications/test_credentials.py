"""The page of push credentials (PORTAL-270 to PORTAL-273)."""

import io
import json
import plistlib

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from core.database import db
from core.models import CredentialKind, PushServiceState, PushToken
from core.notifications.credentials import apns_key, service_account, uploaded_credentials
from core.notifications.described import can_push
from tests.core.notifications.test_credentials import APPLE, PLIST, SERVICES, as_json
from tests.support.factories import Factory
from tests.support.fakes.google import fcm_error, running_google
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")
PAGE = "/manage_firebase_credentials"


@pytest.fixture
def visitor(app: Flask, factory: Factory) -> Visitor:
    return Visitor(app, factory.researcher("mlopez", is_site_admin=True))


def upload(visitor: Visitor, name: str, data: bytes, **fields: str) -> TestResponse:
    form = {name: (io.BytesIO(data), "file"), "csrf_token": visitor.token(), **fields}
    return visitor.open(f"/upload_{name}", method="POST", data=form, content_type="multipart/form-data")


def test_a_service_account_is_stored_described_replaced_and_removed(visitor: Visitor):
    """PORTAL-270, PORTAL-272, PORTAL-273, NOTIF-33: what it is for, when and by whom; never its key."""
    assert "Not set up" in visitor.get(PAGE).text and not can_push(db.session())
    with running_google() as google:
        account = google.service_account
    assert upload(visitor, "backend_firebase_cert", as_json(account)).status_code == 302
    page = visitor.get(PAGE).text
    assert account["project_id"] in page and "by mlopez" in page and "PRIVATE KEY" not in page and "Set up" in page
    assert can_push(db.session())
    other = account | {"project_id": "another-project"}
    assert upload(visitor, "backend_firebase_cert", as_json(other)).status_code == 302
    assert "another-project" in visitor.get(PAGE).text
    for _ in range(2):  # also when there is none
        assert visitor.post("/delete_backend_firebase_cert").location == PAGE
    assert service_account(db.session()) is None


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("backend_firebase_cert", b"", "Choose a file."),
        ("backend_firebase_cert", b"no JSON", "not a JSON file"),
        ("backend_firebase_cert", as_json(SERVICES), "not a service account"),
        ("android_firebase_cert", b"{}", "google-services.json"),
        ("ios_firebase_cert", b"\xff\xfe", "property list"),
        ("apns_key", b"no key", "key id"),
        ("apns_key", "\u00fc".encode(), "Apple&#39;s .p8 keys"),
    ],
)
def test_a_file_that_is_refused_changes_nothing_and_says_why(visitor: Visitor, name: str, data: bytes, reason: str):
    """NOTIF-33, PORTAL-270."""
    answer = upload(visitor, name, data)
    assert answer.status_code == 422 and reason in answer.text
    assert uploaded_credentials(db.session()) == {}


def test_files_of_both_apps_are_stored_and_an_incomplete_plist_is_warned_of(visitor: Visitor):
    """PORTAL-272, PHONE-37."""
    assert upload(visitor, "android_firebase_cert", as_json(SERVICES)).status_code == 302
    assert upload(visitor, "ios_firebase_cert", plistlib.dumps({"API_KEY": "k", "PROJECT_ID": "p"})).status_code == 302
    assert "phones are not given it" in visitor.get(PAGE).text
    assert upload(visitor, "ios_firebase_cert", plistlib.dumps(PLIST)).status_code == 302
    assert "phones are not given it" not in visitor.get(PAGE).text
    assert set(uploaded_credentials(db.session())) == {CredentialKind.ANDROID, CredentialKind.IOS}
    assert not can_push(db.session())  # these two send nothing


def test_apples_key_is_stored_with_what_belongs_to_it(visitor: Visitor):
    """NOTIF-34, PORTAL-273."""
    key = json.loads(as_json(APPLE))
    fields = {name: key[name] for name in ("key_id", "team_id", "topic")}
    refused = upload(visitor, "apns_key", key["key"].encode(), **(fields | {"team_id": "short"}))
    assert refused.status_code == 422 and "ten capital letters" in refused.text and fields["topic"] in refused.text
    assert upload(visitor, "apns_key", key["key"].encode(), **fields, is_sandbox="on").status_code == 302
    stored = apns_key(db.session())
    assert stored is not None and (stored.topic, stored.is_sandbox) == (fields["topic"], True)
    assert "sandbox" in visitor.get(PAGE).text


def test_google_is_asked_whether_it_takes_the_credentials(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
):
    """NOTIF-33: without a phone; a refusal is said with its reason, and ends when it is mended."""
    with running_google() as google:
        monkeypatch.setenv("FCM_URL", google.url)
        app: Flask = request.getfixturevalue("app")
        factory: Factory = request.getfixturevalue("factory")
        visitor = Visitor(app, factory.researcher("mlopez", is_site_admin=True))
        visitor.post("/check_fcm")
        assert "no credentials to try" in visitor.get(PAGE).text
        upload(visitor, "backend_firebase_cert", as_json(google.service_account))
        google.answers = [fcm_error(403, "PERMISSION_DENIED", "The API is disabled")]
        visitor.post("/check_fcm")
        assert "refuses these credentials: " in visitor.get(PAGE).text
        assert db.session.get_one(PushServiceState, "fcm").refused_at is not None
        google.answers = [fcm_error(400, "INVALID_ARGUMENT", "Not a valid token", "INVALID_ARGUMENT")]
        visitor.post("/check_fcm")
        assert "takes these credentials" in visitor.get(PAGE).text
        db.session.expire_all()
        assert db.session.get_one(PushServiceState, "fcm").refused_at is None


def test_a_test_message_goes_to_a_phone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest):
    """The test message button: said what came of it, written into the ledger and the audit trail."""
    with running_google() as google:
        monkeypatch.setenv("FCM_URL", google.url)
        app: Flask = request.getfixturevalue("app")
        factory: Factory = request.getfixturevalue("factory")
        visitor = Visitor(app, factory.researcher("mlopez", is_site_admin=True))
        upload(visitor, "backend_firebase_cert", as_json(google.service_account))
        person = factory.participant(factory.study())
        refused = visitor.post("/send_test_message", patient_id=person.patient_id)
        assert refused.status_code == 422 and "no push token" in refused.text
        db.session.add(PushToken(participant_id=person.id, service="fcm", token="the-token"))
        db.session.commit()
        visitor.post("/send_test_message", patient_id=f" {person.patient_id} ")
        assert "accepted the test message" in visitor.get(PAGE).text
        assert [message["token"] for message in google.messages] == ["the-token"]
        assert "test message" in str(google.messages[0])
        for wrong in ("", "nobody12"):
            assert "no participant with this id" in visitor.post("/send_test_message", patient_id=wrong).text
