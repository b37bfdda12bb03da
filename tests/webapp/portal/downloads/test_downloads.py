"""Downloading data in the portal, without an API key (PORTAL-240 to PORTAL-242)."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from core.database import db
from core.downloads.query import parse_query
from core.downloads.sizes import download_size
from core.models import Chunk, DataAccessRecord, Participant, Study
from core.streams import SPECS, DataStream
from tests.core.processing.test_batch import HEADER as ACCELEROMETER_HEADER
from tests.core.processing.test_batch import process, queue
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.webapp.data_api.test_data_api import GPS, unzip
from webapp.portal.downloads import views
from webapp.portal.downloads.forms import read_choice

pytestmark = pytest.mark.usefixtures("quick_passwords")
NEW_YORK = ZoneInfo("America/New_York")
AT_MS = 1700002800000
"""14 November 2023, 23:00 UTC, which is 18:00 in New York."""


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Sleep 🎈 “night”")


@pytest.fixture
def participant(factory: Factory, study: Study) -> Participant:
    """A participant with chunks of the accelerometer and of GPS."""
    participant = factory.participant(study)
    queue(factory, participant, f"accel/{AT_MS}.csv", ACCELEROMETER_HEADER + f"{AT_MS},3,1,1,1".encode())
    queue(factory, participant, f"gps/{AT_MS}.csv", GPS)
    assert not process().failures
    return participant


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("anna", study=study))


def ask(visitor: Visitor, study: Study, action: str, **fields: Any) -> TestResponse:
    data = MultiDict({"csrf_token": visitor.token()})
    for name, value in fields.items():
        data.setlist(name, value if isinstance(value, list) else [value])
    path = f"/data_access_web_form/{study.id}/{action}"
    return visitor.open(path, method="POST", data=data, headers={"HX-Request": "true"} if action == "size" else {})


def test_the_session_downloads_what_a_key_would(visitor: Visitor, study: Study, participant: Participant):
    """PORTAL-242, DATA-21, DATA-26: no key is asked for; the same files, rules and record."""
    answer = ask(visitor, study, "download")
    files = unzip(answer)
    assert {name.split("/")[1] for name in files} == {"accelerometer", "gps"}
    assert all(name.startswith(participant.patient_id) for name in files)
    assert answer.headers["Content-Disposition"].startswith("attachment; filename")
    record = db.session.scalars(db.select(DataAccessRecord)).one()
    assert (record.username, record.study_id, record.error) == ("anna", study.id, None)
    assert record.ended_at is not None and record.size_bytes == len(answer.data)
    assert record.parameters == {"study_pk": [str(study.id)], "web_form": ["true"]}


def test_a_choice_narrows_the_download_and_its_size(visitor: Visitor, study: Study, participant: Participant):
    """PORTAL-240, PORTAL-242: the size is that of the files that come."""
    assert ">2<" in ask(visitor, study, "size").text
    choice = {"participant": [participant.patient_id], "stream": ["gps"]}
    sized = ask(visitor, study, "size", **choice).text
    (contents,) = unzip(ask(visitor, study, "download", **choice)).values()
    assert f"{len(contents)} Bytes" in sized and ">1<" in sized
    record = db.session.scalars(db.select(DataAccessRecord)).one()
    assert record.parameters["data_streams"] == ["gps"]
    assert record.parameters["participant_ids"] == [participant.patient_id]


@pytest.mark.parametrize(
    ("fields", "files"),
    [
        ({"start": "2023-11-14T18:00"}, 2),
        ({"start": "2023-11-14T19:00"}, 0),
        ({"end": "2023-11-14T18:00"}, 2),
        ({"end": "2023-11-14T17:59"}, 0),
        ({"start": "2023-11-14T18:30", "end": "2023-11-14T18:30"}, 2),
    ],
)
def test_times_are_hours_of_the_studys_zone(
    visitor: Visitor, study: Study, participant: Participant, fields: dict[str, str], files: int
):
    """PORTAL-241: both ends are included."""
    assert len(unzip(ask(visitor, study, "download", **fields))) == files


def test_the_utc_time_is_shown_beside_the_studys(visitor: Visitor, study: Study, participant: Participant):
    """PORTAL-241."""
    sized = ask(visitor, study, "size", start="2023-11-14T18:00").text
    assert "14 Nov 2023, 18:00" in sized and "2023-11-14 23:00 UTC" in sized


def test_an_hour_that_comes_twice_counts_whole():
    """PORTAL-241: clocks went back at 02:00 on 5 November 2023 in New York."""
    hour = "2023-11-05T01:00"
    choice = read_choice(MultiDict({"start": hour, "end": hour}), NEW_YORK)
    assert choice.start_at == datetime(2023, 11, 5, 5, tzinfo=UTC)
    assert choice.end_at == datetime(2023, 11, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"start": "yesterday"}, "A date and time like"),
        ({"start": "2024-01-02T00:00", "end": "2024-01-01T00:00"}, "The end is before the start."),
        ({"end": "0001-01-01T00:00"}, "A year from 1970 to 9000."),
        ({"stream": "feelings"}, "There is no such data stream."),
        ({"participants": "nobody11, other111"}, "Not in this study: nobody11, other111."),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_sent(
    visitor: Visitor, study: Study, factory: Factory, fields: dict[str, str], said: str
):
    """PORTAL-5: the same page, the typed values, a message at the field; nothing is recorded."""
    factory.participant(factory.study(), "other111")
    answer = ask(visitor, study, "download", **fields)
    assert answer.status_code == 422 and said in answer.text
    assert said in ask(visitor, study, "size", **fields).text
    assert not db.session.scalars(db.select(DataAccessRecord)).all()


def test_participants_of_other_studies_are_never_in_it(visitor: Visitor, study: Study, factory: Factory):
    """PERM-71."""
    stranger = factory.participant()
    queue(factory, stranger, f"gps/{AT_MS}.csv", GPS)
    assert not process().failures
    assert unzip(ask(visitor, study, "download")) == {}
    answer = ask(visitor, study, "download", participant=stranger.patient_id)
    assert answer.status_code == 422


def test_large_studies_take_typed_ids(
    visitor: Visitor, study: Study, participant: Participant, monkeypatch: pytest.MonkeyPatch
):
    """PORTAL-240: participants are those of the chosen study."""
    assert 'type="checkbox" name="participant"' in visitor.get(f"/data_access_web_form/{study.id}").text
    monkeypatch.setattr(views, "MOST_LISTED", 0)
    assert '<textarea class="input id" id="participants"' in visitor.get(f"/data_access_web_form/{study.id}").text
    assert "not added up yet" in visitor.get(f"/data_access_web_form/{study.id}").text
    typed = f" {participant.patient_id.upper()};\n"
    assert len(unzip(ask(visitor, study, "download", participants=typed))) == 2


def test_one_study_needs_no_choosing_and_several_are_listed(
    app: Flask, visitor: Visitor, study: Study, factory: Factory
):
    """PORTAL-240."""
    assert visitor.get("/data_access_web_form").location == f"/data_access_web_form/{study.id}"
    factory.study("Mood")
    admin = Visitor(app, factory.researcher(is_site_admin=True))
    assert "Mood" in admin.get("/data_access_web_form").text
    nobody = Visitor(app, factory.researcher())
    assert "No study to download from" in nobody.get("/data_access_web_form").text


def test_a_size_that_takes_too_long_is_given_up(
    app: Flask, study: Study, participant: Participant, monkeypatch: pytest.MonkeyPatch
):
    """PORTAL-242: the download itself is still offered."""
    db.session.execute(
        db.insert(Chunk),
        [
            {
                "participant_id": participant.id,
                "study_id": study.id,
                "stream": SPECS[DataStream.GPS].number,
                "time_bin": datetime.fromtimestamp(n * 3600, UTC),
                "size_bytes": 1,
            }
            for n in range(50_000)
        ],
    )
    db.session.commit()
    query = parse_query({})
    assert download_size(db.session(), study.id, query).files == 50_002
    monkeypatch.setattr("core.downloads.sizes.MOST_MS", 1)
    assert download_size(db.session(), study.id, query) is None


def test_a_missing_object_is_listed_as_by_the_data_api(visitor: Visitor, study: Study, participant: Participant):
    """DATA-22: the other files come."""
    db.session.execute(
        db.update(Chunk)
        .where(Chunk.stream == SPECS[DataStream.GPS].number)
        .values(path=f"{study.object_id}/x/gps/1.csv")
    )
    db.session.commit()
    assert f"{participant.patient_id}/problems/problems.json" in unzip(ask(visitor, study, "download"))
