"""The client `beiwe-sync` against the real gunicorn (CLAR-73): incremental, resumable, verified."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
import urllib3
from beiwe_sync import Folder, Outcome, RemoteFile, Server, sync
from beiwe_sync.folder import UnsafeName
from flask import Flask

from core.database import db
from core.models import Chunk, DataAccessRecord, Participant, Study
from tests.core.processing.test_batch import HEADER, process, queue
from tests.support.broken_line import broken_line
from tests.support.factories import Factory
from tests.support.gunicorn import gunicorn
from webapp.stores import object_store

RECORDING_BYTES = 2 << 20


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Sleep and movement")


@pytest.fixture
def people(factory: Factory, study: Study) -> list[Participant]:
    """Two participants with three chunks, two answers of one second and two recordings each."""
    people = [factory.participant(study) for _ in range(2)]
    for participant in people:
        rows = b"1700002801000,3,1,1,1\n1700006401000,3,2,2,2\n1700010001000,3,2,2,2"
        queue(factory, participant, "accel/1700002800000.csv", HEADER + rows)
        for ms in ("000", "500"):
            queue(factory, participant, f"surveyAnswers/{'a' * 24}/1700002801{ms}.csv", b"question id\nq" + ms.encode())
            recording = f"voiceRecording/{'b' * 24}/1700002{ms}.wav"
            queue(factory, participant, recording, os.urandom(RECORDING_BYTES))
    assert not process().failures
    return people


@pytest.fixture
def key(factory: Factory, study: Study) -> dict[str, str]:
    return factory.api_key(factory.researcher(study=study))


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    with gunicorn() as address:
        yield address


def query(study: Study, *more: tuple[str, str]) -> list[tuple[str, str]]:
    return [("study_id", study.object_id), ("limit", "3"), *more]


def run(address: str, key: Mapping[str, str], folder: Path, asked: list[tuple[str, str]], **more: bool) -> Outcome:
    server = Server(address, key["access_key"], key["secret_key"])
    with Folder(folder) as opened:
        return sync(server, opened, asked, **more)


def command(*arguments: object, key: Mapping[str, str] | None = None, **more: str) -> "subprocess.Popen[str]":
    """The console command, in a process of its own."""
    keys = {"BEIWE_ACCESS_KEY": key["access_key"], "BEIWE_SECRET_KEY": key["secret_key"]} if key else {}
    given = {"PATH": os.environ["PATH"], **keys, **more}
    called = [str(Path(sys.executable).with_name("beiwe-sync")), *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    return subprocess.Popen(called, env=given, text=True, **pipes)


def as_zip(address: str, key: Mapping[str, str], study: Study) -> dict[str, bytes]:
    """What `get-data` gives, by name."""
    body = urlencode({**key, "study_id": study.object_id})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = urllib3.request("POST", f"{address}/get-data/v1", body=body, headers=headers, timeout=60)
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "registry"}


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and ".beiwe-sync" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_folder_is_kept_in_step(
    factory: Factory, study: Study, people: list[Participant], key: dict[str, str], address: str, tmp_path: Path
):
    """DATA-24: a changed chunk comes again, an unchanged one never; also a folder that another program has filled.

    DATA-26: the first page's record counts the bytes of its files.
    """
    first = run(address, key, tmp_path / "data", [("study_id", study.object_id)])
    assert (first.is_complete, first.listed, first.fetched) == (True, 14, 14)
    record = db.session.scalars(db.select(DataAccessRecord)).first()
    assert record is not None
    assert record.size_bytes is not None
    assert record.size_bytes > first.received_bytes == first.listed_bytes
    assert contents(tmp_path / "data") == as_zip(address, key, study)

    again = run(address, key, tmp_path / "data", query(study))
    assert (again.unchanged, again.fetched, again.received_bytes) == (14, 0, 0)

    queue(factory, people[0], "accel/1700002810000.csv", HEADER + b"1700002811000,3,9,9,9")
    process()
    changed = run(address, key, tmp_path / "data", query(study))
    assert (changed.unchanged, changed.fetched) == (13, 1)
    assert contents(tmp_path / "data") == as_zip(address, key, study)

    (tmp_path / "data" / ".beiwe-sync" / "state.sqlite").unlink()
    adopted = run(address, key, tmp_path / "data", query(study))
    assert (adopted.unchanged, adopted.fetched) == (14, 0)

    spoilt = next((tmp_path / "data" / people[0].patient_id / "audio_recordings").rglob("*.wav"))
    before = spoilt.stat()
    spoilt.write_bytes(os.urandom(RECORDING_BYTES))
    os.utime(spoilt, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run(address, key, tmp_path / "data", query(study)).fetched == 0
    assert run(address, key, tmp_path / "data", query(study), is_checked=True).fetched == 1
    assert contents(tmp_path / "data") == as_zip(address, key, study)


def test_a_file_of_unknown_size_that_was_received_whole_is_put_into_its_place(
    study: Study, people: list[Participant], key: dict[str, str], address: str, tmp_path: Path
):
    """CLAR-73: a run was killed after the last byte; so is one whose part is damaged."""
    whole, asked = as_zip(address, key, study), query(study, ("data_streams", "accelerometer"))
    server = Server(address, key["access_key"], key["secret_key"])
    for damage in (b"", b"x"):
        with Folder(tmp_path / f"data{len(damage)}") as folder:
            files = [replace(file, size=None) for file in server.files(asked)]
            for file in files:
                folder.part(file).write_bytes(whole[file.name][len(damage) :] + damage)
            server.files = lambda query, files=files: iter(files)  # type: ignore[method-assign]
            assert sync(server, folder, asked).is_complete
            del server.files
        assert contents(tmp_path / f"data{len(damage)}") == {name: whole[name] for name in (f.name for f in files)}


def test_a_broken_line_costs_no_byte_twice(
    study: Study, people: list[Participant], key: dict[str, str], address: str, tmp_path: Path
):
    """CLAR-73: each connection breaks after 700 kB; what arrived is kept."""
    with broken_line(int(address.rpartition(":")[2]), cut_after=700_000) as line:
        done = run(f"http://127.0.0.1:{line.port}", key, tmp_path / "data", query(study))
    assert done.is_complete
    assert line.cuts >= 4 * 2
    assert done.received_bytes == done.listed_bytes
    assert contents(tmp_path / "data") == as_zip(address, key, study)


@pytest.mark.long
def test_a_byte_that_changed_on_the_way_is_found(
    study: Study, people: list[Participant], key: dict[str, str], address: str, tmp_path: Path
):
    with broken_line(int(address.rpartition(":")[2]), change_at=1_000_000) as line:
        done = run(f"http://127.0.0.1:{line.port}", key, tmp_path / "data", query(study))
    assert line.change_at is None
    assert done.is_complete
    assert done.received_bytes == done.listed_bytes + RECORDING_BYTES
    assert contents(tmp_path / "data") == as_zip(address, key, study)


def test_missing_files_are_named_and_the_rest_is_there(
    study: Study, people: list[Participant], key: dict[str, str], address: str, tmp_path: Path
):
    lost = db.session.scalars(db.select(Chunk.path).where(Chunk.path.like("%voiceRecording%"))).first()
    object_store().delete(f"{lost}.zst")
    data = tmp_path / "data"
    ended = command(address, "--study", study.object_id, "--out", data, key=key)
    out, err = ended.communicate(timeout=60)
    assert ended.returncode == 1, err
    problems = json.loads((data / ".beiwe-sync" / "problems.json").read_text())
    assert len(problems) == 1
    assert "missing in the store" in next(iter(problems.values()))
    assert "1 files are missing" in err
    assert "13 downloaded" in out
    assert len(contents(data)) == 13


@pytest.mark.parametrize("kills", [pytest.param(2), pytest.param(20, marks=pytest.mark.long)])
def test_a_run_that_is_killed_goes_on(
    study: Study, people: list[Participant], key: dict[str, str], address: str, tmp_path: Path, kills: int
):
    """CLAR-73: SIGKILL at random moments; the last run ends verified, and little was downloaded twice."""
    moments, data = random.Random(kills), tmp_path / "data"
    for _ in range(kills):
        running = command(address, "--study", study.object_id, "--out", data, "--parallel", 2, key=key)
        wait_for_growth(running, data / ".beiwe-sync" / "parts")
        time.sleep(moments.uniform(0, 0.05))
        has_ended = running.poll() is not None
        running.send_signal(signal.SIGKILL)
        running.communicate(timeout=30)
        if has_ended:
            for path in data.rglob("*.wav"):
                path.unlink()
    last = command(address, "--study", study.object_id, "--out", data, key=key)
    out, err = last.communicate(timeout=60)
    assert last.returncode == 0, (out, err)
    assert contents(data) == as_zip(address, key, study)
    assert not list((data / ".beiwe-sync" / "parts").iterdir())


def test_ctrl_c_ends_it_at_once_while_the_server_is_silent(
    study: Study, people: list[Participant], key: dict[str, str], address: str, tmp_path: Path
):
    """CLAR-73: not only when the server's 90 seconds are over; the next run goes on from there."""
    data = tmp_path / "data"
    with broken_line(int(address.rpartition(":")[2]), silent_after=700_000) as line:
        stopped = command(f"http://127.0.0.1:{line.port}", "--study", study.object_id, "--out", data, key=key)
        assert line.is_silent.wait(30)
        stopped.send_signal(signal.SIGINT)
        _, err = stopped.communicate(timeout=30)
    assert (stopped.returncode, "go on from here" in err) == (130, True), err
    assert run(address, key, data, query(study)).is_complete
    assert contents(data) == as_zip(address, key, study)


def wait_for_growth(running: "subprocess.Popen[str]", parts: Path) -> None:
    """Until the client has begun to write a part, or has ended."""
    end = time.monotonic() + 30
    while running.poll() is None and time.monotonic() < end:
        if parts.exists() and any(part.stat().st_size for part in list(parts.iterdir()) if part.exists()):
            return
        time.sleep(0.002)


def test_the_command_says_what_is_wrong(study: Study, key: dict[str, str], address: str, tmp_path: Path):
    wrong = key | {"secret_key": "a" * 64}
    cases: list[tuple[list[object], Mapping[str, str], int, str]] = [
        ([address, "--studies"], key, 0, "Sleep and movement"),
        ([address, "--studies"], wrong, 2, "not valid"),
        ([address, "--study", "x" * 24, "--out", tmp_path / "1"], key, 2, "no such study"),
        ([address, "--study", study.object_id, "--out", tmp_path / "2", "--streams", "gqs"], key, 2, "data_streams"),
        ([address, "--study", study.object_id, "--out", tmp_path / "3", "--from", "tomorrow"], key, 2, "not a time"),
        ([address, "--study", study.object_id, "--out", tmp_path / "4", "--list"], key, 0, "0 would be downloaded"),
        (["http://example.org", "--studies"], key, 2, "use https"),
        ([address], key, 2, "--study and --out are needed"),
    ]
    running = [(command(*arguments, key=given), status, told) for arguments, given, status, told in cases]
    for ended, status, told in running:
        out, err = ended.communicate(timeout=60)
        assert (ended.returncode, told in out + err) == (status, True), (out, err)
    with Folder(tmp_path / "in use"):
        ended = command(address, "--study", study.object_id, "--out", tmp_path / "in use", key=key)
        assert ended.wait(60) == 2
        assert "another beiwe-sync works in" in ended.communicate()[1]


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../b", "a//b", "a:b", "a\\b", "con.csv", "a/b.", ".beiwe-sync/x", ""]
)
def test_a_name_never_leaves_the_folder(tmp_path: Path, name: str):
    with Folder(tmp_path) as folder, pytest.raises(UnsafeName):
        folder.place(name)


def test_a_damaged_state_is_made_again(tmp_path: Path):
    with Folder(tmp_path) as folder:
        (tmp_path / "a.csv").write_bytes(b"")
        empty = RemoteFile("a.csv", "", 0, "md5", "d41d8cd98f00b204e9800998ecf8427e", None)
        assert folder.has(empty)
    (tmp_path / ".beiwe-sync" / "state.sqlite").write_bytes(b"no database" * 1_000)
    with Folder(tmp_path) as folder:
        assert folder.names() == set()
        assert folder.has(empty)
