"""The manifest and the files of `/get-data/v3` (CLAR-73)."""

import hashlib
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from core.access import Role, SiteLimit
from core.accounts.roles import set_role
from core.audit import SERVER
from core.database import db
from core.models import Chunk, CustomField, DataAccessRecord, FieldValue, Participant, StoredObject, Study
from tests.core.processing.test_batch import HEADER, process, queue
from tests.support.factories import Factory
from webapp.stores import object_store

MANIFEST = "/get-data/v3/manifest"
ROWS = HEADER + b"1700002801000,3,1,1,1\n1700006401000,3,2,2,2\n1700010001000,3,2,2,2"


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Sleep and movement")


@pytest.fixture
def people(factory: Factory, study: Study) -> list[Participant]:
    """Three participants: two with three chunks, two answers in one second and a recording, and one without a file."""
    people = [factory.participant(study) for _ in range(3)]
    for participant in people[:2]:
        queue(factory, participant, "accel/1700002800000.csv", ROWS)
        for ms in ("000", "500"):
            queue(factory, participant, f"surveyAnswers/{'a' * 24}/1700002801{ms}.csv", b"question id\nq" + ms.encode())
        queue(factory, participant, f"voiceRecording/{'b' * 24}/1700002801.wav", os.urandom(3 << 20))
    assert not process().failures
    return people


@pytest.fixture
def headers(factory: Factory, study: Study) -> dict[str, str]:
    return headers_of(factory.api_key(factory.researcher(study=study)))


def headers_of(key: dict[str, str]) -> dict[str, str]:
    return {"X-Access-Key-Id": key["access_key"], "X-Access-Key-Secret": key["secret_key"]}


def listed(app: Flask, study: Study, headers: dict[str, str], **query: Any) -> list[dict[str, Any]]:
    """All files of a manifest, page by page."""
    files: list[dict[str, Any]] = []
    cursor = None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = manifest(app, headers, study_id=study.object_id, **query, **more)
        assert page.status_code == 200, page.text
        files += page.json["files"]
        cursor = page.json["next_cursor"]
        if cursor is None:
            return files


def manifest(app: Flask, headers: dict[str, str], **query: Any) -> TestResponse:
    return app.test_client().get(MANIFEST, query_string=query, headers=headers)


def fetch(app: Flask, file: dict[str, Any], headers: dict[str, str], **more: str) -> TestResponse:
    return app.test_client().get(file["url"], headers={**headers, **more})


@pytest.mark.parametrize("limit", [1, 2, 3, 1_000])
def test_the_manifest_names_each_file_once_whatever_the_page(
    app: Flask, study: Study, people: list[Participant], headers: dict[str, str], limit: int
):
    """CLAR-73, DATA-22: names, sizes and hashes are those of the files; two answers of one second stay on one page."""
    files = listed(app, study, headers, limit=limit)
    assert len(files) == 12 == len({file["name"] for file in files})
    assert sum("_2.csv" in file["name"] for file in files) == 2
    for file in files:
        answer = fetch(app, file, headers)
        assert (answer.status_code, len(answer.data)) == (200, file["size"])
        assert hashlib.new(file["hash_algorithm"], answer.data).hexdigest() == file["hash"]
        assert answer.headers["ETag"] == file["etag"] == f'"{file["hash"]}"'


def test_a_query_selects_participants_streams_and_times(
    app: Flask, study: Study, people: list[Participant], headers: dict[str, str]
):
    """DATA-20."""
    one = listed(app, study, headers, participant_ids=people[0].patient_id)
    assert {file["participant_id"] for file in one} == {people[0].patient_id}
    streams = listed(app, study, headers, data_streams=["accelerometer", "audio_recordings"])
    assert {file["data_stream"] for file in streams} == {"accelerometer", "audio_recordings"}
    late = listed(app, study, headers, time_start="2023-11-15T00:00:00", time_end="2023-11-15T00:00:00")
    assert {file["time_bin"] for file in late} == {"2023-11-15T00:00:00Z"}


def test_a_file_is_read_in_ranges_while_it_stays_the_same(
    app: Flask, study: Study, people: list[Participant], headers: dict[str, str]
):
    """CLAR-73: If-Range with another validator brings all of it; If-Match 412; If-None-Match 304; HEAD its length."""
    file = next(file for file in listed(app, study, headers) if file["data_stream"] == "audio_recordings")
    whole = fetch(app, file, headers).data
    rest = fetch(app, file, headers, Range="bytes=1000000-", **{"If-Range": file["etag"]})
    assert (rest.status_code, rest.data) == (206, whole[1_000_000:])
    assert rest.headers["Content-Range"] == f"bytes 1000000-{len(whole) - 1}/{len(whole)}"
    stale = fetch(app, file, headers, Range="bytes=1000000-", **{"If-Range": '"other"'})
    assert (stale.status_code, stale.data) == (200, whole)
    weak = fetch(app, file, headers, Range="bytes=1000000-", **{"If-Range": f"W/{file['etag']}"})
    assert (weak.status_code, weak.data) == (200, whole)
    assert fetch(app, file, headers, Range="bytes=-3").data == whole[-3:]
    assert fetch(app, file, headers, Range="bytes=3-5").data == whole[3:6]
    more = fetch(app, file, headers, Range=f"bytes=-{len(whole) + 9}")
    assert (more.status_code, more.data) == (206, whole)
    for unknown in ("items=0-5", "bytes=0-1,5-6", "bytes=x"):
        assert fetch(app, file, headers, Range=unknown).status_code == 200
    behind = fetch(app, file, headers, Range=f"bytes={len(whole)}-")
    assert (behind.status_code, behind.headers["Content-Range"]) == (416, f"bytes */{len(whole)}")
    assert "behind its end" in behind.json["errors"][0]
    changed = fetch(app, file, headers, Range="bytes=3-", **{"If-Match": '"other"'})
    assert (changed.status_code, changed.headers["ETag"]) == (412, file["etag"])
    for right in (file["etag"], "*"):
        assert fetch(app, file, headers, **{"If-Match": right}).data == whole
    unmatched = app.test_client().head(file["url"], headers={**headers, "If-Match": '"other"'})
    assert unmatched.status_code == 412
    unchanged = fetch(app, file, headers, Range="bytes=3-", **{"If-None-Match": file["etag"]})
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    head = app.test_client().head(file["url"], headers=headers)
    assert (head.status_code, head.content_length, head.headers["ETag"]) == (200, len(whole), file["etag"])


def test_a_file_that_grew_is_not_taken_for_the_listed_one(
    app: Flask, factory: Factory, study: Study, people: list[Participant], headers: dict[str, str]
):
    """DATA-24, CLAR-73: the ETag is that of the bytes that are sent."""
    before = {file["name"]: file for file in listed(app, study, headers, participant_ids=people[0].patient_id)}
    queue(factory, people[0], "accel/1700002810000.csv", HEADER + b"1700002811000,3,9,9,9")
    process()
    after = {file["name"]: file for file in listed(app, study, headers, participant_ids=people[0].patient_id)}
    changed = {name for name, file in after.items() if file["hash"] != before[name]["hash"]}
    assert len(changed) == 1
    old = before[changed.pop()]
    assert fetch(app, old, headers, **{"If-Match": old["etag"]}).status_code == 412
    assert fetch(app, old, headers, Range="bytes=5-", **{"If-Range": old["etag"]}).status_code == 200


def test_a_missing_or_damaged_file_is_told(
    app: Flask, study: Study, people: list[Participant], headers: dict[str, str]
):
    """DATA-25: nothing of a damaged file is sent."""
    missing, damaged = listed(app, study, headers, data_streams="audio_recordings")
    object_store().delete(f"{missing['path']}.zst")
    pieces, etag = object_store().read(f"{damaged['path']}.zst")
    contents = bytearray(b"".join(pieces))
    contents[-20] ^= 1
    object_store().replace(f"{damaged['path']}.zst", bytes(contents), etag)
    for file, status in ((missing, 410), (damaged, 500)):
        answer = fetch(app, file, headers)
        assert answer.status_code == status
        assert "operators were told" in answer.json["errors"][0]
    assert fetch(app, missing | {"url": missing["url"] + "&x=1"}, headers).status_code == 400


def test_an_unknown_hash_is_found_when_the_file_is_listed(
    app: Flask, study: Study, people: list[Participant], headers: dict[str, str]
):
    """CLAR-72: files of an imported bucket have no SHA-1 in any row."""
    known = {file["name"]: (file["hash"], file["size"]) for file in listed(app, study, headers)}
    db.session.execute(db.update(Chunk).values(sha1=None))
    db.session.execute(db.update(Chunk).where(Chunk.md5.is_(None)).values(size_bytes=None))
    db.session.execute(db.delete(StoredObject))
    db.session.commit()
    assert {file["name"]: (file["hash"], file["size"]) for file in listed(app, study, headers)} == known
    unchunked = db.session.scalars(db.select(Chunk.sha1).where(Chunk.md5.is_(None)))
    assert all(unchunked)


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ({"limit": "0"}, 400, "limit: Input should be greater than or equal to 1."),
        ({"limit": "9" * 40}, 400, "limit"),
        ({"limit": ["1", "2"]}, 400, "limit: it is given 2 times."),
        ({"dta_streams": "gps"}, 400, "there is no such parameter; known are study_id, data_streams"),
        ({"cursor": "bm9uZQ"}, 400, "cursor: the next_cursor of the page before"),
        ({"cursor": "x" * 1_000}, 400, "cursor"),
        ({"time_start": "2023-11-15T00:00:00Z"}, 400, "time_start"),
        ({"data_streams": "gqs"}, 404, "data_streams"),
        ({"participant_ids": "nobody12"}, 404, "participant_ids"),
        ({"data_streams": "[1"}, 404, "data_streams"),
        ({"data_streams": '["\\ud800"]'}, 400, "data_streams"),
        ({"study_id": "x"}, 400, "study_id"),
        ({"study_id": "x" * 24}, 404, "There is no such study."),
    ],
)
def test_a_bad_query_is_told_what_is_wrong(
    app: Flask, study: Study, headers: dict[str, str], query: dict[str, Any], status: int, told: str
):
    answer = manifest(app, headers, **{"study_id": study.object_id, **query})
    assert answer.status_code == status
    assert told in answer.json["errors"][0]


def test_only_a_right_key_reads(app: Flask, factory: Factory, study: Study, people: list[Participant]):
    """DATA-1, DATA-3, PERM-96: codes as of the other endpoints."""
    own = factory.api_key(factory.researcher(study=study))
    file = listed(app, study, headers_of(own))[0]
    stranger, lists = (
        factory.api_key(factory.researcher("stranger", study=factory.study("Other"))),
        factory.api_key(factory.researcher("lister", study=study), is_for_lists=True),
    )
    for path in (f"{MANIFEST}?study_id={study.object_id}", file["url"]):
        ask = app.test_client().get
        assert ask(path).status_code == 400
        assert ask(path, headers=headers_of(own | {"secret_key": "a" * 64})).status_code == 403
        assert ask(path, headers=headers_of(stranger)).status_code == 403
        assert ask(path, headers=headers_of(lists)).status_code == 403
    other = db.session.scalars(db.select(Study).where(Study.name == "Other")).one()
    foreign = file["url"].replace(study.object_id, other.object_id)
    assert app.test_client().get(foreign, headers=headers_of(stranger)).status_code == 404


def test_a_limited_reader_sees_only_their_site(app: Flask, factory: Factory, study: Study, people: list[Participant]):
    """PERM-95."""
    site = CustomField(study_id=study.id, name="Site")
    db.session.add(site)
    db.session.flush()
    db.session.add(FieldValue(field_id=site.id, participant_id=people[0].id, value="North"))
    person = factory.researcher("limited")
    limit = SiteLimit(site.id, ("North",))
    set_role(db.session(), study, person, Role.STUDY_RESEARCHER, limit=limit, actor=SERVER)
    db.session.commit()
    headers = headers_of(factory.api_key(person))
    everybody = listed(app, study, headers_of(factory.api_key(factory.researcher("whole", study=study))))
    db.session.execute(db.update(Chunk).values(sha1=None))  # found again, and stored, by a limited reader as well
    db.session.execute(db.delete(StoredObject))
    db.session.commit()
    own = listed(app, study, headers)
    assert {file["participant_id"] for file in own} == {people[0].patient_id}
    assert all(file["hash"] for file in own)
    foreign = next(file for file in everybody if file["participant_id"] == people[1].patient_id)
    assert fetch(app, foreign, headers).status_code == 404


def test_one_download_is_one_record(app: Flask, study: Study, people: list[Participant], headers: dict[str, str]):
    """DATA-26: bytes of all its files; a file that the query did not name has a record of its own."""
    files = listed(app, study, headers, participant_ids=people[0].patient_id)
    for file in files:
        assert fetch(app, file, headers).data
    record = db.session.scalars(db.select(DataAccessRecord)).one()
    assert record.patient_ids == [people[0].patient_id]
    assert record.size_bytes is not None
    assert record.size_bytes > sum(file["size"] for file in files)
    foreign = listed(app, study, headers, participant_ids=people[1].patient_id)[0]
    access = files[0]["url"].partition("access=")[2]
    fetch(app, foreign | {"url": f"{foreign['url'].partition('access=')[0]}access={access}"}, headers).get_data()
    newest = db.session.scalars(db.select(DataAccessRecord).order_by(DataAccessRecord.id.desc())).first()
    assert newest is not None
    assert (newest.patient_ids, newest.size_bytes) == ([people[1].patient_id], foreign["size"])


def test_a_key_that_asks_too_often_waits(
    app: Flask, study: Study, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    """CLAR-73: new endpoints may answer 429; old ones never do for a right key."""
    monkeypatch.setitem(
        app.extensions,
        "beiwe_settings",
        app.extensions["beiwe_settings"].model_copy(update={"data_api_requests_per_minute": 2}),
    )
    answers = [manifest(app, headers, study_id=study.object_id) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["Retry-After"]) > 0


def test_a_key_works_until_its_last_moment(app: Flask, factory: Factory, study: Study):
    """DATA-4: an expired key is refused like one that is disabled, old endpoints included."""
    person = factory.researcher(study=study)
    past = factory.api_key(person, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    ahead = factory.api_key(person, expires_at=datetime.now(UTC) + timedelta(days=1))
    for key, status in ((past, 403), (ahead, 200)):
        assert manifest(app, headers_of(key), study_id=study.object_id).status_code == status
        assert app.test_client().post("/get-studies/v1", data=key).status_code == status
