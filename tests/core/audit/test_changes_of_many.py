"""A change of many participants leaves a row for each of them, with its actor (PORTAL-290, CLAR-20)."""

from io import BytesIO

import pytest
import sqlalchemy as sa
from flask import Flask

from core.audit import actor_of
from core.database import db
from core.models import AuditRecord, BulkEdit, CustomField, Participant, Researcher, Study
from core.participants import create_participants
from core.participants.batches import ask_for_batch, make_next, renewed_passwords
from core.participants.editing import edit_many, undo_edit
from core.participants.selecting import record_retirement, reset_devices, retire_participants, undo
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.support.this_hour import this_hour
from webapp.stores import object_store, settings

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study()


@pytest.fixture
def ada(factory: Factory, study: Study) -> Researcher:
    return factory.researcher("ada", study=study)


@pytest.fixture
def field(study: Study) -> CustomField:
    field = CustomField(study_id=study.id, name="Site")
    db.session.add(field)
    db.session.commit()
    return field


def people(study: Study, count: int) -> list[int]:
    """Participants without keys; their numbers."""
    values = [
        {"patient_id": f"p{n:07}".replace("0", "z"), "study_id": study.id, "password_hash": "", "device_id": "d"}
        for n in range(count)
    ]
    numbers = db.session.scalars(sa.insert(Participant).returning(Participant.id), values).all()
    db.session.commit()
    return list(numbers)


def parts(action: str) -> list[AuditRecord]:
    """The rows for single participants of that action."""
    query = sa.select(AuditRecord).where(AuditRecord.action == action, AuditRecord.part_of.is_not(None))
    return list(db.session.scalars(query.order_by(AuditRecord.id)))


def whole(action: str) -> AuditRecord:
    query = sa.select(AuditRecord).where(AuditRecord.action == action, AuditRecord.part_of.is_(None))
    return db.session.scalars(query).one()


def test_five_hundred_fields_edited_at_once_are_five_hundred_rows(
    app: Flask, study: Study, ada: Researcher, field: CustomField
):
    """PORTAL-290: each says who and of whom, none says the value. One statement writes them."""
    now = this_hour()
    numbers = people(study, 500)
    statements: list[str] = []
    listen = sa.event.listens_for(db.engine, "before_cursor_execute")
    listen(lambda _1, _2, statement, *_: statements.append(statement))
    edits = {number: {f"field:{field.id}": "Boston"} for number in numbers}
    edit, _ = edit_many(db.session(), study, edits, "Set Site", now, actor=actor_of(ada))
    db.session.commit()
    rows = parts("participant.fields")
    assert len({row.patient_id for row in rows}) == len(rows) == 500
    assert {(row.actor_id, row.actor_name, row.study_object_id) for row in rows} == {(ada.id, "ada", study.object_id)}
    assert {row.part_of for row in rows} == {whole("participant.bulk_edit").id}
    assert all(row.detail == {"changed": [f"field:{field.id}"]} for row in rows)
    assert sum("INSERT INTO audit_records" in statement for statement in statements) == 2
    assert isinstance(edit, BulkEdit)
    undo_edit(db.session(), study, edit, now, actor=actor_of(ada))
    db.session.commit()
    assert len(parts("participant.fields")) == 1000
    assert whole("participant.undo_bulk_edit").detail["count"] == 500


def test_retiring_resetting_and_undoing_name_each_participant(app: Flask, study: Study, ada: Researcher):
    """PORTAL-290, PORTAL-135."""
    now = this_hour()
    numbers, actor = people(study, 3), actor_of(ada)
    reset_devices(db.session(), study, numbers, actor=actor)
    retired, _ = retire_participants(db.session(), study, numbers, now, actor=actor)
    edit = record_retirement(db.session(), study, retired, now, actor=actor)
    db.session.commit()
    undo(db.session(), study, edit, now, actor=actor)
    db.session.commit()
    for action, of_all in (
        ("participant.reset_device", "participant.bulk_reset_device"),
        ("participant.retire", "participant.bulk_retire"),
        ("participant.unretire", "participant.bulk_unretire"),
    ):
        assert {row.part_of for row in parts(action)} == {whole(of_all).id}
        assert len(parts(action)) == 3 == whole(of_all).detail["count"]


def test_an_import_of_external_ids_names_each_participant_whose_id_changed(
    app: Flask, factory: Factory, study: Study, ada: Researcher, field: CustomField
):
    """CLAR-38, CLAR-20: the external id itself, a participant's value, is not in the row."""
    first, second = (
        factory.participant(study, name, external_id=own) for name, own in (("aaaa1111", None), ("bbbb2222", "K-2"))
    )
    text = f"Patient ID,External id,Site\n{first.patient_id},K-1,Boston\n{second.patient_id},K-2,Paris\n"
    visitor = Visitor(app, ada)
    address = f"/view_study/{study.id}/import_participants"

    def send(**more: str) -> str:
        fields = {"csrf_token": visitor.token(), "file": (BytesIO(text.encode()), "values.csv"), **more}
        return visitor.open(address, method="POST", data=fields, content_type="multipart/form-data").text

    confirmed = send().partition('name="confirmed" value="')[2].partition('"')[0]
    send(confirmed=confirmed)
    db.session.rollback()
    rows = parts("participant.fields")
    told = [(row.patient_id, row.detail) for row in rows]
    assert (first.patient_id, {"external_id": True}) in told and (second.patient_id, {"external_id": True}) not in told
    assert {row.actor_role for row in rows} == {"study_researcher"}
    assert len(told) == 3
    assert not [row for row in db.session.scalars(sa.select(AuditRecord)) if "K-1" in str(row.detail)]


def test_participants_of_a_batch_are_recorded_for_who_asked(
    app: Flask, factory: Factory, study: Study, ada: Researcher
):
    """CLAR-32, PORTAL-290: also when they are created later, in the background."""
    batch = ask_for_batch(db.session(), study, 2, "two", actor=actor_of(ada))
    db.session.commit()
    make_next(db.engine, object_store(), settings())
    renewed_passwords(db.session(), batch, actor=actor_of(ada))
    db.session.commit()
    for action in ("participant.create", "participant.reset_password"):
        rows = parts(action)
        assert [(row.actor_id, row.actor_name, row.detail["batch"]) for row in rows] == [(ada.id, "ada", batch.id)] * 2
    create_participants(db.session(), factory.store(study), study, 1, "single11", actor=actor_of(ada))
    one = db.session.scalars(sa.select(AuditRecord).where(AuditRecord.patient_id == "single11")).one()
    assert one.action == "participant.create" and one.part_of is None
