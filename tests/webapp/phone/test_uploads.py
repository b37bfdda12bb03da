"""Uploads: the decision chain, duplicates, what is kept aside (PHONE-63 to PHONE-85)."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import urllib3
from flask import Flask
from werkzeug.test import TestResponse

from core.config import Settings
from core.database import db
from core.models import Participant, ProblemUpload, QueuedUpload, StoredObject, UploadRecord
from core.models.study import Study
from core.phones import uploads
from core.storage import ObjectMissing, StoreUnavailable
from core.streams import Platform
from tests.support.factories import Factory, phone_fields
from tests.support.paths import VECTORS
from webapp import create_app

DEVICE_FILES = VECTORS / "device_files"
MANIFEST = json.loads((DEVICE_FILES / "manifest.json").read_text())
PATIENT = MANIFEST["patient_id"]
GPS = (DEVICE_FILES / "encrypted" / "android_gps.enc").read_bytes()
PLAIN_GPS = (DEVICE_FILES / "plaintext" / "android_gps.bin").read_bytes()
OTHER = (DEVICE_FILES / "encrypted" / "ios_gps.enc").read_bytes()
NAME = f"{PATIENT}_gps_1717236000000.csv"
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def participant(factory: Factory) -> Participant:
    return factory.participant(patient_id=PATIENT)


def send(
    app: Flask, participant: Participant, file: bytes | None = GPS, name: str = NAME, **fields: str
) -> TestResponse:
    """An upload as Android writes it: nothing percent-encoded, the file last."""
    form = phone_fields(participant, file_name=name, **fields)
    body = "".join(f"{key}={value}&" for key, value in form.items()).encode()
    if file is not None:
        body += b"file=" + file
    return app.test_client().post("/upload", data=body, content_type="application/x-www-form-urlencoded")


def contents_of(factory: Factory, participant: Participant, path: str) -> bytes:
    study = db.session.get(Study, participant.study_id)
    assert study is not None
    return factory.store(study).read(path)[0]


def count(model: Any) -> int:
    return db.session.scalar(db.select(db.func.count()).select_from(model)) or 0


def raw_path(participant: Participant, rest: str = "gps/1717236000000.csv") -> str:
    return f"{participant.study.object_id}/{PATIENT}/{rest}"


@pytest.mark.parametrize("case", MANIFEST["cases"], ids=lambda case: case["id"])
def test_every_device_file_is_stored_let_go_or_kept_aside(
    app: Flask, factory: Factory, participant: Participant, case: dict[str, Any]
):
    """PHONE-64 rows 7 to 10, PHONE-84, PHONE-85, PHONE-98, PHONE-101, PHONE-104, PHONE-105, PHONE-106, PHONE-110."""
    file = (DEVICE_FILES / case["file"]).read_bytes()
    answer = send(app, participant, file, case["upload_name"])
    assert answer.status_code == 200
    queued = db.session.scalars(db.select(QueuedUpload)).all()
    expected = case["expected"]
    if expected["outcome"] == "stored" or (expected.get("also_accept") and queued):
        right = [expected["plaintext_file"]] if "plaintext_file" in expected else []
        stored = contents_of(factory, participant, queued[0].path)
        assert stored in [(DEVICE_FILES / p).read_bytes() for p in right + expected.get("also_accept", [])]
        assert answer.text == "upload successful."
        assert (count(StoredObject), count(UploadRecord)) == (1 + count(ProblemUpload), 1)
    else:
        assert queued == []
    if expected["outcome"] == "aside" and not queued:
        problem = db.session.scalars(db.select(ProblemUpload)).one()
        assert problem.reason
        assert contents_of(factory, participant, problem.object_path) == file
    if expected.get("line_errors"):
        problem = db.session.scalars(db.select(ProblemUpload)).one()
        wanted = [{"line": e["line"], "kind": e["type"]} for e in expected["line_errors"]]
        assert problem.line_errors in (wanted, wanted[:-1])
        assert contents_of(factory, participant, problem.object_path) == file
    if expected["outcome"] == "discard":
        assert count(ProblemUpload) == 0


@pytest.mark.parametrize("body", [b for b in MANIFEST["bodies"] if "upload" in b["id"]], ids=lambda b: b["id"])
def test_the_apps_own_bodies_are_read_byte_for_byte(
    app: Flask, factory: Factory, participant: Participant, body: dict[str, Any]
):
    """PHONE-7, PHONE-8, PHONE-9, PHONE-120, PHONE-122."""
    data = (DEVICE_FILES / body["body_file"]).read_bytes()
    answer = app.test_client().post(body["path"], data=data, content_type=body["content_type"])
    assert answer.status_code == 200
    if body.get("outcome") == "discard":
        assert count(QueuedUpload) == 0
    else:
        row = db.session.scalars(db.select(QueuedUpload)).one()
        assert contents_of(factory, participant, row.path) == (DEVICE_FILES / body["plaintext_file"]).read_bytes()
        assert row.app_version == body["fields"]["version_code"]
    assert participant.timezone_name == body["fields"]["timezone"]
    assert participant.activity.last_os_version == body["fields"]["os_version"]
    assert participant.device_id == body["fields"]["device_id"]


def test_an_accepted_upload_leaves_object_queue_log_and_object_row(
    app: Flask, factory: Factory, participant: Participant
):
    """PHONE-68, STORE-7."""
    assert send(app, participant).text == "upload successful."
    path = raw_path(participant)
    assert contents_of(factory, participant, path) == PLAIN_GPS
    queued = db.session.scalars(db.select(QueuedUpload)).one()
    assert (queued.path, queued.os_type, queued.size_bytes) == (path, "ANDROID", len(PLAIN_GPS))
    stored = db.session.get(StoredObject, path + ".zst")
    assert stored.sha1 == hashlib.sha1(PLAIN_GPS).digest()
    assert stored.participant_id == participant.id
    assert db.session.scalars(db.select(UploadRecord)).one().size_bytes == len(PLAIN_GPS)


@pytest.mark.parametrize("name", ["x.CSV", "x", "rList-1.csv", "PersistedInstallation.json", ""])
def test_junk_is_let_go_without_a_trace(app: Flask, participant: Participant, name: str):
    """PHONE-64 row 2."""
    answer = send(app, participant, name=name)
    assert (answer.status_code, answer.text) == (200, "file obviously invalid.")
    assert count(StoredObject) == 0
    assert participant.activity.last_upload_at is not None


def test_a_retired_participants_phone_is_cleaned_before_the_file_is_read(app: Flask, factory: Factory):
    """PHONE-64 row 3."""
    participant = factory.participant(patient_id=PATIENT, retired_at=LONG_AGO)
    answer = send(app, participant, b"broken")
    assert (answer.status_code, answer.text) == (200, "participant permanently retired.")
    assert count(ProblemUpload) == 0


@pytest.mark.parametrize("columns", [{"hidden_at": datetime(2024, 1, 1, tzinfo=UTC)}, {"is_stopped_by_hand": True}])
def test_a_stopped_study_keeps_nothing(app: Flask, participant: Participant, columns: dict[str, Any]):
    """PHONE-64 row 4."""
    for name, value in columns.items():
        setattr(participant.study, name, value)
    db.session.commit()
    assert send(app, participant).text == "study is deleted, stopped, or ended."


def test_the_whole_of_the_end_date_counts_in_the_studys_zone(factory: Factory):
    """PHONE-66."""
    study = factory.study(timezone_name="America/New_York")
    study.end_on = date(2024, 6, 1)
    midnight = datetime(2024, 6, 2, tzinfo=study.zone)
    assert not study.is_stopped(midnight - timedelta(microseconds=1))
    assert study.is_stopped(midnight)


def test_a_request_without_a_file_is_400(app: Flask, participant: Participant):
    """PHONE-64 row 6."""
    answer = send(app, participant, None)
    assert (answer.status_code, answer.text) == (400, "file not present")


@pytest.mark.parametrize(
    "name",
    ["../../x.csv", "a/b.csv", "zzzzzzzz_gps_1717236000000.csv", f"{PATIENT}_{'x' * 290}.csv", f"{PATIENT}_.csv"],
)
def test_names_that_no_app_gives_are_kept_aside_inside_the_studys_folder(
    app: Flask, factory: Factory, participant: Participant, name: str
):
    """PHONE-69."""
    assert send(app, participant, name=name).status_code == 200
    problem = db.session.scalars(db.select(ProblemUpload)).one()
    assert problem.received_name == name
    assert problem.object_path.startswith(f"PROBLEM_UPLOADS/{participant.study.object_id}/{PATIENT}/")
    assert contents_of(factory, participant, problem.object_path) == GPS
    assert count(QueuedUpload) == 0


def test_the_id_in_a_name_counts_in_any_case_and_the_stored_one_is_used(app: Flask, participant: Participant):
    """PHONE-69."""
    assert send(app, participant, name=NAME.replace(PATIENT, PATIENT.upper())).text == "upload successful."
    assert db.session.scalars(db.select(QueuedUpload.path)).one() == raw_path(participant)


def test_the_same_file_again_is_a_success_and_stores_nothing(app: Flask, participant: Participant):
    """PHONE-82."""
    assert [send(app, participant).status_code for _ in range(3)] == [200, 200, 200]
    assert (count(QueuedUpload), count(StoredObject), count(UploadRecord)) == (1, 1, 1)


def test_other_contents_wait_while_the_first_is_queued_and_get_a_name_of_their_own_later(
    app: Flask, factory: Factory, participant: Participant
):
    """PHONE-81."""
    send(app, participant)
    answer = send(app, participant, OTHER)
    assert (answer.status_code, answer.text) == (400, "file already present, upload again later (your bug!)")
    db.session.execute(db.delete(QueuedUpload))
    db.session.commit()
    assert send(app, participant, OTHER).status_code == 200
    path = db.session.scalars(db.select(QueuedUpload.path)).one()
    stem, mark = path.rsplit("-duplicate-")
    assert stem == raw_path(participant)
    assert len(mark) == 10
    assert contents_of(factory, participant, raw_path(participant)) == PLAIN_GPS


def test_an_object_without_rows_gets_them_when_the_phone_comes_back(
    app: Flask, factory: Factory, participant: Participant
):
    """PHONE-82: a crash came between object and rows."""
    path = raw_path(participant)
    factory.store(participant.study).create(path, PLAIN_GPS)
    assert send(app, participant).text == "upload successful."
    assert (count(QueuedUpload), count(StoredObject), count(UploadRecord)) == (1, 1, 1)
    assert db.session.get(StoredObject, path + ".zst").size_bytes == len(PLAIN_GPS)


def test_twenty_posts_of_one_file_at_once_queue_it_once(server: str, participant: Participant):
    """PHONE-83: one is queued; nobody gets a 500."""
    form = phone_fields(participant, file_name=NAME)
    body = "".join(f"{key}={value}&" for key, value in form.items()).encode() + b"file=" + GPS
    pool = urllib3.PoolManager(maxsize=10)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    def post(_: int) -> int:
        return pool.request("POST", f"{server}/upload", body=body, headers=headers, timeout=30).status

    with ThreadPoolExecutor(10) as threads:
        statuses = list(threads.map(post, range(20)))
    assert set(statuses) <= {200, 400}
    assert 200 in statuses
    assert (count(QueuedUpload), count(StoredObject), count(UploadRecord)) == (1, 1, 1)


class BrokenStore:
    """A store that is down."""

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any) -> Any:
            raise StoreUnavailable("the store is down")

        return fail


def test_a_store_that_is_down_makes_the_phone_keep_its_file(app: Flask, factory: Factory, participant: Participant):
    """PHONE-64 row 12: also when the private key cannot be fetched."""
    store = app.extensions["beiwe_store"]
    app.extensions["beiwe_store"] = BrokenStore()
    answer = send(app, participant)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert (count(QueuedUpload), count(ProblemUpload)) == (0, 0)
    app.extensions["beiwe_store"] = store
    assert send(app, participant).text == "upload successful."


def test_a_participant_without_keys_has_its_files_kept_aside(app: Flask, factory: Factory, participant: Participant):
    """PHONE-64 row 8."""
    store = factory.store(participant.study)
    store.store.delete(f"{participant.study.object_id}/keys/{PATIENT}_private.zst")
    with pytest.raises(ObjectMissing):
        store.read(f"{participant.study.object_id}/keys/{PATIENT}_private")
    assert send(app, participant).status_code == 200
    assert db.session.scalars(db.select(ProblemUpload)).one().reason == "the participant has no private key"


def test_percent_encoded_and_multipart_files_are_read_alike(app: Flask, factory: Factory, participant: Participant):
    """PHONE-7, PHONE-64: part or field from either platform."""
    client = app.test_client()
    fields = phone_fields(participant, file_name=NAME, file=GPS.decode())
    assert client.post("/upload/ios", data=fields).text == "upload successful."
    name = NAME.replace("000.csv", "001.csv")
    fields = phone_fields(participant, file_name=name, file=GPS.decode())
    assert client.post("/upload", data=fields, content_type="multipart/form-data").text == "upload successful."
    for rest in ("gps/1717236000000.csv", "gps/1717236000001.csv"):
        assert contents_of(factory, participant, raw_path(participant, rest)) == PLAIN_GPS


def test_ios_log_keeps_its_two_path_pieces(app: Flask, factory: Factory):
    """PHONE-71."""
    participant = factory.participant(patient_id=PATIENT, platform=Platform.IOS)
    send(app, participant, name=f"{PATIENT}_ios_log_1717236000000.csv")
    assert db.session.scalars(db.select(QueuedUpload.path)).one() == raw_path(participant, "ios/log/1717236000000.csv")


def test_no_transaction_is_open_while_a_file_is_decrypted_and_stored(
    app: Flask, participant: Participant, monkeypatch: pytest.MonkeyPatch
):
    """PHONE-17: iOS sends eleven at once, and none holds the participant's row."""
    really, seen = uploads.decrypt_device_file, []

    def decrypt(*arguments: Any) -> Any:
        seen.append(db.session().in_transaction())
        return really(*arguments)

    monkeypatch.setattr(uploads, "decrypt_device_file", decrypt)
    assert send(app, participant).text == "upload successful."
    assert seen == [False]


def test_a_body_beyond_the_limit_is_413_and_one_below_it_passes(settings: Settings):
    """PHONE-10, OPS-4."""
    app = create_app(settings.model_copy(update={"upload_max_bytes": 2_000}))
    with app.app_context():
        participant = Factory().participant(patient_id=PATIENT)
        assert send(app, participant, b"x" * 3_000).status_code == 413
        assert send(app, participant, GPS).text == "upload successful."
        db.session.remove()
        db.engine.dispose()


def test_an_unforeseen_error_while_decrypting_keeps_the_file_aside(
    app: Flask, factory: Factory, participant: Participant, monkeypatch: pytest.MonkeyPatch
):
    """PHONE-64 row 8: a defect of ours must not make a phone send its file for ever."""

    def defect(*_: Any) -> Any:
        raise IndexError

    monkeypatch.setattr(uploads, "decrypt_device_file", defect)
    assert send(app, participant).status_code == 200
    problem = db.session.scalars(db.select(ProblemUpload)).one()
    assert "IndexError" in problem.reason
    assert contents_of(factory, participant, problem.object_path) == GPS


def test_a_file_that_failed_for_good_does_not_keep_others_of_its_name_out(
    app: Flask, factory: Factory, participant: Participant
):
    """PHONE-63, PHONE-81: otherwise the phone would repeat it for ever."""
    send(app, participant)
    db.session.execute(db.update(QueuedUpload).values(state="failed"))
    db.session.commit()
    assert send(app, participant, OTHER).text == "upload successful."
    assert count(QueuedUpload) == 2
