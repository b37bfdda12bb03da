"""The data API over a socket, served by the real gunicorn."""

import io
import json
import os
import zipfile
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3
from flask import Flask

from core.audit import SERVER
from core.database import db
from core.models import Chunk, Participant, Study
from core.participants import create_participants, creating
from tests.core.processing.test_batch import HEADER, process, queue
from tests.support.factories import Factory
from tests.support.gunicorn import gunicorn

POST_ONLY = ("/check-my-credentials/v1", "/get-studies/v1", "/get-participant-ids/v1", "/get-users/v1")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study()


@pytest.fixture
def key(factory: Factory, study: Study) -> dict[str, str]:
    return factory.api_key(factory.researcher(study=study))


def get_data(server: str, key: dict[str, str], study: Study, **fields: str) -> urllib3.BaseHTTPResponse:
    body = urlencode({**key, "study_id": study.object_id, **fields})
    return urllib3.request("POST", f"{server}/get-data/v1", body=body, headers=FORM, retries=False, timeout=60)


def members(answer: urllib3.BaseHTTPResponse) -> dict[str, bytes]:
    assert answer.status == 200, answer.data
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def filled(factory: Factory, study: Study, patient_id: str) -> Participant:
    """A participant with a chunk, a survey answer and a recording."""
    participant = factory.participant(study, patient_id)
    queue(factory, participant, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")
    queue(factory, participant, f"surveyAnswers/{'a' * 24}/1700002801000.csv", b"question id\nq")
    queue(factory, participant, f"voiceRecording/{'b' * 24}/1700002801.wav", os.urandom(99))
    return participant


def test_ids_that_read_as_numbers_name_participants(app: Flask, factory: Factory, study: Study, key: dict[str, str]):
    """DATA-20: as a plain field; an unknown one stays unknown."""
    for patient_id in ("23456789", "1e234567", "abcdefgh"):
        filled(factory, study, patient_id)
    process()
    with gunicorn() as server:
        for field in ("user_ids", "participant_ids"):
            for patient_id in ("23456789", "1e234567"):
                names = members(get_data(server, key, study, **{field: patient_id}))
                assert {name.split("/")[0] for name in names} == {patient_id, "registry"}
        assert get_data(server, key, study, user_ids="99999999").status == 404
        assert get_data(server, key, study, participant_ids='["\\ud800"]').status == 400


def test_a_registry_that_is_sent_back_brings_only_what_changed(
    app: Flask, factory: Factory, study: Study, key: dict[str, str]
):
    """DATA-24, CLAR-72: survey answers and recordings neither come again nor lose their place; nothing is null."""
    participant = filled(factory, study, "abcdefgh")
    process()
    with gunicorn() as server:
        first = members(get_data(server, key, study))
        assert len(first) == 4
        assert list(members(get_data(server, key, study, registry=first["registry"].decode()))) == ["registry"]
        queue(factory, participant, "accel/1700002802000.csv", HEADER + b"1700002802000,3,1,1,1")
        queue(factory, participant, f"surveyAnswers/{'a' * 24}/1700002899000.csv", b"question id\nr")
        process()
        db.session.execute(db.update(Chunk).where(Chunk.path.is_not(None)).values(sha1=None))
        db.session.commit()
        changed = members(get_data(server, key, study, registry=first["registry"].decode()))
        assert sorted(name.split("/")[1] for name in changed if "/" in name) == ["accelerometer", "survey_answers"]
        hashes = json.loads(changed["registry"])
        assert all(isinstance(value, str) for value in hashes.values())
        merged = json.loads(first["registry"]) | hashes
        assert list(members(get_data(server, key, study, registry=json.dumps(merged)))) == ["registry"]


@pytest.mark.long
def test_a_registry_of_a_million_entries_is_looked_up_not_searched(
    app: Flask, factory: Factory, study: Study, key: dict[str, str]
):
    """DATA-24: hashes are looked up in a set, not searched for each recording."""
    participant = filled(factory, study, "abcdefgh")
    for n in range(200):
        queue(factory, participant, f"voiceRecording/{'b' * 24}/17000030{n:02}.wav", os.urandom(9))
    process()
    looked_up: dict[str, Any] = {f"x/{n}": "A" * 27 + "=" for n in range(1_000_000)}
    with gunicorn() as server:
        answer = get_data(server, key, study, registry=json.dumps(looked_up, separators=(",", ":")))
        assert len(members(answer)) == 204


def test_lists_are_asked_for_by_post_alone(app: Flask):
    """DATA-40, PERM-10: 405 for other methods, also before any look at keys; get-data keeps its 400."""
    with gunicorn() as server:
        for path in POST_ONLY:
            for method in ("GET", "HEAD", "PUT", "DELETE"):
                assert urllib3.request(method, server + path, retries=False).status == 405
        assert urllib3.request("GET", f"{server}/get-data/v1", retries=False).status == 400


def test_new_ids_never_read_as_numbers(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """DATA-20."""
    drawn = iter(["23456789", "1e234567", "123e4567", "ab3kz9qw", *["a password"] * 9])
    monkeypatch.setattr(creating, "new_identifier", lambda: next(drawn))
    study = factory.study()
    (new,) = create_participants(db.session(), factory.store(study), study, 1, actor=SERVER)
    assert new.patient_id == "ab3kz9qw"
