"""The data API (DATA-1 to DATA-26, DATA-40)."""

import io
import json
import zipfile
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from core.access import Role
from core.crypto.seal import seal_legacy
from core.database import db
from core.downloads.members import member_name
from core.models import Chunk, DataAccessRecord, Participant, Researcher, StoredObject, Study
from core.operations.tallies import all_tallies
from core.streams import DataStream
from tests.core.processing.test_batch import HEADER, process, queue
from tests.support.factories import Factory
from webapp.stores import object_store

PROBLEMS = "{}/problems/problems.json"  # CLAR-70
ACCELEROMETER = HEADER + b"1700002801000,3,1,1,1\n1700006401000,3,2,2,2"
GPS = b"timestamp,latitude,longitude,altitude,accuracy\n1700002801000,42,-71,3,11"


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Sleep and movement")


@pytest.fixture
def participant(factory: Factory, study: Study) -> Participant:
    """A participant with two accelerometer chunks, one of GPS, and two survey answers in one second."""
    participant = factory.participant(study)
    queue(factory, participant, "accel/1700002800000.csv", ACCELEROMETER)
    queue(factory, participant, "gps/1700002800000.csv", GPS)
    for ms in ("000", "500"):
        queue(factory, participant, f"surveyAnswers/{'a' * 24}/1700002801{ms}.csv", b"question id\nq" + ms.encode())
    assert not process().failures
    return participant


@pytest.fixture
def key(factory: Factory, study: Study) -> dict[str, str]:
    return factory.api_key(factory.researcher(study=study))


def ask(app: Flask, path: str, fields: dict[str, Any], **more: Any) -> TestResponse:
    return app.test_client().post(path, data={**fields, **more})


def unzip(answer: TestResponse) -> dict[str, bytes]:
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} <= {zipfile.ZIP_STORED}
        return {info.filename: archive.read(info) for info in archive.infolist()}


@pytest.mark.parametrize("slash", ["", "/"])
def test_credentials_that_are_right_are_told_so(app: Flask, key: dict[str, str], slash: str):
    """DATA-1, DATA-4, DATA-40."""
    assert ask(app, f"/check-my-credentials/v1{slash}", key).text == "The provided credentials are valid"
    for wrong, status in (
        ({}, 400),
        ({"access_key": key["access_key"]}, 400),
        (key | {"secret_key": "a b"}, 400),
        (key | {"secret_key": ""}, 400),
        (key | {"secret_key": "A" * 64}, 403),
        (key | {"access_key": "A" * 64}, 403),
    ):
        assert ask(app, "/check-my-credentials/v1", wrong).status_code == status
    assert app.test_client().get("/get-data/v1").status_code == 400


def test_a_key_that_is_disabled_between_two_requests_stops_at_once(app: Flask, factory: Factory, key: dict[str, str]):
    """DATA-4: verified secrets are remembered, but not beyond that."""
    assert [ask(app, "/get-studies/v1", key).status_code for _ in range(2)] == [200, 200]
    factory.disable(key["access_key"])
    assert ask(app, "/get-studies/v1", key).status_code == 403


def test_keys_end_with_their_owners_account(app: Flask, key: dict[str, str]):
    """DATA-1, PERM-2: also a key whose secret was found to be right before."""
    client = app.test_client()
    assert client.post("/get-studies/v1", data=key).status_code == 200
    db.session.execute(db.update(Researcher).values(is_disabled=True))
    db.session.commit()
    assert client.post("/get-studies/v1", data=key).status_code == 403
    db.session.execute(db.update(Researcher).values(is_disabled=False))
    db.session.commit()
    assert client.post("/get-studies/v1", data=key).status_code == 200


def test_studies_are_ones_own_and_all_for_site_administrators(app: Flask, factory: Factory, study: Study, key):
    """DATA-3, DATA-40."""
    other = factory.study("Other")
    hidden = factory.study("Hidden")
    hidden.hidden_at = db.func.now()
    db.session.commit()
    assert ask(app, "/get-studies/v1", key).json == {study.object_id: "Sleep and movement"}
    site = factory.api_key(factory.researcher(is_site_admin=True))
    assert set(ask(app, "/get-studies/v1", site).json) == {study.object_id, other.object_id}
    assert ask(app, "/get-users/v1", site, study_id=hidden.object_id).status_code == 404


@pytest.mark.parametrize("path", ["/get-participant-ids/v1", "/get-users/v1", "/get-data/v1"])
def test_a_study_that_is_malformed_unknown_or_foreign_is_told_apart(app: Flask, factory: Factory, key, path: str):
    """DATA-2, DATA-3."""
    for fields, status in (
        ({}, 400),
        ({"study_id": "a" * 23}, 400),
        ({"study_id": "a" * 23 + "-"}, 400),
        ({"study_id": "a" * 24}, 404),
        ({"study_pk": "x"}, 400),
        ({"study_pk": "-1"}, 400),
        ({"study_pk": "9999"}, 404),
        ({"study_pk": "9" * 30}, 400),
        ({"study_id": factory.study().object_id}, 403),
    ):
        assert ask(app, path, key, **fields).status_code == status, fields


def test_patient_ids_are_listed(app: Flask, factory: Factory, study: Study, participant: Participant, key):
    """DATA-40."""
    second = factory.participant(study)
    wanted = sorted([participant.patient_id, second.patient_id])
    assert ask(app, "/get-participant-ids/v1", key, study_id=study.object_id).json == wanted
    assert ask(app, "/get-users/v1/", key, study_pk=study.id).json == wanted


def test_a_download_holds_every_chunk_under_its_name_and_a_registry(app: Flask, study: Study, participant, key):
    """DATA-21, DATA-22, DATA-23: two answers in one second get different names."""
    files = unzip(ask(app, "/get-data/v1", key, study_id=study.object_id))
    patient = participant.patient_id
    survey = "a" * 24
    assert set(files) == {
        f"{patient}/accelerometer/2023-11-14 23_00_00+00_00.csv",
        f"{patient}/accelerometer/2023-11-15 00_00_00+00_00.csv",
        f"{patient}/gps/2023-11-14 23_00_00+00_00.csv",
        f"{patient}/survey_answers/{survey}/2023-11-14 23_00_01+00_00.csv",
        f"{patient}/survey_answers/{survey}/2023-11-14 23_00_01+00_00_2.csv",
        "registry",
    }
    assert files[f"{patient}/gps/2023-11-14 23_00_00+00_00.csv"].startswith(b"timestamp,UTC time,latitude")
    registry = json.loads(files["registry"])
    gps = db.session.scalars(db.select(Chunk).where(Chunk.stream == 6)).one()
    path = f"CHUNKED_DATA/{study.object_id}/{patient}/gps/2023-11-14T23:00:00.csv"
    assert registry[path] == b64encode(gps.md5).decode()
    assert len(registry) == 5
    assert registry[f"{study.object_id}/{patient}/surveyAnswers/{survey}/1700002801000.csv"] == ""


def test_a_registry_leaves_out_what_has_not_changed_and_nothing_else(app: Flask, study: Study, participant, key):
    """DATA-24: MD5 or SHA-1, with or without the leading folder; a stale hash makes the file come."""
    first = json.loads(unzip(ask(app, "/get-data/v1", key, study_id=study.object_id))["registry"])
    chunks = {path: value for path, value in first.items() if value}
    again = unzip(ask(app, "/get-data/v1", key, study_id=study.object_id, registry=json.dumps(chunks)))
    assert len(again) == 3  # two survey answers, which this registry does not name, and the registry
    sha1s = json.loads(again["registry"])
    assert {len(value) for value in sha1s.values()} == {28}
    short = {path.removeprefix("CHUNKED_DATA/"): f" {value} " for path, value in chunks.items()}
    files = unzip(ask(app, "/get-data/v1", key, study_id=study.object_id, registry=json.dumps(short | sha1s)))
    assert list(files) == ["registry"]
    stale = dict.fromkeys(chunks, "A" * 22 + "==")
    assert len(unzip(ask(app, "/get-data/v1", key, study_id=study.object_id, registry=json.dumps(stale)))) == 6


def test_a_file_keeps_its_name_when_the_caller_has_its_neighbour(app: Flask, study: Study, participant, key):
    """DATA-22, DATA-24: the second answer of a second would otherwise overwrite the first on the caller's disk."""
    registry = json.loads(unzip(ask(app, "/get-data/v1", key, study_id=study.object_id))["registry"])
    known = {path: value for path, value in registry.items() if "1700002801500" not in path}
    files = unzip(ask(app, "/get-data/v1", key, study_id=study.object_id, registry=json.dumps(known)))
    assert [name.rpartition("/")[2] for name in files] == ["2023-11-14 23_00_01+00_00_2.csv", "registry"]


def test_a_recording_of_a_taken_name_keeps_its_extension():
    """DATA-22, PROC-2."""
    path = f"{'c' * 24}/abcd1234/voiceRecording/{'a' * 24}/1700002801.wav-duplicate-abcdefghij"
    at = datetime(2023, 11, 14, 23, 0, 1, tzinfo=UTC)
    name = member_name("abcd1234", DataStream.AUDIO_RECORDINGS, path, at, None)
    assert name == f"abcd1234/audio_recordings/{'a' * 24}/2023-11-14 23_00_01+00_00.wav"


def test_a_dict_registry_of_very_many_files_is_answered_whole(app: Flask, study: Study, participant, key):
    """CLAR-71: mano sends one field for each file that it has."""
    paths = [f"CHUNKED_DATA/{study.object_id}/x/gps/{number}.csv" for number in range(12_000)]
    assert len(unzip(ask(app, "/get-data/v1", key, study_id=study.object_id, registry=paths))) == 6


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"data_streams": '["gps"]'}, 1),
        ({"data_streams": '["gps","gps"]'}, 1),
        ({"data_streams": ["gps", "accelerometer"]}, 3),
        ({"time_start": "2023-11-15T00:00:00"}, 1),
        ({"time_end": "2023-11-14T23:00:00"}, 2),
        ({"time_start": "2024-01-01T00:00:00", "time_end": "2023-01-01T00:00:00"}, 0),
    ],
)
def test_streams_and_times_narrow_a_download(app: Flask, study: Study, participant, key, fields: dict, count: int):
    """DATA-20: inclusive on both ends, compared with the time bin."""
    assert len(unzip(ask(app, "/get-data/v1", key, study_id=study.object_id, **fields))) == count + 1


def test_participants_narrow_a_download_and_those_of_other_studies_have_no_data_here(
    app: Flask, factory: Factory, study: Study, participant, key
):
    """DATA-20: an unknown one is 404."""
    second = factory.participant(study)
    foreign = factory.participant()
    for ids, count in (
        ({"participant_ids": participant.patient_id}, 5),
        ({"user_ids": json.dumps([second.patient_id])}, 0),
        ({"participant_ids": [second.patient_id, participant.patient_id, participant.patient_id]}, 5),
        ({"participant_ids": foreign.patient_id}, 0),
    ):
        assert len(unzip(ask(app, "/get-data/v1", key, study_id=study.object_id, **ids))) == count + 1
    assert ask(app, "/get-data/v1", key, study_id=study.object_id, participant_ids="nobody11").status_code == 404


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"data_streams": "nonsense"}, 404),
        ({"data_streams": "[broken"}, 404),
        ({"data_streams": '{"a": 1}'}, 400),
        ({"time_start": "2023-11-15T00:00:00Z"}, 400),
        ({"time_end": "yesterday"}, 400),
        ({"registry": "[]"}, 400),
        ({"registry": "{"}, 400),
    ],
)
def test_wrong_parameters_are_refused_with_a_sentence(app: Flask, study: Study, key, fields: dict, status: int):
    """DATA-20."""
    answer = ask(app, "/get-data/v1", key, study_id=study.object_id, **fields)
    assert answer.status_code == status
    assert answer.text


def test_a_browser_gets_an_attachment_without_a_registry(app: Flask, study: Study, participant, key):
    """DATA-20, DATA-23."""
    answer = ask(app, "/get-data/v1", key, study_id=study.object_id, web_form="1")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="data.zip"'
    assert "registry" not in unzip(answer)


def test_an_object_that_is_missing_is_listed_and_the_others_come(app: Flask, study: Study, participant, key):
    """DATA-25, CLAR-70."""
    path = f"CHUNKED_DATA/{study.object_id}/{participant.patient_id}/gps/2023-11-14T23:00:00.csv"
    object_store().delete(path + ".zst")
    files = unzip(ask(app, "/get-data/v1", key, study_id=study.object_id))
    assert json.loads(files[PROBLEMS.format(participant.patient_id)]) == [
        {"path": path, "problem": "missing in the store"}
    ]
    assert path not in json.loads(files["registry"])
    assert len(files) == 6


def test_large_objects_are_passed_through_in_pieces(
    app: Flask, factory: Factory, study: Study, participant, key, monkeypatch: pytest.MonkeyPatch
):
    """DATA-21: memory does not grow with an object."""
    monkeypatch.setattr("core.downloads.members.SMALL_BYTES", 10)
    files = unzip(ask(app, "/get-data/v1", key, study_id=study.object_id, data_streams="accelerometer"))
    for name, contents in files.items():
        if name != "registry":
            assert contents.startswith(b"timestamp,UTC time,accuracy")


def test_each_download_is_recorded_without_secrets(app: Flask, study: Study, participant, key):
    """DATA-26."""
    answer = ask(app, "/get-data/v1", key, study_id=study.object_id, data_streams="gps", registry="{}")
    size = len(answer.data)
    record = db.session.scalars(db.select(DataAccessRecord)).one()
    db.session.refresh(record)
    assert record.parameters == {"study_id": [study.object_id], "data_streams": ["gps"]}
    assert (record.registry_entries, record.size_bytes, record.error) == (0, size, None)
    assert record.ended_at is not None


def test_a_client_that_goes_away_is_recorded_and_its_connection_returned(app: Flask, study: Study, participant, key):
    """DATA-26: threads end, and the database connection is returned."""
    before = db.engine.pool.checkedout()
    answer = app.test_client().post("/get-data/v1", data=key | {"study_id": study.object_id}, buffered=False)
    next(answer.iter_encoded())
    answer.close()
    record = db.session.scalars(db.select(DataAccessRecord)).one()
    db.session.refresh(record)
    assert record.error == "GeneratorExit"
    assert db.engine.pool.checkedout() <= before + 1


def test_more_files_than_a_page_come_in_order_and_once(
    app: Flask, study: Study, participant, key, monkeypatch: pytest.MonkeyPatch
):
    """DATA-43: pages by key, not one long list."""
    monkeypatch.setattr("core.downloads.members.PAGE_ROWS", 2)
    assert len(unzip(ask(app, "/get-data/v1", key, study_id=study.object_id))) == 6


def test_rows_of_stored_objects_know_the_hashes(participant: Participant):
    """STORE-7."""
    assert all(row.sha1 for row in db.session.scalars(db.select(StoredObject)))


def test_a_study_administrator_downloads_like_a_researcher(app: Flask, factory: Factory, study: Study, participant):
    """PERM-3."""
    key = factory.api_key(factory.researcher(study=study, role=Role.STUDY_ADMIN))
    assert len(unzip(ask(app, "/get-data/v1", key, study_id=study.object_id))) == 6


def damage(path: str) -> None:
    """Flips the last bit of an object."""
    pieces, etag = object_store().read(path + ".zst")
    sealed = bytearray(b"".join(pieces))
    sealed[-1] ^= 1
    object_store().replace(path + ".zst", bytes(sealed), etag)


@pytest.mark.parametrize("small_bytes", [1 << 20, 10])
def test_a_damaged_object_of_any_size_is_listed_and_the_others_come(
    app: Flask, study: Study, participant, key, monkeypatch: pytest.MonkeyPatch, small_bytes: int
):
    """DATA-25: it must not break the zip, or the study could never be downloaded again. OPS-32: it is counted."""
    monkeypatch.setattr("core.downloads.members.SMALL_BYTES", small_bytes)
    path = f"CHUNKED_DATA/{study.object_id}/{participant.patient_id}/accelerometer/2023-11-14T23:00:00.csv"
    damage(path)
    files = unzip(ask(app, "/get-data/v1", key, study_id=study.object_id))
    assert json.loads(files[PROBLEMS.format(participant.patient_id)]) == [
        {"path": path, "problem": "damaged in the store"}
    ]
    assert len(files) == 6
    assert all_tallies(db.session())["integrity_failures", "download"] == 1


def test_an_old_object_put_back_in_place_of_a_new_one_is_noticed(app: Flask, study: Study, participant, key):
    """STORE-4: the row says which seal a chunk carries."""
    path = f"CHUNKED_DATA/{study.object_id}/{participant.patient_id}/gps/2023-11-14T23:00:00.csv"
    _, etag = object_store().read(path + ".zst")
    object_store().replace(path + ".zst", seal_legacy(b"timestamp,swapped", study.storage_key, 2), etag)
    files = unzip(ask(app, "/get-data/v1", key, study_id=study.object_id))
    assert json.loads(files[PROBLEMS.format(participant.patient_id)]) == [
        {"path": path, "problem": "damaged in the store"}
    ]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"data_streams": "[" * 200_000}, 400),
        ({"registry": "[" * 200_000}, 400),
        ({"foo": "a\0"}, 400),
        ({"participant_ids": '["\\u0000"]'}, 400),
        ({"participant_ids": '["\\ud800"]'}, 400),
        ({"data_streams": '["\\udfff"]'}, 400),
        ({"participant_ids": "true"}, 400),
        ({"participant_ids": "null"}, 400),
    ],
)
def test_crafted_fields_are_refused_not_failed(app: Flask, study: Study, key, fields: dict, status: int):
    """DATA-20, MODEL-7."""
    assert ask(app, "/get-data/v1", key, study_id=study.object_id, **fields).status_code == status


def test_a_misspelt_secret_is_not_recorded(app: Flask, study: Study, participant, key):
    """DATA-26."""
    ask(app, "/get-data/v1", key, study_id=study.object_id, **{"secret-key": "hidden"}).close()
    assert "hidden" not in str(db.session.scalars(db.select(DataAccessRecord)).one().parameters)
