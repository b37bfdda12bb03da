"""Files that a phone sends after the participant registered another one, with the real gunicorn and command."""

import os
from urllib.parse import urlencode

import pytest
import urllib3
from flask import Flask

from core.crypto.passwords import device_hash
from core.database import db
from core.models import Participant, ProblemUpload, QueuedUpload
from core.streams import SPECS, DataStream, Platform
from ops.phones.encryption import encrypt_text, read_public_key
from tests.core.processing.test_batch import queue
from tests.support.commands import command
from tests.support.factories import PASSWORD, Factory
from tests.support.gunicorn import gunicorn
from tests.support.paths import VECTORS
from tests.support.portal_visitor import Visitor
from webapp.stores import object_store

PUBLIC_KEY = read_public_key((VECTORS / "device_files" / "test_client_public_key.txt").read_text())
FILES = {
    "callLog_1717236000000": [
        "hashed phone number,call type,timestamp,duration in seconds",
        "aa,Outgoing Call,1717236001000,10",
        "bb,Incoming Call,1717236002000,20",
    ],
    "wifiLog_1717236000000": ["hashed MAC, frequency, RSSI", "aa,2412,-40", "bb,2437,-60"],
    "logFile_1717236000000": ["1717236000000 a line", "1717236001000 a line", "1717236002000 a line"],
}


@pytest.fixture
def participant(factory: Factory) -> Participant:
    return factory.participant(patient_id="ab3kz9qw")


def post(address: str, participant: Participant, password: str, device: str, **fields: str) -> int:
    """A phone's request; device and password are its own."""
    form = {"patient_id": participant.patient_id, "password": device_hash(password), "device_id": device, **fields}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return urllib3.request("POST", address, body=urlencode(form), headers=headers, retries=False).status


def chunk(factory: Factory, participant: Participant, stream: str) -> list[bytes]:
    """The rows of all chunks of a stream."""
    folder = f"CHUNKED_DATA/{participant.study.object_id}/{participant.patient_id}/{stream}/"
    keys = [key.removesuffix(".zst") for key in object_store().keys(folder)]
    store = factory.store(participant.study)
    return [row for key in keys for row in store.read(key)[0].splitlines()[1:]]


def test_the_last_files_of_an_android_phone_keep_their_rows_when_an_iphone_took_its_place(
    factory: Factory, participant: Participant
):
    """PHONE-68, PROC-19, PROC-21: two calls, one Wi-Fi row, three log rows."""
    new = {"phone_number": "x", "new_password": "x"}
    with gunicorn() as server:
        assert post(f"{server}/register_user", participant, PASSWORD, "android", **new) == 200
        participant.password_hash = factory.participant().password_hash  # the new password that staff gave
        db.session.commit()
        assert post(f"{server}/register_user/ios", participant, PASSWORD, "iphone", **new) == 200
        for name, lines in FILES.items():
            file = encrypt_text(lines, PUBLIC_KEY, Platform.ANDROID).decode()  # type: ignore[arg-type]
            sent = {"file_name": f"{participant.patient_id}_{name}.csv", "file": file}
            assert post(f"{server}/upload", participant, "an old one", "android", **sent) == 200
    assert db.session.scalar(db.select(Participant.os_type).filter_by(id=participant.id)) == "IOS"
    assert command("process-uploads")["failed"] == 0
    assert [len(chunk(factory, participant, stream)) for stream in ("calls", "wifi", "app_log")] == [2, 1, 3]


def test_interleaved_uploads_of_two_phones_make_one_chunk_with_the_rows_of_both(
    factory: Factory, participant: Participant
):
    """PHONE-68, PROC-21: turn by turn in the same hour, processed after each round; a repeated file adds nothing."""
    new = {"phone_number": "x", "new_password": "x"}
    start, rows = 1717236000000, []
    phones = {Platform.ANDROID: ("android", ""), Platform.IOS: ("iphone", "/ios")}
    with gunicorn() as server:
        for turn in range(3):
            for place, (platform, (device, path)) in enumerate(phones.items()):
                if turn == 0:
                    participant.password_hash = factory.participant().password_hash
                    db.session.commit()
                    assert post(f"{server}/register_user{path}", participant, PASSWORD, device, **new) == 200
                times = [start + (turn * 2 + place) * 1000 + 500 * n for n in range(2)]
                lines = [f"{at},unknown,0.{place},0.{turn},{n}" for n, at in enumerate(times)]
                rows += times
                file = encrypt_text(
                    ["timestamp,accuracy,x,y,z", *lines],
                    PUBLIC_KEY,  # type: ignore[arg-type]
                    platform,
                ).decode()
                sent = {"file_name": f"{participant.patient_id}_accel_{times[0]}.csv", "file": file}
                for _ in range(2):  # the second is what a phone sends whose connection broke before the answer
                    assert post(f"{server}/upload{path}", participant, "an old one", device, **sent) == 200
            assert command("process-uploads")["failed"] == 0
    stored = chunk(factory, participant, "accelerometer")
    assert [int(row.split(b",")[0]) for row in stored] == rows
    assert [row.split(b",")[3] for row in stored] == [b"0.0", b"0.0", b"0.1", b"0.1"] * 3


def test_streams_of_files_without_rows_say_so_and_do_not_wait(app: Flask, factory: Factory, participant: Participant):
    """PROC-10, PORTAL-130: header-only files of every stream with chunks."""
    chunked = [spec for spec in SPECS.values() if spec.is_chunked and spec.stream is not DataStream.IDENTIFIERS]
    for spec in chunked:
        folder = f"{spec.upload_aliases[0]}/{'A' * 24 + '/' if spec.has_survey else ''}"
        queue(factory, participant, f"{folder}1717236000000.csv", f"timestamp,{spec.columns}".encode())
    visitor = Visitor(app, factory.researcher(study=participant.study))
    page = f"/view_study/{participant.study_id}/participant/{participant.patient_id}"
    assert visitor.get(page).text.count("waits") >= len(chunked)
    assert command("process-uploads")["files"] == len(chunked)
    text = visitor.get(page).text
    by_stream = text[text.index('id="streams-head"') : text.index('id="recent-head"')]
    assert by_stream.count("no rows,") == len(chunked)
    assert "waits" not in by_stream
    assert by_stream.count("<time") == 2 * len(chunked)


def test_a_file_under_another_files_key_line_is_kept_as_it_came(factory: Factory, participant: Participant):
    """PHONE-112: 200, the ciphertext kept aside, nothing queued. Of few lines one in ten may fit by chance."""
    one, two = (encrypt_text(["timestamp,a", *rows], PUBLIC_KEY, Platform.IOS) for rows in (["1,2"] * 60, ["3,4"] * 60))  # type: ignore[arg-type]
    file = b"\n".join([one.splitlines()[0], *two.splitlines()[1:]])
    name = f"{participant.patient_id}_gps_1717236000000.csv"
    with gunicorn() as server:
        fields = {
            "patient_id": participant.patient_id,
            "password": device_hash(PASSWORD),
            "device_id": os.urandom(4).hex(),
            "file_name": name,
            "file": (name, file),
        }
        answer = urllib3.request("POST", f"{server}/upload/ios", fields=fields, retries=False)
    assert answer.status == 200
    problem = db.session.scalars(db.select(ProblemUpload)).one()
    assert problem.reason == "key does not fit"
    assert factory.store(participant.study).read(problem.object_path)[0] == file
    assert db.session.scalars(db.select(QueuedUpload)).all() == []
