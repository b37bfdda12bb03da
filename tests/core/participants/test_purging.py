"""Purges: nothing of the participant stays, everything of the others does, whatever happens meanwhile (STORE-9)."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3
import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from moto.server import ThreadedMotoServer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from core.audit import COMMAND_LINE, SERVER
from core.crypto.passwords import verify_password
from core.database import db
from core.models import (
    AlertRule,
    BulkEdit,
    ConsentVersion,
    CustomField,
    Export,
    Participant,
    ParticipantEvent,
    Purge,
    PushMessage,
    QuestionWording,
    ReprocessingJob,
    Score,
    ScoreVersion,
    StoredObject,
    Submission,
    Survey,
    SurveyVersion,
    Webhook,
)
from core.models.participant import participant_with_study
from core.participants import purging
from core.participants.purging import (
    PAUSE,
    PurgeIncomplete,
    ask_for_purge,
    belongings_of,
    purge_next,
    waiting_purges,
)
from core.participants.rows import KEPT, tables_of_participants
from core.participants.states import StateKind, state_of
from core.processing.claims import Scope, claimed_participant
from core.storage import ObjectStore, StoreUnavailable
from core.storage.s3 import S3Store
from core.storage.store import ObjectVersion
from tests.core.processing.test_batch import HEADER, queue
from tests.support.factories import PASSWORD, Factory
from webapp.stores import object_store

BUCKET = "versioned"


class Killed(BaseException):
    """The process is gone; nothing in it catches this."""


@pytest.fixture
def participant(factory: Factory) -> Participant:
    """One with an object under each prefix, and at least one row in every table that refers to participants."""
    participant = factory.participant(factory.study(), "abc", timezone_name="Europe/Berlin")
    fill(factory, participant)
    return participant


@pytest.fixture
def neighbour(factory: Factory, participant: Participant) -> Participant:
    """One of the same study whose id begins with the other's."""
    neighbour = factory.participant(participant.study, "abcdefgh")
    fill(factory, neighbour)
    return neighbour


def fill(factory: Factory, participant: Participant) -> None:
    study, patient_id = participant.study, participant.patient_id
    queue(factory, participant, "accel/1700002800000.csv", HEADER)
    store = factory.store(study)
    for path in (
        f"{study.object_id}/{patient_id}/identifiers_1.csv",
        f"{study.object_id}/{patient_id}/forest/out.zip",
        f"CHUNKED_DATA/{study.object_id}/{patient_id}/accel/1.csv",
        f"PROBLEM_UPLOADS/{study.object_id}/{patient_id}/xabcdefghij",
    ):
        row = store.create(path, b"contents").row(study_id=study.id, participant_id=None)
        db.session.execute(sa.insert(StoredObject).values(row))
    store.store.create(f"{study.object_id}/{patient_id}/accel/old.csv", b"of the existing platform")
    for table, columns in (tables_of_participants() | kept_tables()).items():
        if not db.session.scalar(sa.select(sa.exists().where(columns[0] == participant.id))):
            db.session.execute(sa.insert(table).values({columns[0].name: participant.id} | values_for(table, study.id)))
    db.session.commit()


def kept_tables() -> dict[sa.Table, list[Any]]:
    return {db.metadata.tables[name]: [db.metadata.tables[name].c.participant_id] for name in KEPT - {"purges"}}


def values_for(table: sa.Table, study_id: int) -> dict[str, Any]:
    """Something for every column that must have a value."""
    survey = db.session.scalars(sa.select(Survey).where(Survey.study_id == study_id)).first()
    if survey is None:
        survey = Factory().survey(db.session.get_one(purging.Study, study_id))
    version = db.session.scalars(sa.select(SurveyVersion.id).where(SurveyVersion.survey_id == survey.id)).first()
    references = {"study_id": study_id, "survey_id": survey.id, "survey_version_id": version, "intervention_id": None}
    if "intervention_id" in table.c:
        references["intervention_id"] = Factory().intervention(survey_study(survey), f"i{datetime.now()}").id
    if "job_id" in table.c:
        job = sa.insert(ReprocessingJob).values(study_id=study_id).returning(ReprocessingJob.id)
        references["job_id"] = db.session.scalar(job)
    for name, parent in parents_of(study_id).items():
        if name in table.c:
            references[name] = db.session.scalar(parent)
    checked = {"kind": "manual", "service": "fcm", "reason": "junk name", "detail": {"device_id": "d0"}}
    checked |= {
        "platform": "ANDROID",
        "state": "skipped",
        "tallied": "skipped",
        "is_new": True,
        "is_listed_only": True,
        "is_unsure": True,
    }
    now = datetime.now(UTC)
    message = {"channel": "webhook", "address": "x", "once_key": f"x{now}".encode(), "next_try_at": now}
    of_tables: dict[str, dict[str, Any]] = {
        "participant_events": {"kind": "registered"},
        "departures": {"kind": "completed"},
        "webhook_events": {"kind": "data.processed"},
        "outgoing_messages": message,
        "forest_tasks": {"tree": "oak"},
    }
    checked |= of_tables.get(table.name, {})
    by_type = {sa.Text: f"x{now}", sa.DateTime: now, sa.Uuid: sa.func.gen_random_uuid(), sa.Date: now.date(), JSONB: {}}
    values: dict[str, Any] = {}
    for column in table.columns:
        is_free = column.nullable or column.server_default is not None or column.name == "participant_id"
        if is_free and column.name not in ("detail", "next_try_at"):
            continue
        if column.name in references or column.name in checked:
            values[column.name] = references.get(column.name) or checked[column.name]
        else:
            values[column.name] = next((v for kind, v in by_type.items() if isinstance(column.type, kind)), 1)
    return values


def parents_of(study_id: int) -> dict[str, Any]:
    """For columns that refer to another row of the study: the statement that adds one and gives its number."""
    name = f"x{datetime.now()}"
    consent = {"study_id": study_id, "number": 1, "author_name": "x", "form_text": "", "sections": {}}
    edit = {"study_id": study_id, "author_name": "x", "summary": "x"}
    someone = sa.select(sa.func.max(Participant.id)).where(Participant.study_id == study_id).scalar_subquery()
    now = sa.func.now()
    message: dict[str, Any] = {
        "participant_id": someone,
        "service": "fcm",
        "platform": "ANDROID",
        "kind": "surveys",
        "nonce": "",
    }
    survey = sa.select(sa.func.min(Survey.id)).where(Survey.study_id == study_id).scalar_subquery()
    wording = {"survey_id": survey, "question_id": "q", "number": sa.func.random() * 1e9, "revision": 1, "text": ""}
    score = Score(survey_id=db.session.scalar(sa.select(survey)), name="x", variable=f"x{time.monotonic_ns()}")
    db.session.add(score)
    db.session.flush()
    version = {"score_id": score.id, "number": 1}
    return {
        "submission_id": sa.insert(Submission)
        .values(path=name, participant_id=someone, submitted_at=now, received_at=now, is_new=True)
        .returning(Submission.id),
        "wording_id": sa.insert(QuestionWording)
        .values(wording | {"kind": "slider", "digest": name.encode()})
        .returning(QuestionWording.id),
        "score_version_id": sa.insert(ScoreVersion)
        .values(version | {"definition": {}, "made_by": "x"})
        .returning(ScoreVersion.id),
        "rule_id": sa.insert(AlertRule)
        .values(study_id=study_id, survey_id=survey, question_id="q", comparison="above", value=0, effective_from=now)
        .returning(AlertRule.id),
        "webhook_id": sa.insert(Webhook)
        .values(study_id=study_id, name="x", address="x", signing_key="x", events=["data.processed"], on_since=now)
        .returning(Webhook.id),
        "message_id": sa.insert(PushMessage)
        .values(message | {"due_at": now, "expires_at": now})
        .returning(PushMessage.id),
        "field_id": sa.insert(CustomField).values(study_id=study_id, name=name).returning(CustomField.id),
        "consent_version_id": sa.insert(ConsentVersion)
        .values(consent | {"number": hash(name) % 1_000_000})
        .returning(ConsentVersion.id),
        "export_id": sa.insert(Export)
        .values(study_id=study_id, asked_by="x", kind="streams", form="csv", choice={}, file_name="x")
        .returning(Export.id),
        "bulk_edit_id": sa.insert(BulkEdit).values(edit).returning(BulkEdit.id),
    }


def survey_study(survey: Survey) -> Any:
    return db.session.get_one(purging.Study, survey.study_id)


def ask(participant: Participant) -> None:
    assert ask_for_purge(db.session(), participant, actor=COMMAND_LINE)
    db.session.commit()


def purge(store: ObjectStore | None = None, minutes: float = 30.1) -> purging.PurgeCertificate | None:
    try:
        return purge_next(db.engine, store or object_store(), datetime.now(UTC) + timedelta(minutes=minutes))
    finally:
        db.session.rollback()
        db.session.expire_all()


@cache
def referring_columns() -> dict[str, str]:
    """Tables and columns that refer to participants, found in the database itself, not by the code under test."""
    inspector = sa.inspect(db.engine)
    return {
        table: key["constrained_columns"][0]
        for table in inspector.get_table_names()
        for key in inspector.get_foreign_keys(table)
        if key["referred_table"] == "participants"
    }


def rows_of(participant: Participant) -> dict[str, int]:
    """How many rows each of these tables has of the participant."""
    counts = {
        table: sa.select(sa.func.count()).select_from(sa.table(table)).where(sa.column(column) == participant.id)
        for table, column in referring_columns().items()
    }
    return {table: db.session.scalar(query) for table, query in counts.items()}


def keys_of(participant: Participant, store: ObjectStore | None = None) -> set[str]:
    patient = participant.patient_id
    parts = (f"/{patient}/", f"/{patient}_private", f"/{patient}_public")
    return {v.key for v in (store or object_store()).versions("") if any(part in v.key for part in parts)}


def assert_gone(participant: Participant, store: ObjectStore | None = None) -> None:
    assert keys_of(participant, store) == set()
    assert {table for table, count in rows_of(participant).items() if count} == set(KEPT)
    leftover = sa.select(StoredObject.path).where(StoredObject.path.contains(f"/{participant.patient_id}/"))
    assert db.session.scalars(leftover).all() == []
    row = db.session.get_one(Participant, participant.id)
    assert row.purged_at is not None
    assert (row.device_id, row.os_type, row.timezone_name, row.has_easy_enrollment) == ("", None, None, False)
    assert db.session.scalars(sa.select(ParticipantEvent.detail).filter_by(participant_id=row.id)).all() == [{}]


def test_who_is_to_be_purged_is_locked_out_at_once(app: Flask, participant: Participant):
    """STORE-9: retired, without easy enrolment, device, platform and old password; a second wish changes nothing."""
    participant.has_easy_enrollment = True
    db.session.commit()
    ask(participant)
    asked_at = participant.purge_asked_at
    assert participant.is_locked_out
    assert participant.retired_at is not None
    assert (participant.device_id, participant.os_type, participant.has_easy_enrollment) == ("", None, False)
    assert not verify_password(PASSWORD, participant.password_hash)
    assert not ask_for_purge(db.session(), participant, actor=SERVER)
    db.session.commit()
    assert participant.purge_asked_at == asked_at
    assert db.session.get_one(Purge, participant.id).asked_by == "command line"


def test_everything_of_the_participant_goes_and_nothing_of_the_others(
    app: Flask, participant: Participant, neighbour: Participant, monkeypatch: pytest.MonkeyPatch
):
    """STORE-9: the keys of `abcdefgh` outlive `abc`; the study's old Forest states go whole (FOREST-24)."""
    monkeypatch.setattr(purging, "BATCH_OBJECTS", 2)
    states = [f"{participant.study.object_id}/forest/{name}.pkl" for name in ("all_bv_set", "all_memory_dict")]
    for state in states:
        object_store().create(state, b"pickle")
    theirs = rows_of(neighbour), keys_of(neighbour)
    assert all(count for table, count in theirs[0].items() if table != "purges")
    ours = rows_of(participant), keys_of(participant)
    assert all(count for table, count in ours[0].items() if table != "purges")
    ask(participant)
    certificate = purge()
    assert certificate is not None
    assert_gone(participant)
    assert (rows_of(neighbour), keys_of(neighbour)) == theirs
    assert [key for state in states for key in object_store().keys(state)] == []
    assert (certificate.patient_id, certificate.files_deleted, certificate.versions_deleted) == (
        "abc",
        len(ours[1]) + 2,
        0,
    )
    assert set(certificate.rows_deleted) == {table.name for table in tables_of_participants()}
    assert certificate.confirmed_at == db.session.get_one(Participant, participant.id).purged_at
    assert purge() is None


def test_a_purged_participant_is_still_known_as_one(app: Flask, participant: Participant):
    """STORE-9: the participant's row stays, emptied."""
    ask(participant)
    purge()
    loaded = participant_with_study(db.session(), "abc")
    assert loaded is not None
    assert loaded.activity is None
    assert state_of(loaded, loaded.activity, datetime.now(UTC)).kind is StateKind.PURGED


def test_every_table_that_refers_to_participants_is_deleted_or_kept_on_purpose(app: Flask):
    """STORE-9, MODEL-101: compares the database's own foreign keys with what a purge deletes and what `KEPT` names.

    A new table is deleted by itself; name it in `KEPT` if its rows must outlive the participant's data.
    """
    referring = set(referring_columns())
    assert {table.name for table in tables_of_participants()} | KEPT == referring
    unowned = {
        table.name
        for table in db.metadata.sorted_tables
        if table.name not in referring and any("participant" in c.name or "patient" in c.name for c in table.columns)
    }
    # The audit trail and the log of data access outlive purges on purpose: they hold ids alone (CLAR-20).
    known = {"participants", "audit_records", "data_access_records"}
    assert unowned == known, "a table that names participants needs a foreign key to them"


def test_a_purge_that_is_killed_anywhere_goes_on_and_ends(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """STORE-9: killed between any two commits and deletions, the next run ends it."""
    monkeypatch.setattr(purging, "BATCH_OBJECTS", 3)
    study, step, was_killed = factory.study(), 0, True
    while was_killed:
        step += 1
        participant = factory.participant(study)
        fill(factory, participant)
        ask(participant)
        try:
            with monkeypatch.context() as patch:
                kill_at(patch, step)
                purge()
            was_killed = False
        except Killed:
            if db.session.get_one(Participant, participant.id).purged_at is None:
                assert purge() is not None
        assert_gone(participant)
    assert step > 25


def kill_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """The process dies after its n-th commit or deletion; before one, the last such state is what is left."""
    calls = 0

    def dying(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            result = original(*arguments, **more)
            if calls == step:
                raise Killed
            return result

        return call

    patch.setattr(Session, "commit", dying(Session.commit))
    patch.setattr(type(object_store()), "delete_versions", dying(type(object_store()).delete_versions))


def test_what_is_left_is_named_and_tried_again(
    app: Flask, factory: Factory, participant: Participant, monkeypatch: pytest.MonkeyPatch
):
    """STORE-9: nothing is confirmed before it is known to be gone; others are not held up."""
    other = factory.participant()
    for who in (participant, other):
        ask(who)
    with monkeypatch.context() as patch:
        patch.setattr(type(object_store()), "delete_versions", lambda *_: None)
        with pytest.raises(PurgeIncomplete, match=r"abc: still there: object .*/abc/"):
            purge()
    assert db.session.get_one(Participant, participant.id).purged_at is None
    assert [w.trouble and w.trouble.partition(":")[0] for w in waiting_purges(db.session(), datetime.now(UTC))] == [
        None,
        "abc",
    ]
    for who in (other, participant):
        assert purge() is not None
        assert_gone_row(who)


def assert_gone_row(participant: Participant) -> None:
    assert db.session.get_one(Participant, participant.id).purged_at is not None


def test_a_failing_store_is_noted_and_nothing_is_confirmed(
    app: Flask, participant: Participant, monkeypatch: pytest.MonkeyPatch
):
    """STORE-9, STORE-8."""

    def fail(*_: Any) -> None:
        raise StoreUnavailable("down for a moment")

    ask(participant)
    with monkeypatch.context() as patch:
        patch.setattr(type(object_store()), "delete_versions", fail)
        with pytest.raises(StoreUnavailable):
            purge()
    assert db.session.get_one(Purge, participant.id).trouble == "down for a moment"
    assert purge() is not None
    assert db.session.get_one(Purge, participant.id).trouble is None


def test_one_purge_at_a_time_and_never_beside_processing(app: Flask, participant: Participant):
    """STORE-9: it holds the participant's processing claim and a lock of the whole site."""
    with claimed_participant(db.engine, Scope(participant_id=participant.id)) as claim:
        assert claim is not None
        ask(participant)
        assert purge() is None
    with purging._claimed(db.engine, datetime.now(UTC) + PAUSE * 2) as claim:
        assert claim is not None
        assert claim[1] == participant.id
        assert purge() is None
    assert purge() is not None


def test_the_command_asks_for_the_id_once_more(app: Flask, participant: Participant):
    """STORE-9, OPS-24: it only makes the rows; the purge itself is the flow's."""

    def run(*arguments: str) -> Result:
        return app.test_cli_runner().invoke(args=["participant", "purge", *arguments, "--json"])

    for wrong in (("nobody11",), ("abc",), ("abc", "--yes-delete-everything", "abcdefgh")):
        result = run(*wrong)
        assert (result.exit_code, len(result.stderr.strip().splitlines())) == (1, 1)
    assert not db.session.get_one(Participant, participant.id, populate_existing=True).is_locked_out
    for is_new in (True, False):
        answer = json.loads(run("abc", "--yes-delete-everything", "abc").stdout)
        assert answer["is_new"] is is_new
        assert datetime.fromisoformat(answer["due_at"]) > datetime.now(UTC) + timedelta(minutes=29)
    assert keys_of(participant)
    assert purge() is not None
    assert "already" in run("abc", "--yes-delete-everything", "abc").stderr


@pytest.fixture(scope="module")
def s3_client() -> Iterator[Any]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="tests",
        aws_secret_access_key="tests",
    )
    server.stop()


@pytest.fixture
def versioned(s3_client: Any) -> S3Store:
    s3_client.create_bucket(Bucket=BUCKET)
    s3_client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    store = S3Store(s3_client, BUCKET)
    store.delete_versions(list(store.versions("")))
    return store


def test_versions_and_marks_of_deletion_go_with_their_object(versioned: S3Store):
    """STORE-9: one with three versions, one deleted long ago, one of another participant."""
    etag = versioned.create("s/abc/1", b"one")
    versioned.replace("s/abc/1", b"three", versioned.replace("s/abc/1", b"two", etag))
    versioned.create("s/abc/2", b"x")
    versioned.delete("s/abc/2")
    versioned.create("s/abcdefgh/1", b"x")
    found = list(versioned.versions("s/abc/"))
    assert sorted((v.key, v.is_live) for v in found) == [
        ("s/abc/1", False),
        ("s/abc/1", False),
        ("s/abc/1", True),
        ("s/abc/2", False),
        ("s/abc/2", False),
    ]
    versioned.delete_versions(found)
    versioned.delete_versions(found)
    assert [v.key for v in versioned.versions("")] == ["s/abcdefgh/1"]


def test_a_purge_takes_every_version_out_of_a_versioned_bucket(
    app: Flask, participant: Participant, versioned: S3Store, monkeypatch: pytest.MonkeyPatch
):
    """STORE-9: keys with and without `.zst`, hundreds of versions, over several pages."""
    monkeypatch.setattr(purging, "BATCH_OBJECTS", 10)
    belongings = belongings_of(participant.study.object_id, "abc")
    keys = [f"{prefix}{n}" for prefix in belongings.prefixes for n in range(4)]
    keys += [key + suffix for key in belongings.keys for suffix in ("", ".zst")]
    for key in keys:
        versioned.replace(key, b"two", versioned.create(key, b"one"))
    versioned.delete(keys[0])
    others = [f"{participant.study.object_id}/keys/abcdefgh_private", f"{participant.study.object_id}/abcd/x"]
    for key in others:
        versioned.create(key, b"x")
    ask(participant)
    certificate = purge(versioned)
    assert certificate is not None
    assert sorted(v.key for v in versioned.versions("")) == sorted(others)
    assert (certificate.files_deleted, certificate.versions_deleted) == (len(keys) - 1, len(keys) + 2)


def test_a_deletion_that_the_store_refuses_is_an_error(versioned: S3Store, monkeypatch: pytest.MonkeyPatch):
    """STORE-9: a locked object is told of, not passed over."""
    refusal = {"Errors": [{"Key": "s/abc/1", "Code": "AccessDenied"}]}
    monkeypatch.setattr(versioned.client, "delete_objects", lambda **_: refusal)
    with pytest.raises(StoreUnavailable, match="s/abc/1: AccessDenied"):
        versioned.delete_versions([ObjectVersion("s/abc/1", "v", True)])
