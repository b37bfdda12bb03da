"""Lists, histories, statistics and Tableau's paths (DATA-5, DATA-40 to DATA-71)."""

import csv
import io
import json
import uuid
import zipfile
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import urllib3
import zstandard
from flask import Flask
from werkzeug.test import TestResponse

from core.access import Role, SiteLimit
from core.accounts.roles import set_role
from core.audit import SERVER
from core.database import db
from core.downloads import histories
from core.downloads.statistics import FIELDS
from core.models import (
    AppVersion,
    CustomField,
    DailyStatistics,
    DataAccessRecord,
    FieldValue,
    ForestDay,
    ForestTask,
    Heartbeat,
    InterventionDate,
    NotificationAttempt,
    Participant,
    PushReceipt,
    StatusReport,
    Study,
    SurveyVersion,
)
from core.surveys.schedules import Relative
from tests.core.processing.test_batch import HEADER, process, queue
from tests.support.factories import Factory
from tests.support.gunicorn import gunicorn
from tests.support.ports import wait_until
from webapp.data_api.answering import as_json

AT = datetime(2024, 3, 1, 14, 5, 6, 789_000, tzinfo=UTC)


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Sleep and movement", timezone_name="America/New_York")


@pytest.fixture
def person(factory: Factory, study: Study) -> Participant:
    return factory.participant(study)


@pytest.fixture
def key(factory: Factory, study: Study) -> dict[str, str]:
    return factory.api_key(factory.researcher("programs", study=study))


def ask(app: Flask, path: str, fields: dict[str, Any], **more: Any) -> TestResponse:
    return app.test_client().post(path, data={**fields, **more})


def of_person(app: Flask, name: str, key: dict[str, str], person: Participant, **more: Any) -> Any:
    answer = ask(app, f"/get-participant-{name}/v1", key, participant_id=person.patient_id, **more)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_v2_holds_the_same_files_compressed_and_a_plain_registry(
    app: Flask, factory: Factory, study: Study, person: Participant, key: dict[str, str]
):
    """DATA-22, DATA-23."""
    queue(factory, person, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")
    assert not process().failures

    def members(path: str) -> dict[str, bytes]:
        with zipfile.ZipFile(io.BytesIO(ask(app, path, key, study_id=study.object_id).data)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    plain, packed = members("/get-data/v1"), members("/get-data/v2/")
    assert packed.pop("registry") == plain.pop("registry")
    assert (
        packed
        and {name.removesuffix(".zst"): zstandard.decompress(contents) for name, contents in packed.items()} == plain
    )


def test_histories_are_oldest_first_in_utc_and_in_pages(
    app: Flask, person: Participant, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    """DATA-40, DATA-41, DATA-42, DATA-43: keys left out on demand; pages of any size give the same list."""
    for minutes in (2, 0, 1, 1):
        db.session.add(Heartbeat(participant_id=person.id, at=AT + timedelta(minutes=minutes)))
    db.session.add(
        AppVersion(participant_id=person.id, at=AT, version_code="17", version_name="2.1", os_version="18.5")
    )
    for report in (zstandard.compress(b'{"battery": "0.5"}'), zstandard.compress(b'{"cut'), None):
        row = {"at": AT, "endpoint": "upload", "os_type": "IOS", "os_version": "18.5", "version_code": "17"}
        db.session.add(StatusReport(participant_id=person.id, report=report, **row))
    db.session.commit()
    whole = of_person(app, "heartbeat-history", key, person)
    assert [row["timestamp"] for row in whole] == [f"2024-03-01T14:0{n}:06Z" for n in (5, 6, 6, 7)]
    for size in (1, 2, 4):
        paged = histories.History(**{**histories.HEARTBEATS.__dict__, "page_rows": size})
        monkeypatch.setattr("webapp.data_api.histories.HEARTBEATS", paged)
        assert of_person(app, "heartbeat-history", key, person) == whole
    assert of_person(app, "heartbeat-history", key, person, omit_keys="TRUE")[0] == ["2024-03-01T14:05:06Z"]
    version = {"app_version_code": "17", "app_version_name": "2.1", "os_version": "18.5"}
    assert of_person(app, "version-history", key, person) == [version | {"created_on": "2024-03-01T14:05:06Z"}]
    statuses = of_person(app, "device-status-history", key, person)
    assert [row["device_status"] for row in statuses] == [{"battery": "0.5"}, {}, {}]
    assert list(statuses[0]) == ["created_on", "endpoint", "app_os", "os_version", "app_version", "device_status"]


def test_uploads_and_hashes_name_files_as_downloads_do(
    app: Flask, factory: Factory, person: Participant, key: dict[str, str]
):
    """DATA-22, DATA-40: SHA-1 in base64."""
    silent = factory.participant(person.study)
    queue(factory, person, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")
    assert not process().failures
    (row,) = of_person(app, "upload-history", key, person)
    assert row["file_name"] == "accel/1700002800000.csv" and row["file_size"] > 0
    ((name, sha1),) = of_person(app, "file-hashes", key, person).items()
    assert of_person(app, "upload-history", key, silent) == [] and of_person(app, "file-hashes", key, silent) == {}
    assert name == f"{person.patient_id}/accelerometer/2023-11-14 23_00_00+00_00.csv" and len(sha1) == 28


def test_notifications_are_by_survey_in_the_studys_zone_or_utc(
    app: Flask, factory: Factory, study: Study, person: Participant, key: dict[str, str]
):
    """DATA-40: receipts in UTC, what was refused, by hand with a name, surveys without attempts absent."""
    survey, _ = factory.survey(study), factory.survey(study)
    version = db.session.scalars(db.select(SurveyVersion.id).filter_by(survey_id=survey.id)).one()
    got = uuid.uuid4()
    common = {"participant_id": person.id, "survey_version_id": version, "attempted_at": AT}
    db.session.add_all(
        [
            NotificationAttempt(**common, kind="weekly", scheduled_at=AT, status="success", uuid=got),
            NotificationAttempt(**common, kind="weekly", scheduled_at=AT - timedelta(days=1), status="no token"),
            NotificationAttempt(
                **common, kind="manual", scheduled_at=AT + timedelta(1), status="success", researcher_name="n" * 40
            ),
            PushReceipt(participant_id=person.id, uuid=got, received_at=AT),
        ]
    )
    db.session.commit()
    rows = of_person(app, "notification-history", key, person)[survey.object_id]
    assert [row["push_rejected"] for row in rows] == [True, False, False]
    assert rows[1] == {
        "timestamp": "2024-03-01T09:05:06-05:00",
        "type": "weekly",
        "scheduled_time": "2024-03-01T09:05:06-05:00",
        "confirmed_received": "2024-03-01T14:05:06Z",
        "uuid": str(got),
        "resend": False,
        "push_rejected": False,
    }
    assert (rows[2]["type"], rows[2]["confirmed_received"]) == ("manual - " + "n" * 23, False)
    in_utc = of_person(app, "notification-history", key, person, utc="")
    assert list(in_utc) == [survey.object_id]
    assert in_utc[survey.object_id][1]["timestamp"] == "2024-03-01T14:05:06Z"


def test_codes_for_participants(app: Flask, factory: Factory, person: Participant, key: dict[str, str]):
    """DATA-5, PERM-14, PERM-95: missing 400, unknown 404, of a foreign study 403, of another site 404."""
    path = "/get-participant-upload-history/v1"
    foreign = factory.participant(factory.study("Other"))
    assert ask(app, path, key).status_code == 400
    assert ask(app, path, {}, participant_id="x").status_code == 400
    assert ask(app, path, key | {"secret_key": "A" * 64}).status_code == 403  # the key comes first (PERM-14)
    gone = factory.participant(person.study)
    gone.purged_at = AT
    db.session.commit()
    assert of_person(app, "upload-history", key, gone) == []
    assert ask(app, path, key, participant_id="unknown1").status_code == 404
    assert ask(app, path, key, participant_id=foreign.patient_id).status_code == 403
    field = CustomField(study_id=person.study_id, name="Site")
    neighbour = factory.participant(person.study)
    db.session.add(field)
    db.session.flush()
    db.session.add(FieldValue(participant_id=neighbour.id, field_id=field.id, value="North"))
    limited = factory.researcher("limited", study=person.study)
    db.session.commit()
    limit = SiteLimit(field.id, ("North",))
    set_role(db.session(), person.study, limited, Role.STUDY_RESEARCHER, limit=limit, actor=SERVER)
    db.session.commit()
    narrow = factory.api_key(limited)
    assert ask(app, path, narrow, participant_id=person.patient_id).status_code == 404
    assert ask(app, path, narrow, participant_id=neighbour.patient_id).status_code == 200


def test_interventions_surveys_settings_and_quantities(
    app: Flask, factory: Factory, study: Study, person: Participant, key: dict[str, str]
):
    """DATA-40: an intervention that two surveys use is under each; participants without a date have null."""
    baseline, unused = factory.intervention(study), factory.intervention(study, "Unused")
    surveys = [factory.survey(study, content=json.dumps([{"question_id": "q"}])) for _ in range(2)]
    for survey in surveys:
        factory.schedule(survey, Relative(str(baseline.id), 3, (datetime(2024, 1, 1, 9)).time()))
    other = factory.participant(study)
    for number in (baseline.id, unused.id):
        row = InterventionDate(participant_id=person.id, intervention_id=number, happens_on=date(2024, 3, 1))
        db.session.add(row)
    db.session.add(DailyStatistics(participant_id=person.id, study_id=study.id, day=date(2024, 3, 1), gps_bytes=12))
    db.session.add(DailyStatistics(participant_id=person.id, study_id=study.id, day=date(2024, 3, 2), gps_bytes=30))
    db.session.commit()
    named = {"study_id": study.object_id}
    found = ask(app, "/get-interventions/v1", key, **named).json
    assert found[person.patient_id] == {survey.object_id: {"Baseline": "2024-03-01"} for survey in surveys}
    assert found[other.patient_id] == {survey.object_id: {"Baseline": None} for survey in surveys}
    quantities = ask(app, "/get-participant-data-quantities/v1", key, **named).json
    assert (quantities[person.patient_id]["gps_bytes"], quantities[other.patient_id]["gps_bytes"]) == (42, 0)
    assert len(quantities[person.patient_id]) == 19
    history = ask(app, "/get-survey-history/v1", key, **named)
    assert history.content_type == "text/json" and f"{study.object_id}_surveys_history_data.json" in str(
        history.headers
    )
    versions = json.loads(history.data)[surveys[0].object_id]
    assert versions[0]["survey_json"] == [{"question_id": "q"}] and versions[0]["archive_start"].endswith("+00:00")
    settings = ask(app, "/get-study-settings/v1", key, **named)
    assert "Sleep_and_movement_surveys_and_settings.json" in str(settings.headers)
    assert set(json.loads(settings.data)) >= {"surveys", "device_settings", "interventions"}


def test_the_participants_table_in_three_forms_and_for_tableau(
    app: Flask, study: Study, person: Participant, key: dict[str, str]
):
    """DATA-44, DATA-71."""
    person.created_at = datetime(2024, 3, 2, 3, tzinfo=UTC)
    person.activity.last_upload_at = AT
    db.session.commit()
    named = {"study_id": study.object_id}
    path = "/get-participant-table-data/v1"
    field = CustomField(study_id=study.id, name="Change")
    db.session.add(field)
    db.session.flush()
    db.session.add(FieldValue(participant_id=person.id, field_id=field.id, value="-5"))
    db.session.commit()
    (row,) = ask(app, path, key, **named, data_format="json").json
    assert (row["Created On"], row["Patient ID"]) == ("2024-03-01", person.patient_id)
    assert row["Last Upload"] == "2024-03-01T09:05:06.789000-05:00" and row["Last Heartbeat"] is None
    table = ask(app, path, key, **named, data_format="json_table").json
    assert dict(zip(*table, strict=True)) == row
    text = ask(app, path, key, **named, data_format="csv").text
    (line,) = csv.DictReader(io.StringIO(text))
    assert (line["Last Upload"], line["Change"]) == ("2024-03-01 09:05:06 (EST)", "-5")
    assert "\r\n" in text and ask(app, path, key, **named).status_code == 400
    headers = {"X-Access-Key-Id": key["access_key"], "X-Access-Key-Secret": key["secret_key"]}
    for address in (
        f"/tableau/participant-table/v1/{study.object_id}",
        f"/api/v0/studies/{study.object_id}/participant-table/",
    ):
        (shown,) = app.test_client().get(address, headers=headers).json
        assert shown["last_upload"] == "2024-03-01T09:05:06" and shown["patient_id"] == person.patient_id


def test_daily_statistics_by_program_and_by_tableau(
    app: Flask, factory: Factory, study: Study, person: Participant, key: dict[str, str]
):
    """DATA-60, DATA-61, DATA-70: filters in the query string, all wrong ones named at once."""
    other = factory.participant(study)
    for who, day, size in ((person, 1, 5), (person, 2, None), (other, 2, 9)):
        row = {"participant_id": who.id, "study_id": study.id, "day": date(2024, 3, day), "gps_bytes": size}
        db.session.add(DailyStatistics(**row))
    db.session.commit()

    def rows(query: str = "") -> Any:
        answer = ask(app, f"/get-summary-statistics/v1?{query}", key, study_id=study.object_id)
        headers = {"X-Access-Key-Id": key["access_key"], "X-Access-Key-Secret": key["secret_key"]}
        for path in ("/tableau/summary-statistics/v1/{}", "/api/v0/studies/{}/summary-statistics/daily/"):
            same = app.test_client().get(f"{path.format(study.object_id)}?{query}", headers=headers)
            assert (same.status_code, same.json) == (answer.status_code, answer.json)
        return answer.json

    everything = rows()
    assert [row["date"] for row in everything] == ["2024-03-02", "2024-03-02", "2024-03-01"]
    assert list(everything[0]) == list(FIELDS) and len(FIELDS) == 4 + 19 + 18 + 19 + 6 + 3
    assert everything[2]["beiwe_gps_bytes"] == 5 and everything[2]["beiwe_calls_bytes"] is None
    assert (everything[0]["timezone"], everything[0]["study_id"]) == ("EST", study.object_id)
    fields = "fields=date,beiwe_gps_bytes"
    assert rows(f"{fields}&start_date=2024-03-01&end_date=2024-03-01") == [{"date": "2024-03-01", "beiwe_gps_bytes": 5}]
    sizes = [row["beiwe_gps_bytes"] for row in rows(f"{fields}&ordered_by=beiwe_gps_bytes")]
    assert sizes == [5, 9, None]
    descending = rows(f"{fields}&ordered_by=beiwe_gps_bytes&order_direction=descending&limit=1")
    assert [row["beiwe_gps_bytes"] for row in descending] == [9]
    assert len(rows(f"participant_ids={person.patient_id},nobody")) == 2
    wrong = rows("start_date=1.3.2024&limit=x&ordered_by=steps&order_direction=up&fields=date,steps-misspelt")
    assert len(wrong["errors"]) == 5
    for query in ("limit=-1", "limit=" + "9" * 30, "end_date=2024-02-30", "fields=a%C3%BC", "ordered_by=%00"):
        status = ask(app, f"/get-summary-statistics/v1?{query}", key, study_id=study.object_id).status_code
        assert status == 400, query


def test_the_task_of_each_day_is_given_when_it_is_asked_for(
    app: Flask, study: Study, person: Participant, key: dict[str, str]
):
    """FOREST-40, DATA-60: which task, with which library, and when; of two analyses that ran at different times."""
    of = {"study_id": study.id, "participant_id": person.id, "start_on": date(2024, 3, 1), "end_on": date(2024, 3, 2)}
    oak = ForestTask(**of, tree="oak", library_version="1.0", ended_at=datetime(2024, 3, 3, 4, 5, 6, 789, tzinfo=UTC))
    willow = ForestTask(**of, tree="willow", library_version=None, ended_at=None)
    db.session.add_all([oak, willow])
    db.session.flush()
    of = {"participant_id": person.id, "study_id": study.id}
    db.session.add(ForestDay(**of, day=date(2024, 3, 1), oak_steps=7.0, oak_task_id=oak.id, willow_task_id=willow.id))
    db.session.add(ForestDay(**of, day=date(2024, 3, 2), willow_task_id=willow.id))
    db.session.commit()
    headers = {"X-Access-Key-Id": key["access_key"], "X-Access-Key-Secret": key["secret_key"]}
    query = "fields=willow_task,willow_computed_at,oak_computed_at,oak_library,oak_task,oak_steps,date"
    rows = app.test_client().get(f"/tableau/summary-statistics/v1/{study.object_id}?{query}", headers=headers).json
    assert rows == ask(app, f"/get-summary-statistics/v1?{query}", key, study_id=study.object_id).json
    later, first = rows
    assert list(first) == [
        "date",
        "oak_steps",
        "willow_task",
        "willow_computed_at",
        "oak_task",
        "oak_library",
        "oak_computed_at",
    ]
    assert (first["oak_task"], first["oak_library"]) == (str(oak.external_id), "1.0")
    assert (first["oak_computed_at"], first["willow_computed_at"]) == ("2024-03-03T04:05:06Z", None)
    assert later["willow_task"] == str(willow.external_id) and later["oak_task"] is None
    page = app.test_client().get(f"/tableau/summary-statistics-wdc/v1/{study.object_id}?{query}").text
    assert "oak_computed_at" in page and "jasmine_task" not in page


def test_what_tableau_may_not_see_is_not_there(app: Flask, factory: Factory, study: Study, key: dict[str, str]):
    """DATA-70: 400 for credentials, 404 for studies, errors in JSON."""
    headers = {"X-Access-Key-Id": key["access_key"], "X-Access-Key-Secret": key["secret_key"]}
    path = "/tableau/summary-statistics/v1/"
    client = app.test_client()
    for wrong in (
        {},
        {"X-Access-Key-Id": "a"},
        headers | {"X-Access-Key-Secret": "A" * 64},
        headers | {"X-Access-Key-Id": "a b"},
    ):
        answer = client.get(path + study.object_id, headers=wrong)
        assert answer.status_code == 400 and answer.json["errors"]
    for study_id in (factory.study("Other").object_id, "a" * 24, "a"):
        answer = client.get(path + study_id, headers=headers)
        assert (answer.status_code, answer.json) == (404, {"errors": "resource not found"})


def test_a_list_that_breaks_off_is_no_whole_list(
    app: Flask, person: Participant, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    """DATA-26, DATA-43: what was sent cannot be read as JSON, and the log says that it broke off."""
    for minutes in range(1_200):
        db.session.add(Heartbeat(participant_id=person.id, at=AT + timedelta(minutes=minutes)))
    db.session.commit()

    def breaks_off(row: Any, participant: Participant) -> dict[str, Any]:
        if row.at > AT + timedelta(minutes=1_100):
            raise OSError
        return {"timestamp": "x"}

    history = {**histories.HEARTBEATS.__dict__, "page_rows": 600, "row": breaks_off}
    monkeypatch.setattr("webapp.data_api.histories.HEARTBEATS", histories.History(**history))
    path, sent = "/get-participant-heartbeat-history/v1", b""
    answer = app.test_client().post(path, data={**key, "participant_id": person.patient_id}, buffered=False)
    with pytest.raises(OSError):
        for piece in answer.iter_encoded():
            sent += piece
    assert sent.startswith(b"[") and not sent.endswith(b"]")
    row = db.session.scalars(db.select(DataAccessRecord)).one()
    assert (row.error, row.size_bytes) == ("OSError", len(sent))


def test_numbers_that_json_does_not_know_are_null():
    """DATA-60: what a phone reports, or an imported day holds, ends in programs that read JSON."""
    assert as_json({"a": [1.5, float("nan"), (float("inf"), "x")]}) == '{"a": [1.5, null, [null, "x"]]}'


def test_a_streamed_answer_gives_its_connection_back(
    app: Flask, study: Study, person: Participant, key: dict[str, str]
):
    """DATA-43: through gunicorn, where the request has ended when the rows are read."""
    db.session.add(DailyStatistics(participant_id=person.id, study_id=study.id, day=date(2024, 3, 1), gps_bytes=1))
    db.session.commit()
    headers = {"X-Access-Key-Id": key["access_key"], "X-Access-Key-Secret": key["secret_key"]}
    left_open = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND state = 'idle in transaction' AND query LIKE 'CLOSE %'"
    )
    with gunicorn() as address:
        for _ in range(3):
            url = f"{address}/tableau/summary-statistics/v1/{study.object_id}"
            assert len(urllib3.request("GET", url, headers=headers, timeout=20).json()) == 1
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            wait_until(lambda: connection.scalar(left_open) == 0, 5)


def test_each_answer_is_in_the_log_of_data_access(app: Flask, study: Study, person: Participant, key: dict[str, str]):
    """DATA-26."""
    of_person(app, "upload-history", key, person)
    ask(app, "/get-summary-statistics/v1", key, study_id=study.object_id)
    rows = db.session.scalars(db.select(DataAccessRecord).order_by(DataAccessRecord.id)).all()
    assert [(row.kind, row.username, bool(row.ended_at)) for row in rows] == [
        ("history", "programs", True),
        ("statistics", "programs", True),
    ]
    assert rows[0].patient_ids == [person.patient_id] and rows[0].size_bytes == 2
