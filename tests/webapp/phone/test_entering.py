"""Authentication, and the smaller endpoints (PHONE-1 to PHONE-30, PHONE-40 to PHONE-59)."""

import json
from urllib.parse import quote

import pytest
import urllib3
from flask import Flask

from core.crypto.passwords import device_hash, verify_password
from core.database import db
from core.models import Heartbeat, SurveyType
from core.models.app_settings import APP_SETTINGS
from tests.support.factories import PASSWORD, Factory, phone_fields

ENDPOINTS = (
    "/register_user",
    "/upload",
    "/get_latest_device_settings",
    "/download_surveys",
    "/set_password",
    "/mobile-heartbeat",
    "/set_fcm_token",
)


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_an_unknown_id_is_refused_with_403_and_401_to_ios_without_a_redirect(app: Flask, path: str, slash: str):
    """PHONE-1, PHONE-2, PHONE-5, PHONE-20."""
    fields = {"patient_id": "nobody11", "password": "x", "device_id": "y"}
    for end, status in (("", 403), ("/ios", 401)):
        answer = app.test_client().post(path + end + slash, data=fields)
        assert (answer.status_code, answer.data) == (status, b"")
        assert "Location" not in answer.headers
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("missing", ["patient_id", "password", "device_id"])
def test_all_three_credentials_must_be_there(app: Flask, factory: Factory, missing: str):
    """PHONE-21 step 1; an empty device id counts as missing (PHONE-22)."""
    fields = phone_fields(factory.participant())
    for broken in ({k: v for k, v in fields.items() if k != missing}, fields | {"device_id": ""}):
        assert app.test_client().post("/mobile-heartbeat", data=broken).status_code == 403
    assert app.test_client().get("/upload").status_code == 403


def test_the_password_is_compared_only_where_it_should_be(app: Flask, factory: Factory):
    """PHONE-20 table."""
    participant = factory.participant()
    wrong = phone_fields(participant, new_password="abcdef") | {"password": "wrong", "device_id": "other"}
    client = app.test_client()
    assert client.post("/set_password", data=wrong).status_code == 403
    db.session.refresh(participant)
    assert participant.device_id == "a device"
    assert client.post("/mobile-heartbeat", data=wrong).status_code == 200
    db.session.refresh(participant)
    assert participant.device_id == "other"  # PHONE-22


def test_participants_that_are_purged_or_wait_for_it_are_refused_everywhere(app: Flask, factory: Factory):
    """PHONE-21 step 3, PHONE-67."""
    for columns in ({"purge_asked_at": db.func.now()}, {"purged_at": db.func.now()}):
        fields = phone_fields(factory.participant(**columns))
        for path in ENDPOINTS:
            assert app.test_client().post(path, data=fields).status_code == 403


def test_ids_are_looked_up_trimmed_and_in_lower_case(app: Flask, factory: Factory):
    """PHONE-30."""
    fields = phone_fields(factory.participant())
    fields["patient_id"] = f" {fields['patient_id'].upper()} "
    assert app.test_client().post("/mobile-heartbeat", data=fields).status_code == 200


def test_an_authorization_header_is_ignored(app: Flask, factory: Factory):
    """PHONE-25."""
    fields = phone_fields(factory.participant())
    answer = app.test_client().post("/mobile-heartbeat", data=fields, headers={"Authorization": "Basic x"})
    assert answer.status_code == 200


def test_device_settings_hold_every_key_in_order_with_its_type(app: Flask, factory: Factory):
    """PHONE-40, PHONE-41, PHONE-42."""
    participant = factory.participant()
    answer = app.test_client().post("/get_latest_device_settings", data=phone_fields(participant))
    settings = answer.json
    names = [setting.name for setting in APP_SETTINGS]
    at = names.index("survey_submit_success_toast_text") + 1
    assert list(settings) == [
        "id",
        *names[:at],
        "consent_sections",
        *names[at:],
        "enable_extensive_device_info_tracking",
    ]
    assert {s.name: settings[s.name] for s in APP_SETTINGS} == {s.name: s.default for s in APP_SETTINGS}
    assert all(type(settings[s.name]) is type(s.default) for s in APP_SETTINGS)
    assert isinstance(settings["id"], int)
    assert list(settings["consent_sections"]["welcome"]) == ["text", "more"]
    assert len(settings["consent_sections"]) == 8
    assert answer.data.isascii()
    db.session.refresh(participant.activity)
    assert participant.activity.last_settings_at is not None


def test_surveys_come_in_the_shape_that_apps_read(app: Flask, factory: Factory):
    """PHONE-44, PHONE-45, PHONE-51, PHONE-53: deleted and dead types are left out, an audio prompt is always there."""
    participant = factory.participant()
    study = participant.study
    question = {"question_id": "q", "question_type": "info_text_box", "question_text": "Grüße"}
    tracking = factory.survey(study, content=json.dumps([question]), name="Evening")
    audio = factory.survey(study, SurveyType.AUDIO, settings='{"audio_survey_type": "raw"}')
    factory.survey(study, deleted_at=db.func.now())
    image = factory.survey(study)
    image.survey_type = "image_survey"
    factory.survey(factory.study())
    db.session.commit()
    answer = app.test_client().post("/download_surveys/ios/", data=phone_fields(participant))
    assert answer.json == [
        {
            "_id": tracking.object_id,
            "survey_type": "tracking_survey",
            "content": [question],
            "settings": {"always_available": False},
            "timings": [[], [], [], [], [], [], []],
            "name": "Evening",
        },
        {
            "_id": audio.object_id,
            "survey_type": "audio_survey",
            "content": [{"prompt": ""}],
            "settings": {"always_available": False, "audio_survey_type": "raw"},
            "timings": [[], [], [], [], [], [], []],
            "name": "",
        },
    ]


def test_no_surveys_are_an_empty_list(app: Flask, factory: Factory):
    """PHONE-44."""
    assert app.test_client().post("/download_surveys", data=phone_fields(factory.participant())).json == []


def test_a_new_password_is_hashed_here_and_an_empty_request_is_400(app: Flask, factory: Factory):
    """PHONE-27, PHONE-58."""
    participant = factory.participant()
    client = app.test_client()
    fields = phone_fields(participant)
    assert client.post("/set_password", data=fields).status_code == 400
    answer = client.post("/set_password", data=fields | {"new_password": "pässwort & mehr+"})
    assert (answer.status_code, answer.data) == (200, b"")
    assert verify_password(device_hash("pässwort & mehr+"), participant.password_hash)
    assert not verify_password(device_hash(PASSWORD), participant.password_hash)


def test_an_android_password_is_stored_as_its_form_altered_it(app: Flask, factory: Factory):
    """PHONE-8: `+` reads as a space, `&` cuts."""
    participant = factory.participant()
    body = "".join(f"{k}={v}&" for k, v in phone_fields(participant, new_password="a+b&c").items())
    app.test_client().post("/set_password", data=body, content_type="application/x-www-form-urlencoded")
    assert verify_password(device_hash("a b"), participant.password_hash)


def test_a_heartbeat_is_a_row(app: Flask, factory: Factory):
    """PHONE-59, MODEL-107; a NUL does not reach the text (MODEL-7)."""
    participant = factory.participant()
    client = app.test_client()
    client.post("/mobile-heartbeat/", data=phone_fields(participant, message="tasks\0 running"))
    client.post("/mobile-heartbeat", data=phone_fields(participant))
    rows = db.session.scalars(db.select(Heartbeat).order_by(Heartbeat.id)).all()
    assert [row.message for row in rows] == ["tasks running", None]
    db.session.refresh(participant.activity)
    assert participant.activity.last_activity_at == rows[-1].at


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("Europe/Kyiv", "Europe/Kyiv"), ("nonsense", None), ("", "Europe/Berlin"), (None, "Europe/Berlin")],
)
def test_a_zone_is_kept_when_the_zone_database_knows_it(
    app: Flask, factory: Factory, sent: str | None, kept: str | None
):
    """PHONE-122."""
    participant = factory.participant(timezone_name="Europe/Berlin")
    fields = phone_fields(participant) | ({} if sent is None else {"timezone": sent})
    app.test_client().post("/mobile-heartbeat", data=fields)
    db.session.refresh(participant)
    assert participant.timezone_name == kept


def test_long_versions_fail_no_request(app: Flask, factory: Factory):
    """PHONE-70, PHONE-120."""
    participant = factory.participant()
    fields = phone_fields(participant, version_code="1" * 40, version_name="3.6.0\0", os_version="14")
    assert app.test_client().post("/mobile-heartbeat", data=fields).status_code == 200
    db.session.refresh(participant.activity)
    activity = participant.activity
    assert (activity.last_version_code, activity.last_version_name) == ("1" * 32, "3.6.0")


def test_a_nul_in_any_field_fails_no_request(app: Flask, factory: Factory):
    """MODEL-7: it is dropped where the form is read, in both shapes of a body."""
    participant = factory.participant()
    fields = {name: f"{value}\0" for name, value in phone_fields(participant, timezone="Europe/Berlin").items()}
    for more in ({}, {"content_type": "multipart/form-data"}):
        answer = app.test_client().post("/get_latest_device_settings", data=fields, **more)
        assert answer.status_code == 200
    db.session.refresh(participant)
    assert (participant.device_id, participant.timezone_name) == ("a device", "Europe/Berlin")


def test_only_uploads_may_be_large(app: Flask, factory: Factory):
    """OPS-4: before anything else is checked."""
    fields = phone_fields(factory.participant(), message="x" * (1 << 20))
    assert app.test_client().post("/mobile-heartbeat", data=fields).status_code == 413


@pytest.mark.parametrize("boundary", ["\u20ac", "", '"'])
def test_an_odd_boundary_is_no_failure(app: Flask, boundary: str):
    """PHONE-7."""
    content_type = f"multipart/form-data; boundary*=utf-8''{quote(boundary)}"
    answer = app.test_client().post("/upload", data=b"--x\r\n", content_type=content_type)
    assert answer.status_code in (400, 403)


@pytest.mark.parametrize("slashes", ["//", "///"])
def test_a_slash_typed_behind_the_servers_address_does_no_harm(server: str, factory: Factory, slashes: str):
    """PHONE-4: answered directly, without a redirect."""
    fields, url = phone_fields(factory.participant()), f"{server}{slashes}mobile-heartbeat"
    answer = urllib3.request("POST", url, fields=fields, redirect=False, timeout=10)
    assert answer.status == 200
