"""Registering a phone (PHONE-31 to PHONE-38), as the apps' own bodies ask for it."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import urllib3
from flask import Flask

from core.audit import COMMAND_LINE
from core.crypto.passwords import device_hash, verify_password
from core.database import db
from core.models import Participant, QueuedUpload, Study
from core.models.participant import participant_with_study
from core.participants.consents import consents_of
from core.studies.settings_changes import save_app_settings
from tests.support.factories import PASSWORD, Factory, phone_fields
from tests.support.paths import VECTORS

PATIENT = "ab3kz9qw"
MANIFEST = json.loads((VECTORS / "device_files" / "manifest.json").read_text())
BODIES = {body["id"]: body for body in MANIFEST["bodies"]}


@pytest.fixture
def participant(factory: Factory) -> Participant:
    return factory.participant(factory.study("A study 🎈"), PATIENT, platform=None)


def post_body(app: Flask, name: str):
    body = BODIES[name]
    data = (VECTORS / "device_files" / body["body_file"]).read_bytes()
    return app.test_client().post(body["path"], data=data, content_type=body["content_type"])


@pytest.fixture(autouse=True)
def vector_password(request: pytest.FixtureRequest) -> None:
    """The vectors' bodies carry a device hash of their own: the participant's hash is made from it."""
    if "participant" in request.fixturenames:
        from core.crypto.passwords import hash_device_hash

        participant = request.getfixturevalue("participant")
        participant.password_hash = hash_device_hash(BODIES["android_register"]["fields"]["password"])
        db.session.commit()


@pytest.mark.parametrize(("name", "platform"), [("android_register", "ANDROID"), ("ios_register", "IOS")])
def test_a_phone_registers_with_its_apps_own_body(app: Flask, participant: Participant, name: str, platform: str):
    """PHONE-7, PHONE-11, PHONE-33, PHONE-36, PHONE-92."""
    answer = post_body(app, name)
    assert answer.status_code == 200
    assert "charset=utf-8" in answer.content_type
    assert answer.data.isascii()
    body = json.loads(answer.data.decode("latin-1"))
    assert list(body) == [
        "client_public_key",
        "device_settings",
        "ios_plist",
        "android_firebase_json",
        "study_name",
        "study_id",
    ]
    assert body["client_public_key"] == (VECTORS / "device_files" / "test_client_public_key.txt").read_text()
    assert body["client_public_key"].startswith("MIIBI")
    assert body["study_name"] == "A study 🎈"
    assert participant.os_type == platform
    assert participant.device_id == BODIES[name]["fields"]["device_id"]
    assert participant.activity.first_registered_at == participant.activity.last_registered_at
    new_password = device_hash(BODIES[name]["fields"]["new_password"])
    assert verify_password(new_password, participant.password_hash)


def test_identifiers_are_kept_exactly_as_specified(app: Flask, factory: Factory, participant: Participant):
    """PHONE-34: no escaping, no final line feed; an iOS model adds one comma; the queue row has the platform before."""
    post_body(app, "ios_register")
    row = db.session.scalars(db.select(QueuedUpload)).one()
    assert row.os_type is None
    contents = factory.store(db.session.get(Study, participant.study_id)).read(row.path)[0]
    assert contents == (
        b"patient_id,MAC,phone_number,device_id,device_os,os_version,product,brand,hardware_id,manufacturer,model,"
        b"beiwe_version\n"
        b"ab3kz9qw,none,NOT_SUPPLIED,8B6F2D0A-5C1E-4E6F-9A43-0B7C1D2E3F40,iOS,17.5.1,iPhone,apple,none,apple,"
        b"iPhone15,2,2024.30"
    )


def test_registering_twice_within_a_second_works_under_easy_enrolment(app: Flask, participant: Participant):
    """PHONE-34, PHONE-35, PHONE-38."""
    participant.has_easy_enrollment = True
    db.session.commit()
    assert [post_body(app, "android_register").status_code for _ in range(2)] == [200, 200]
    assert db.session.scalar(db.select(db.func.count(QueuedUpload.id))) == 2


def test_the_second_call_with_the_temporary_password_is_refused_and_undoes_nothing(
    app: Flask, participant: Participant
):
    """PHONE-38."""
    assert post_body(app, "android_register").status_code == 200
    hashed = participant.password_hash
    assert post_body(app, "android_register").status_code == 403
    db.session.refresh(participant)
    assert participant.password_hash == hashed


def test_registration_without_its_fields_is_400_and_counts_as_an_attempt(app: Flask, factory: Factory):
    """PHONE-32 steps 2 and 3."""
    participant = factory.participant(platform=None)
    answer = app.test_client().post("/register_user", data=phone_fields(participant, new_password="abcdef"))
    assert (answer.status_code, answer.data) == (400, b"")
    db.session.refresh(participant.activity)
    assert participant.activity.first_registered_at is not None
    assert participant.os_type is None


def test_a_retired_participant_cannot_register_and_nothing_changes(app: Flask, factory: Factory):
    """PHONE-32 step 4."""
    participant = factory.participant(platform=None, retired_at=db.func.now())
    fields = phone_fields(participant, new_password="abcdef", phone_number="x", device_id="another")
    answer = app.test_client().post("/register_user", data=fields)
    assert (answer.status_code, answer.data) == (400, b"")
    participant = participant_with_study(db.session(), participant.patient_id)
    assert participant.device_id == ""
    assert participant.activity.first_registered_at is None


def test_a_participant_registers_anew_from_another_platform(app: Flask, factory: Factory):
    """PHONE-33: key and first registration stay, platform and password change."""
    participant = factory.participant(platform=None)
    client = app.test_client()
    fields = phone_fields(participant, new_password=PASSWORD, phone_number="x")
    first = client.post("/register_user", data=fields).json
    at = participant.activity.first_registered_at
    second = client.post("/register_user/ios/", data=fields).json
    assert first["client_public_key"] == second["client_public_key"]
    assert participant.os_type == "IOS"
    assert participant.activity.first_registered_at == at


def test_each_registration_is_remembered_with_the_consent_version_that_was_sent(app: Flask, factory: Factory):
    """CLAR-31: by number, time and author; a refused registration was sent none."""
    participant = factory.participant(platform=None)
    fields = phone_fields(participant, new_password=PASSWORD, phone_number="x")
    assert app.test_client().post("/register_user", data=fields | {"password": "wrong"}).status_code == 403
    assert consents_of(db.session(), participant.id) == []
    assert app.test_client().post("/register_user", data=fields).status_code == 200
    now = datetime.now(UTC)
    save_app_settings(db.session(), participant.study, {"consent_form_text": "New"}, now, actor=COMMAND_LINE)
    db.session.commit()
    answer = app.test_client().post("/register_user", data=fields).json
    assert answer["device_settings"]["consent_form_text"] == "New"
    sent = consents_of(db.session(), participant.id)
    assert [(consent.number, consent.author_name) for consent in sent] == [(2, "command line"), (1, "server")]
    assert sent[0].sent_at == participant.activity.last_registered_at


def test_the_same_registration_four_times_at_once_fails_none(server: str, participant: Participant):
    """PHONE-34, PHONE-80: a phone's HTTP stack repeats requests by itself."""
    participant.has_easy_enrollment = True
    db.session.commit()
    body = BODIES["android_register"]
    data = (VECTORS / "device_files" / body["body_file"]).read_bytes()
    pool = urllib3.PoolManager(maxsize=4)

    def post(_: int) -> int:
        headers = {"Content-Type": body["content_type"]}
        return pool.request("POST", server + body["path"], body=data, headers=headers, timeout=30).status

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(post, range(4))) == [200] * 4
    paths = db.session.scalars(db.select(QueuedUpload.path)).all()
    assert len(set(paths)) == len(paths) >= 1
