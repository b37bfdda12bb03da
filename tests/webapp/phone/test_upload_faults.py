"""A fault between every two steps of an upload (PHONE-68): the process dies there, or what it needs fails there.

Never a 200 without object and rows, never an object that an audit does not find, and the phone's next try succeeds.
"""

import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from cryptography.hazmat.decrepit.ciphers.modes import CFB8
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from flask import Flask
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.crypto.seal import SealBroken
from core.database import db
from core.models import Participant, ProblemUpload, QueuedUpload, StoredObject, UploadRecord
from core.operations.tallies import all_tallies
from core.phones import uploads
from core.storage import SealedStore, StoreUnavailable
from core.storage.audit import Mismatch, sweep
from core.storage.s3 import Patience, S3Store
from tests.support.factories import Factory
from tests.support.fakes.s3 import FailingS3, Fault, is_write, running_s3
from tests.webapp.phone.test_uploads import DEVICE_FILES, GPS, PATIENT, contents_of, count, raw_path, send
from webapp.phone import blueprint, uploading
from webapp.stores import object_store

PLAINTEXT = (DEVICE_FILES / "plaintext" / "android_gps.bin").read_bytes()


class Killed(BaseException):
    """Simulates the death of the process: no code catches it."""


# What is called at each place, which of its calls counts, and whether it has run by then.
PLACES: dict[str, tuple[Any, str, int, bool]] = {
    "before the phone is known": (blueprint, "admit", 1, False),
    "before the request is noted": (Session, "commit", 1, False),
    "after the request is noted": (Session, "commit", 1, True),
    "before the file is decrypted": (uploads, "decrypted_upload", 1, False),
    "before the object is written": (SealedStore, "create", 1, False),
    "after the object is written": (SealedStore, "create", 1, True),
    "after the rows are made": (uploads, "rows_of_upload", 1, True),
    "before the rows are committed": (Session, "commit", 2, False),
    "after the rows are committed": (Session, "commit", 2, True),
    "before the answer is made": (uploading, "text_answer", 1, False),
}
ORPHANS = {"after the object is written", "after the rows are made", "before the rows are committed"}
COMMITTED = {"after the rows are committed", "before the answer is made"}


@pytest.fixture
def participant(factory: Factory) -> Participant:
    return factory.participant(patient_id=PATIENT)


def break_at(patch: pytest.MonkeyPatch, place: str, fault: BaseException) -> None:
    owner, name, wanted, has_run = PLACES[place]
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def broken(*arguments: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls != wanted:
            return original(*arguments, **more)
        if has_run:
            original(*arguments, **more)
        raise fault

    patch.setattr(owner, name, broken)


def orphans() -> list[str]:
    found = sweep(db.session(), object_store())
    return [s.path for s in found if s.mismatch is Mismatch.OBJECT_WITHOUT_ROW and "/keys/" not in s.path]


def assert_stored_once(factory: Factory, participant: Participant) -> None:
    queued = db.session.scalars(db.select(QueuedUpload)).one()
    assert queued.path == raw_path(participant)
    assert contents_of(factory, participant, queued.path) == PLAINTEXT
    assert (count(StoredObject), count(UploadRecord), count(ProblemUpload)) == (1, 1, 0)
    assert orphans() == []


@pytest.mark.parametrize("place", PLACES)
def test_a_process_that_dies_loses_nothing(
    app: Flask, factory: Factory, participant: Participant, monkeypatch: pytest.MonkeyPatch, place: str
):
    """PHONE-63, PHONE-68, PHONE-80, PHONE-82: the phone got no answer, keeps its file and sends it again."""
    with monkeypatch.context() as patch:
        break_at(patch, place, Killed())
        with pytest.raises(Killed):
            send(app, participant)
    db.session.rollback()  # what a database does when a client is gone
    assert bool(orphans()) == (place in ORPHANS)
    assert count(QueuedUpload) == (place in COMMITTED)
    assert send(app, participant).text == "upload successful."
    assert_stored_once(factory, participant)


@pytest.mark.parametrize(
    "fault", [StoreUnavailable("down"), OperationalError("", {}, Exception()), OSError("disk full")], ids=repr
)
@pytest.mark.parametrize("place", [place for place in PLACES if place != "before the answer is made"])
def test_what_fails_makes_the_phone_keep_its_file(
    app: Flask,
    factory: Factory,
    participant: Participant,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    fault: Exception,
):
    """PHONE-64 row 12: 503 with Retry-After, never 200 and never 500."""
    with monkeypatch.context() as patch:
        break_at(patch, place, fault)
        answer = send(app, participant)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "60")
    assert bool(orphans()) == (place in ORPHANS)
    assert count(QueuedUpload) == (place in COMMITTED)
    assert send(app, participant).text == "upload successful."
    assert_stored_once(factory, participant)


def test_a_store_that_hangs_keeps_no_phone_waiting(
    app: Flask, participant: Participant, monkeypatch: pytest.MonkeyPatch
):
    """STORE-8, PHONE-13: all tries of all that a request asks; the phone keeps its file."""
    assert blueprint.STORE_SECONDS == 12
    send(app, participant)  # from now on its key is known without asking the store
    monkeypatch.setattr(blueprint, "STORE_SECONDS", 3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    with running_s3(FailingS3()) as s3:
        boto3.client("s3", endpoint_url=s3.address, region_name="us-east-1").create_bucket(Bucket="participants")
        settings = app.extensions["beiwe_settings"].model_copy(
            update={"s3_bucket": "participants", "s3_endpoint": s3.address, "s3_use_role": True}
        )
        app.extensions["beiwe_store"] = S3Store.from_settings(settings, Patience(0.3, 0.3, 9))
        s3.faults = [Fault(is_write, times=99, hang=1)]
        began = time.monotonic()
        answer = send(app, participant, name=f"{PATIENT}_gps_1717236001000.csv")
        assert time.monotonic() - began < 3.5
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "60")
    assert [fault.times for fault in s3.faults] != [99]


def test_a_broken_seal_in_the_way_of_an_upload_is_counted(
    app: Flask, participant: Participant, monkeypatch: pytest.MonkeyPatch
):
    """OPS-32, PHONE-64: the phone keeps its file, and the failure is counted."""
    break_at(monkeypatch, "before the object is written", SealBroken("altered"))
    assert send(app, participant).status_code == 503
    assert all_tallies(db.session())["integrity_failures", "phone"] == 1


@pytest.mark.parametrize("place", ["before the object is written", "after the object is written"])
def test_a_file_that_is_kept_aside_comes_again_after_a_fault(
    app: Flask, factory: Factory, participant: Participant, monkeypatch: pytest.MonkeyPatch, place: str
):
    """PHONE-84: at worst the object is stored twice, and an audit lists the one without a row."""
    file = b"no key line\nin it"
    with monkeypatch.context() as patch:
        break_at(patch, place, Killed())
        with pytest.raises(Killed):
            send(app, participant, file)
    db.session.rollback()
    left = orphans()
    assert len(left) == (place == "after the object is written")
    assert send(app, participant, file).status_code == 200
    problem = db.session.scalars(db.select(ProblemUpload)).one()
    assert contents_of(factory, participant, problem.object_path) == file
    assert orphans() == left


def test_an_orphan_with_other_contents_of_that_name_is_not_overwritten(
    app: Flask, factory: Factory, participant: Participant
):
    """PHONE-82, STORE-10: the object that a crash left stays, and the new file gets another name."""
    factory.store(participant.study).create(raw_path(participant), b"other contents")
    assert send(app, participant, GPS).text == "upload successful."
    queued = db.session.scalars(db.select(QueuedUpload)).one()
    assert queued.path.startswith(f"{raw_path(participant)}-duplicate-")
    assert contents_of(factory, participant, raw_path(participant)) == b"other contents"
    assert orphans() == [f"{raw_path(participant)}.zst"]


def test_an_object_of_the_existing_platform_under_its_plain_key_is_not_masked(app: Flask, factory: Factory):
    """STORE-10, PHONE-81: in an imported study the key without `.zst` is looked at as well."""
    participant = factory.participant(factory.study(encryption_key="k" * 32), patient_id=PATIENT)
    path = raw_path(participant)
    encryptor = Cipher(AES256(participant.study.storage_key), CFB8(bytes(16))).encryptor()
    object_store().create(path, bytes(16) + encryptor.update(b"older contents"))
    assert send(app, participant, GPS).text == "upload successful."
    queued = db.session.scalars(db.select(QueuedUpload)).one()
    assert queued.path.startswith(f"{path}-duplicate-")
    assert contents_of(factory, participant, path) == b"older contents"


def test_the_same_contents_under_the_plain_key_get_their_rows(app: Flask, factory: Factory):
    """STORE-10, PHONE-82."""
    participant = factory.participant(factory.study(encryption_key="k" * 32), patient_id=PATIENT)
    path = raw_path(participant)
    encryptor = Cipher(AES256(participant.study.storage_key), CFB8(bytes(16))).encryptor()
    object_store().create(path, bytes(16) + encryptor.update(PLAINTEXT))
    assert send(app, participant, GPS).text == "upload successful."
    assert send(app, participant, GPS).text == "upload successful."
    assert db.session.scalars(db.select(QueuedUpload.path)).all() == [path]
