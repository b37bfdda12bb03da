"""The store against its rows, orphans that come back, and where an upload's data is (OPS-20, MODEL-105)."""

import json
from typing import Any

import pytest
from flask import Flask

from core.database import db
from core.models import Participant, QueuedUpload, StoredObject, UploadRecord
from core.phones import uploads
from core.storage import audit
from core.storage.audit import Mismatch, sweep
from tests.support.factories import Factory
from tests.webapp.phone.test_uploads import DEVICE_FILES, GPS, NAME, OTHER, PATIENT, raw_path, send
from webapp.stores import object_store


@pytest.fixture
def participant(factory: Factory) -> Participant:
    return factory.participant(patient_id=PATIENT)


def mismatches(**options: Any) -> dict[str, Mismatch]:
    found = sweep(db.session(), object_store(), **options)
    return {seen.path: seen.mismatch for seen in found if seen.mismatch and "/keys/" not in seen.path}


def run(app: Flask, *arguments: str) -> Any:
    result = app.test_cli_runner().invoke(args=[*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_objects_without_row_and_rows_without_object_are_found(
    app: Flask, factory: Factory, participant: Participant, monkeypatch: pytest.MonkeyPatch
):
    """OPS-20: in pages; what agrees is passed over."""
    monkeypatch.setattr(audit, "PAGE_ROWS", 2)
    for number in range(5):
        send(app, participant, GPS if number % 2 else OTHER, f"{PATIENT}_gps_171723600000{number}.csv")
    assert mismatches() == {}
    store = factory.store(participant.study)
    orphan, gone = raw_path(participant, "gps/1717236000009.csv"), raw_path(participant, "gps/1717236000002.csv")
    store.create(orphan, b"timestamp\n")
    object_store().delete(gone + ".zst")
    expected = {f"{orphan}.zst": Mismatch.OBJECT_WITHOUT_ROW, f"{gone}.zst": Mismatch.ROW_WITHOUT_OBJECT}
    assert mismatches() == expected
    assert mismatches(prefix=f"{participant.study.object_id}/{PATIENT}/") == expected
    assert mismatches(prefix="CHUNKED_DATA/") == {}
    assert list(mismatches(after=f"{gone}.zst")) == [f"{orphan}.zst"]


def test_an_orphan_is_queued_and_the_phone_that_comes_back_is_told_so(
    app: Flask, participant: Participant, monkeypatch: pytest.MonkeyPatch
):
    """OPS-20, PHONE-68, PHONE-82."""

    def die(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(uploads, "rows_of_upload", die)
        with pytest.raises(KeyboardInterrupt):
            send(app, participant)
    db.session.rollback()
    key = raw_path(participant) + ".zst"
    assert list(mismatches()) == [key]
    found = run(app, "audit-store", "--study", participant.study.object_id, "--requeue")
    assert {"path": key, "mismatch": "object without row", "done": "queued"} in found["found"]
    queued = db.session.scalars(db.select(QueuedUpload)).one()
    record = db.session.scalars(db.select(UploadRecord)).one()
    plaintext = (DEVICE_FILES / "plaintext" / "android_gps.bin").read_bytes()
    assert (queued.path, queued.size_bytes) == (raw_path(participant), len(plaintext))
    assert record.path == queued.path
    assert mismatches() == {}
    assert send(app, participant).text == "upload successful."
    assert db.session.scalar(db.select(db.func.count()).select_from(QueuedUpload)) == 1


def test_what_is_no_raw_upload_is_listed_and_left_alone(app: Flask, factory: Factory, participant: Participant):
    """OPS-20: nothing is deleted or guessed."""
    study_id = participant.study.object_id
    store = factory.store(participant.study)
    paths = (
        f"{study_id}/nobody11/gps/1.csv",
        f"{study_id}/{PATIENT}/forest/output.zip",
        f"CHUNKED_DATA/{study_id}/x.csv",
        f"PROBLEM_UPLOADS/{study_id}/{PATIENT}/x",
    )
    for path in paths:
        store.create(path, b"x")
    found = run(app, "audit-store", "--requeue")
    assert found["counts"]["object_without_row"] == len(paths) + 2  # and the keys that the factory stored
    assert all(line["done"].startswith("left alone") for line in found["found"])
    assert db.session.scalars(db.select(QueuedUpload)).all() == []
    assert [path for path in paths if store.read(path)[0] == b"x"] == list(paths)


def test_an_upload_is_followed_by_its_name(app: Flask, participant: Participant):
    """MODEL-105: received, refused, queued, kept aside, whichever form the name is given in."""
    send(app, participant)
    send(app, participant, OTHER)  # other contents while the first are queued
    send(app, participant, b"no key\nx")
    steps = run(app, "upload", "find", NAME)
    said = [step["what"] for step in steps]
    assert said[0].startswith("accepted, ")
    assert "answered 400: same name still queued" in said
    assert any(what.startswith("kept aside: ") for what in said)
    assert said[-1] == "waiting in the queue, 0 tries"
    assert run(app, "upload", "find", raw_path(participant)) == steps
    assert run(app, "upload", "find", raw_path(participant) + ".zst") == steps


def test_a_processed_upload_names_its_chunks(app: Flask, participant: Participant):
    """MODEL-105."""
    send(app, participant)
    app.test_cli_runner().invoke(args=["process-uploads"])
    steps = run(app, "upload", "find", NAME)
    assert [step["what"].partition(",")[0] for step in steps] == ["accepted", "processed"]
    assert "1 chunks from 2024-06-01T10:00:00+00:00" in steps[-1]["where"]
    stored = db.session.scalar(db.select(StoredObject.path).where(StoredObject.path.like("%gps/1717236000000%")))
    assert steps[0]["where"] == stored


@pytest.mark.parametrize("name", ["nobody11_gps_1.csv", f"{PATIENT}_gps_1.csv", "x", "", "a/b"])
def test_a_name_that_nobody_sent_is_an_error(app: Flask, participant: Participant, name: str):
    """OPS-2: one line."""
    result = app.test_cli_runner().invoke(args=["upload", "find", name])
    assert result.exit_code == 1
    assert "nothing is known" in result.stderr
