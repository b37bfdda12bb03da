"""What is stored of phones' requests (PHONE-23, PHONE-24, PHONE-120 to PHONE-127)."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import zstandard
from flask import Flask

from core.database import db
from core.models import (
    AppVersion,
    Heartbeat,
    Participant,
    ParticipantActivity,
    ProblemUpload,
    PushReceipt,
    PushToken,
    QueuedUpload,
    StatusReport,
    UploadRecord,
)
from core.streams import Platform
from tests.support.factories import Factory, phone_fields
from tests.support.paths import VECTORS

RECEIPT = UUID("4b1c2f6e-8a51-4a54-9d0c-3f0a9be1c0de")
VERSIONS = {"version_code": "84", "version_name": "3.6.0", "os_version": "14"}


def post(app: Flask, participant: Participant, path: str = "/mobile-heartbeat", **fields: str) -> int:
    return app.test_client().post(path, data=phone_fields(participant, **fields)).status_code


def rows(model: Any) -> list[Any]:
    return list(db.session.scalars(db.select(model).order_by(model.id)))


def receipts() -> list[tuple[int, UUID]]:
    return list(db.session.execute(db.select(PushReceipt.participant_id, PushReceipt.uuid)).tuples())


@pytest.mark.parametrize(("path", "status"), [("/set_password", 400), ("/upload", 200), ("/register_user", 400)])
def test_what_a_phone_tells_is_kept_before_its_request_is_looked_at(
    app: Flask, factory: Factory, path: str, status: int
):
    """PHONE-24: also when nothing comes of it."""
    participant = factory.participant()
    assert post(app, participant, path, **VERSIONS, timezone="Europe/Kyiv") == status
    db.session.refresh(participant.activity)
    activity = participant.activity
    assert (activity.last_version_code, activity.last_version_name, activity.last_os_version) == ("84", "3.6.0", "14")
    db.session.refresh(participant)
    assert participant.timezone_name == "Europe/Kyiv"


def test_nothing_is_kept_of_a_request_that_is_refused(app: Flask, factory: Factory):
    """PHONE-24."""
    participant = factory.participant()
    assert post(app, participant, "/graph", **VERSIONS, password="wrong", notification_uuids=f'["{RECEIPT}"]') == 403
    assert db.session.scalar(db.select(ParticipantActivity.last_version_code)) is None
    assert (rows(AppVersion), receipts()) == ([], [])


def test_retired_participants_and_those_of_stopped_studies_get_in(app: Flask, factory: Factory):
    """PHONE-23: their phones are still served, and their reports are stored."""
    retired = factory.participant(retired_at=datetime.now(UTC))
    study = factory.study()
    study.is_stopped_by_hand = True
    for participant in (retired, factory.participant(study)):
        assert post(app, participant, message="still here") == 200
        db.session.refresh(participant.activity)
        assert participant.activity.last_heartbeat_at is not None
    assert len(rows(Heartbeat)) == 2


def test_a_change_of_versions_is_one_row_and_the_same_again_none(app: Flask, factory: Factory):
    """PHONE-121: empty and missing values are null."""
    participant = factory.participant(platform=Platform.IOS)
    for sent in ({}, VERSIONS, VERSIONS, {}, {"os_version": "15"}, VERSIONS | {"version_name": ""}):
        post(app, participant, **sent)
    assert [(r.os_type, r.version_code, r.version_name, r.os_version) for r in rows(AppVersion)] == [
        ("IOS", "84", "3.6.0", "14"),
        ("IOS", "84", "3.6.0", "15"),
        ("IOS", "84", None, "14"),
    ]


def test_changed_versions_are_noted_whichever_way_a_phone_gets_in(app: Flask, factory: Factory):
    """PHONE-121: with and without the password."""
    participant = factory.participant()
    post(app, participant, "/graph", **VERSIONS)
    post(app, participant, "/download_surveys", **VERSIONS | {"version_code": "85"})
    assert [row.version_code for row in rows(AppVersion)] == ["84", "85"]
    assert {row.participant_id for row in rows(AppVersion)} == {participant.id}


def test_a_receipt_is_kept_once_for_each_participant(app: Flask, factory: Factory):
    """PHONE-123: among time stamps, in any spelling, from any endpoint."""
    first, second = factory.participant(), factory.participant()
    report = json.dumps(["2024-06-01 10:00:00.00(ET)", str(RECEIPT), str(RECEIPT).upper()])
    assert post(app, first, notification_uuids=report) == 200
    at = db.session.scalar(db.select(PushReceipt.received_at))
    assert post(app, first, "/upload", notification_uuids=report) == 200
    assert post(app, second, "/graph", notification_uuids=report) == 200
    assert sorted(receipts()) == [(first.id, RECEIPT), (second.id, RECEIPT)]
    query = db.select(PushReceipt.received_at).where(PushReceipt.participant_id == first.id)
    assert db.session.scalar(query) == at


@pytest.mark.parametrize(
    "report",
    [
        "",
        "not json",
        "[",
        "[1,null]",
        "]",
        '["no uuid"]',
        '{"a": 1}',
        "[" * 9_000 + "]" * 9_000,
        f' ["{RECEIPT}"]',
        f'[["{RECEIPT}"]]',
        '["\\ud800"]',
        "[NaN]",
        "[" + "9" * 5_000 + "]",
    ],
)
def test_what_is_no_list_of_receipts_is_passed_over(app: Flask, factory: Factory, report: str):
    """PHONE-123: never an error."""
    assert post(app, factory.participant(), notification_uuids=report) == 200
    assert receipts() == []


def test_each_request_of_a_phone_that_is_watched_closely_leaves_its_status(app: Flask, factory: Factory):
    """PHONE-125: what was known by then, under which path, also where values are long."""
    watched, other = factory.participant(is_watched_closely=True), factory.participant()
    status = '{"on_wifi":"true","ü":1}'
    assert post(app, watched, "/mobile-heartbeat/", **VERSIONS) == 200
    assert post(app, watched, "/upload/ios", device_status_report=status, os_version="1" * 40) == 200
    assert post(app, watched, "/graph") == 200
    assert post(app, other, device_status_report=status) == 200
    reports = rows(StatusReport)
    assert {report.participant_id for report in reports} == {watched.id}
    assert [report.endpoint for report in reports] == ["/mobile-heartbeat/", "/upload/ios", "/graph"]
    assert [(r.os_type, r.version_code, r.version_name) for r in reports] == [("ANDROID", "84", "3.6.0")] * 3
    assert [report.os_version for report in reports] == ["14", "1" * 32, "1" * 32]
    kept = [report.report and zstandard.decompress(report.report).decode() for report in reports]
    assert kept == [None, status, status]


def test_a_phones_day_leaves_a_row_of_each_kind(app: Flask, factory: Factory):
    """PHONE-127."""
    participant = factory.participant(is_watched_closely=True)
    post(app, participant, **VERSIONS, notification_uuids=f'["{RECEIPT}"]')
    post(app, participant, "/set_fcm_token", fcm_token="the-token")
    file = (VECTORS / "device_files" / "encrypted" / "middle_line_two_colons.enc").read_bytes()
    name = f"{participant.patient_id}_gps_1717236000000.csv"
    assert post(app, participant, "/upload", file_name=name, file=file.decode()) == 200
    for model in (Heartbeat, PushToken, AppVersion, UploadRecord, QueuedUpload, ProblemUpload):
        assert [row.participant_id for row in rows(model)] == [participant.id], model
    assert [row.participant_id for row in rows(StatusReport)] == [participant.id] * 3
    assert receipts() == [(participant.id, RECEIPT)]
    assert [error["kind"] for error in rows(ProblemUpload)[0].line_errors] == ["MALFORMED_CONFIG"]
