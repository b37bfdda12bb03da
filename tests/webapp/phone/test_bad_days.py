"""Bad networks, large files, full disks, impatient phones (PHONE-10, PHONE-64 row 12, OPS-4)."""

import errno
import io
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from core.config import Settings
from core.database import db
from core.models import ParticipantActivity, ProblemUpload, QueuedUpload, RefusedUpload
from core.phones import unreadable, uploads
from core.storage import SealedStore, StoreUnavailable
from ops.phones import bodies
from tests.support.factories import Factory, phone_fields
from tests.webapp.phone.test_uploads import GPS, NAME, OTHER, PATIENT, contents_of, count, send
from webapp import create_app
from webapp.phone import forms, rates, spool, uploading


@pytest.fixture
def limited(settings: Settings) -> Any:
    """An application that takes no body above 2,000 bytes, and a participant."""
    app = create_app(settings.model_copy(update={"upload_max_bytes": 2_000}))
    with app.app_context():
        yield app, Factory().participant(patient_id=PATIENT)
        db.session.remove()
        db.engine.dispose()


def multipart(fields: dict[str, str], file: bytes) -> tuple[bytes, str]:
    """A body as iOS writes it, and its content type."""
    parts = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    )
    head = '--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\nContent-Type: text/csv\r\n\r\n'
    return parts.encode() + head.encode() + file + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"


def test_a_file_beyond_the_limit_is_413_and_shown_to_the_study(limited: Any):
    """PHONE-10: in both shapes of a body only its head is read; the phone comes back, and is counted in one row."""
    app, participant = limited
    fields = phone_fields(participant, file_name=NAME)
    assert send(app, participant, b"x" * 3_000).status_code == 413
    body, content_type = multipart(fields, b"x" * 4_000)
    answer = app.test_client().post("/upload/ios/", data=body, content_type=content_type)
    assert answer.status_code == 413
    refused = db.session.scalars(db.select(RefusedUpload)).one()
    assert (refused.file_name, refused.reason, refused.status, refused.times) == (NAME, "too large", 413, 2)
    assert refused.size_bytes == len(body)
    assert send(app, participant, GPS).text == "upload successful."


def test_whoever_is_nobody_hears_no_413(limited: Any):
    """PHONE-20 comes first."""
    app, _ = limited
    body = f"patient_id=nobody11&password=x&device_id=y&file_name={NAME}&file=".encode() + b"x" * 3_000
    answer = app.test_client().post("/upload", data=body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 403


def test_a_retired_phone_is_rid_of_a_file_beyond_the_limit(limited: Any):
    """PHONE-65: what can be decided without the file comes first."""
    app, participant = limited
    participant.retired_at = datetime(2024, 1, 1, tzinfo=UTC)
    db.session.commit()
    assert send(app, participant, b"x" * 3_000).text == "participant permanently retired."


@pytest.mark.parametrize("shape", ["android", "ios"])
def test_a_large_body_goes_through_the_disk_and_is_stored_as_a_small_one(
    app: Flask, factory: Factory, settings: Settings, monkeypatch: pytest.MonkeyPatch, shape: str
):
    """PHONE-10: nothing of it stays on the disk."""
    monkeypatch.setattr(forms, "MOST_BYTES_IN_MEMORY", 100)
    monkeypatch.setattr(uploading, "LARGE_FILE_BYTES", 100)
    participant = factory.participant(patient_id=PATIENT)
    if shape == "android":
        answer = send(app, participant)
    else:
        body, content_type = multipart(phone_fields(participant, file_name=NAME), GPS)
        answer = app.test_client().post("/upload/ios/", data=body, content_type=content_type)
    assert answer.text == "upload successful."
    stored = db.session.scalars(db.select(QueuedUpload)).one()
    in_memory = send(app, participant)  # the same contents, known by now
    assert in_memory.text == "upload successful."
    assert contents_of(factory, participant, stored.path).startswith(b"timestamp, latitude")
    assert list((settings.var_dir / "spool").iterdir()) == []


def test_a_large_file_without_a_key_is_kept_aside_whole(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """PHONE-10, PHONE-84."""
    monkeypatch.setattr(forms, "MOST_BYTES_IN_MEMORY", 100)
    participant = factory.participant(patient_id=PATIENT)
    file = b"no key line\n" * 40_000
    assert send(app, participant, file).status_code == 200
    problem = db.session.scalars(db.select(ProblemUpload)).one()
    assert contents_of(factory, participant, problem.object_path) == file


def test_a_large_body_with_an_encoded_file_or_none_is_read_like_a_small_one(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """PHONE-7, PHONE-10."""
    monkeypatch.setattr(forms, "MOST_BYTES_IN_MEMORY", 100)
    participant = factory.participant(patient_id=PATIENT)
    fields = phone_fields(participant, file_name=NAME)
    client = app.test_client()
    assert client.post("/upload", data=fields).text == "file not present"
    assert client.post("/upload", data=b"--", content_type="multipart/form-data; boundary=b").status_code == 403
    broken = b"--b\r\nno head" + b"x" * 200
    assert client.post("/upload", data=broken, content_type="multipart/form-data; boundary=b").status_code == 403
    assert client.post("/upload", data=fields | {"file": GPS.decode()}).text == "upload successful."


def test_a_full_disk_makes_the_phone_keep_its_file(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """PHONE-64 row 12: 503 with a time to come back, and nothing is queued."""

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    participant = factory.participant(patient_id=PATIENT)
    monkeypatch.setattr(forms, "MOST_BYTES_IN_MEMORY", 100)
    monkeypatch.setattr(spool.tempfile, "TemporaryFile", full)
    answer = send(app, participant)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    monkeypatch.undo()
    monkeypatch.setattr(Path, "hardlink_to", full)  # the object store's disk
    assert send(app, participant).status_code == 503
    assert count(QueuedUpload) == 0
    monkeypatch.undo()
    assert send(app, participant).text == "upload successful."


def test_too_many_large_files_at_once_are_told_to_come_back(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """PHONE-10, PHONE-64 row 12: an upload without enough memory waits a moment, then stays on the phone."""
    monkeypatch.setattr(uploading, "LARGE_FILE_BYTES", 100)
    monkeypatch.setattr(uploading, "WAIT_SECONDS", 0.05)
    participant = factory.participant(patient_id=PATIENT)
    with uploading.LARGE_FILES_AT_ONCE, uploading.LARGE_FILES_AT_ONCE:
        answer = send(app, participant)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    for _ in range(3):
        assert send(app, participant).text == "upload successful."


def test_a_phone_that_never_stops_is_told_to_wait_and_others_are_not(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """PHONE-63: 429 leaves the file on the phone. Who has the password is served whatever others send (CLAR-11)."""
    monkeypatch.setattr(rates, "_limiter", rates.FixedWindowRateLimiter(rates.MemoryStorage()))
    monkeypatch.setattr("webapp.phone.blueprint.REQUESTS", rates.RateLimitItemPerMinute(2))
    busy, other = factory.participant(), factory.participant()
    client = app.test_client()
    unproven = phone_fields(busy) | {"password": "somebody else's"}
    statuses = [client.post("/mobile-heartbeat", data=unproven).status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    assert client.post("/mobile-heartbeat", data=phone_fields(busy)).status_code == 200
    assert client.post("/mobile-heartbeat", data=phone_fields(other)).status_code == 200


def test_five_hundred_files_in_a_row_are_normal(app: Flask, factory: Factory):
    """PHONE-72: Android sends the files that it kept one after the other."""
    participant = factory.participant(patient_id=PATIENT)
    for number in range(500):
        answer = send(app, participant, b"", f"{PATIENT}_gps_{1_717_236_000_000 + number}.csv")
        assert answer.status_code == 200
    refused = db.session.scalar(db.select(db.func.count()).select_from(RefusedUpload))
    assert refused == 500


def test_guessing_passwords_ends_soon(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """PHONE-21: far fewer tries where the password counts; the right one works meanwhile (CLAR-11)."""
    monkeypatch.setattr(rates, "_limiter", rates.FixedWindowRateLimiter(rates.MemoryStorage()))
    right = phone_fields(factory.participant(), new_password="another")
    wrong = right | {"password": "wrong"}
    statuses = [app.test_client().post("/set_password", data=wrong).status_code for _ in range(121)]
    assert set(statuses[:120]) == {403}
    assert statuses[120] == 429
    assert app.test_client().post("/set_password", data=right).status_code == 200


@pytest.mark.parametrize("stream", ["gps", "nothing we know"])
def test_junk_is_kept_within_bounds_and_those_of_strangers_are_not_the_phones(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch, stream: str
):
    """CLAR-11, PHONE-84: what no key opens, or has a name that no app gives, is kept up to so many bytes a day.

    Beyond, 503 leaves it on the phone.
    """
    monkeypatch.setattr(unreadable, "BYTES_A_DAY_UNPROVEN", 2_000)
    monkeypatch.setattr(unreadable, "BYTES_A_DAY_PROVEN", 3_000)
    participant = factory.participant(patient_id=PATIENT)

    def junk(number: int, password: str | None) -> int:
        fields = phone_fields(participant, file_name=f"{PATIENT}_{stream}_{1_717_236_000_000 + number}.csv")
        fields |= {"password": password} if password else {}
        body = bodies.android_upload(list(fields.items()), b"no key line\n" * 80)
        content_type = "application/x-www-form-urlencoded"
        return app.test_client().post("/upload", data=body, content_type=content_type).status_code

    assert [junk(number, "wrong") for number in range(4)] == [200, 200, 503, 503]
    assert [junk(number, None) for number in range(10, 15)] == [200, 200, 200, 503, 503]
    assert count(ProblemUpload) == 5
    refused = db.session.scalars(db.select(RefusedUpload.reason)).all()
    assert set(refused) == {"too much that cannot be read"} and len(refused) == 4
    assert send(app, participant).text == "upload successful."


def test_the_time_of_an_upload_is_noted_also_for_a_refused_file(app: Flask, factory: Factory):
    """PHONE-64: `last_upload` is stored before the decision."""
    participant = factory.participant(patient_id=PATIENT)
    assert send(app, participant, b"", "rList-1.csv").text == "file obviously invalid."
    activity = db.session.get(ParticipantActivity, participant.id, populate_existing=True)
    assert activity is not None and activity.last_upload_at is not None


def test_a_body_of_unknown_length_is_not_taken(app: Flask, factory: Factory):
    """PHONE-63: where it broke off cannot be told from its end; apps always send a length."""
    participant = factory.participant(patient_id=PATIENT)
    body = b"".join(f"{k}={v}&".encode() for k, v in phone_fields(participant, file_name=NAME).items()) + b"file=" + GPS
    answer = app.test_client().post(
        "/upload",
        input_stream=io.BytesIO(body),
        headers={"Transfer-Encoding": "chunked"},
        content_type="application/x-www-form-urlencoded",
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == 411
    assert count(QueuedUpload) == 0


def test_a_cheap_request_costs_little(app: Flask):
    """PHONE-10: bodies that no app sends, before anybody is known: thousands of fields, of parts, of files."""
    client, large = app.test_client(), 5 << 20
    fields = b"a=&" * (large // 3)
    assert client.post("/upload", data=fields, content_type="application/x-www-form-urlencoded").status_code == 403
    part = b'--b\r\nContent-Disposition: form-data; name="%d"%s\r\n\r\n%s\r\n'
    for head, contents in ((b"", b"x" * 100_000), (b'; filename="x"', b"x"), (b'; filename="x"', b"x" * 100_000)):
        body = b"".join(part % (n, head, contents) for n in range(60)) + b"--b--\r\n"
        begin = len(list(Path("/proc/self/fd").iterdir()))
        answer = client.post("/upload", data=body, content_type="multipart/form-data; boundary=b")
        assert answer.status_code in (403, 413)
        assert len(list(Path("/proc/self/fd").iterdir())) <= begin + 3


def test_two_files_of_one_name_at_the_same_moment_are_not_both_queued(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """PHONE-83: the second waits a moment for the rows of the first, and then comes back later."""
    participant = factory.participant(patient_id=PATIENT)
    really, answers = uploads.rows_of_upload, []

    def slow_rows(*arguments: Any) -> Any:
        monkeypatch.setattr(uploads, "rows_of_upload", really)
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.5)  # the first's object is there, and its rows are not
        threads.append(thread)
        return really(*arguments)

    def second() -> None:
        with app.app_context():
            answers.append(send(app, participant, OTHER).text)

    threads: list[threading.Thread] = []
    monkeypatch.setattr(uploads, "rows_of_upload", slow_rows)
    assert send(app, participant, GPS).text == "upload successful."
    threads[0].join(10)
    assert answers == ["file already present, upload again later (your bug!)"]
    assert count(QueuedUpload) == 1


def test_a_registration_that_cannot_be_answered_changes_no_password(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """PHONE-32, PHONE-37: the key is read first, and the temporary password works at the next try."""
    participant = factory.participant(platform=None)
    fields = phone_fields(participant, phone_number="x", new_password="another")
    really = SealedStore.read

    def read(self: SealedStore, path: str, *more: Any) -> Any:
        if path.endswith("_public"):
            raise StoreUnavailable("down")
        return really(self, path, *more)

    with monkeypatch.context() as patch:
        patch.setattr(SealedStore, "read", read)
        assert app.test_client().post("/register_user", data=fields).status_code == 503
    assert app.test_client().post("/register_user", data=fields).status_code == 200
