"""Interventions and custom fields (PORTAL-170 to PORTAL-173)."""

from datetime import date, time

import pytest
import sqlalchemy as sa
from flask import Flask

from core.audit import SERVER
from core.database import db
from core.models import CustomField, FieldValue, Intervention, Schedule, ScheduledEvent, Study
from core.participants.editing import edit_participant
from core.surveys.events import rebuild_events
from core.surveys.schedules import Relative
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.support.this_hour import this_hour

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    return factory.study()


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher(study=study))


def names(model: type[Intervention] | type[CustomField]) -> list[str]:
    db.session.rollback()
    return sorted(db.session.scalars(sa.select(model.name)))


def test_interventions_are_added_renamed_and_listed_ignoring_case(study: Study, visitor: Visitor):
    """PORTAL-170, PORTAL-173."""
    path = f"/interventions/{study.id}"
    assert "None yet" in visitor.get(path).text
    for name in ("visit 2", "  Discharge ", "a  b"):
        visitor.post(path, new_intervention=name)
    assert names(Intervention) == ["Discharge", "a b", "visit 2"]
    page = visitor.get(path).text
    assert page.index('value="a b"') < page.index('value="Discharge"') < page.index('value="visit 2"')
    taken = visitor.post(path, new_intervention="DISCHARGE")
    assert taken.status_code == 422 and "named DISCHARGE already" in taken.text
    number = db.session.scalar(sa.select(Intervention.id).where(Intervention.name == "a b"))
    visitor.post(f"/edit_intervention/{study.id}", intervention_id=str(number), edit_intervention="A B")
    assert "A B" in names(Intervention)
    refused = visitor.post(f"/edit_intervention/{study.id}", intervention_id=str(number), edit_intervention="visit 2")
    assert refused.status_code == 422


@pytest.mark.parametrize("name", ["Status", "patient id", "Last_Upload"])
def test_columns_of_the_participants_table_are_no_names(study: Study, visitor: Visitor, name: str):
    """DATA-44, DATA-71: a row as a JSON object holds each name once."""
    answer = visitor.post(f"/study_fields/{study.id}", new_field=name)
    assert answer.status_code == 422 and "has a column" in answer.text
    assert names(CustomField) == []


def test_names_beyond_ascii_are_taken_too(study: Study, visitor: Visitor):
    """PORTAL-173: whatever lower case is to the database, the form answers."""
    for path, field in (
        (f"/interventions/{study.id}", "new_intervention"),
        (f"/study_fields/{study.id}", "new_field"),
    ):
        assert visitor.post(path, **{field: "Étude İ"}).status_code == 302
        taken = visitor.post(path, **{field: "Étude İ"})
        assert taken.status_code == 422 and "named Étude İ already" in taken.text


def test_an_intervention_in_use_is_deleted_only_with_its_schedules(study: Study, visitor: Visitor, factory: Factory):
    """PORTAL-172: the surveys are named, and a second confirmation deletes both."""
    start, participant = factory.intervention(study), factory.participant(study)
    factory.schedule(factory.survey(study, name="Mood"), Relative(start.id, 1, time(12)))
    factory.intervention_date(participant, start, date.today())
    rebuild_events(db.session(), study, this_hour())
    db.session.commit()
    path, form = f"/delete_intervention/{study.id}", {"intervention": str(start.id)}
    assert "Type Baseline to delete it" in visitor.post(path, **form).text
    refused = visitor.post(path, **form, typed_name="Baseline")
    assert refused.status_code == 422 and "is used by schedules of Mood" in refused.text
    assert names(Intervention) == ["Baseline"]
    assert visitor.post(path, **form, typed_name="Baseline", with_schedules="true").status_code == 302
    assert names(Intervention) == []
    for model in (Schedule, ScheduledEvent):
        assert db.session.scalars(sa.select(model)).all() == []


def test_fields_go_with_their_values(study: Study, visitor: Visitor, factory: Factory):
    """PORTAL-170."""
    visitor.post(f"/study_fields/{study.id}", new_field="Site")
    db.session.rollback()
    field = db.session.scalars(sa.select(CustomField)).one()
    edit_participant(db.session(), factory.participant(study), {f"field:{field.id}": "x"}, this_hour(), actor=SERVER)
    db.session.commit()
    visitor.post(f"/edit_custom_field/{study.id}", field_id=str(field.id), edit_custom_field="Clinic")
    assert names(CustomField) == ["Clinic"]
    assert "1 value of participants" in visitor.get(f"/study_fields/{study.id}?delete={field.id}").text
    visitor.post(f"/delete_field/{study.id}", field=str(field.id), typed_name="Clinic")
    assert names(CustomField) == [] and db.session.scalars(sa.select(FieldValue)).all() == []


@pytest.mark.parametrize("path", ["edit_intervention", "delete_intervention", "edit_custom_field", "delete_field"])
def test_those_of_other_studies_are_not_found(study: Study, visitor: Visitor, factory: Factory, path: str):
    """PORTAL-171, PERM-72."""
    other = factory.study()
    field = CustomField(study_id=other.id, name="Site")
    db.session.add(field)
    db.session.commit()
    start = factory.intervention(other)
    ids = {
        "intervention_id": str(start.id),
        "intervention": str(start.id),
        "field_id": str(field.id),
        "field": str(field.id),
    }
    typed = {"typed_name": "Baseline", "edit_intervention": "x", "edit_custom_field": "x"}
    assert visitor.post(f"/{path}/{study.id}", **ids, **typed).status_code == 404
    assert visitor.post(f"/{path}/{study.id}", **dict.fromkeys(ids, "x"), **typed).status_code == 400
    assert names(Intervention) == ["Baseline"] and names(CustomField) == ["Site"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\x07b"])
def test_names_have_1_to_100_characters(study: Study, visitor: Visitor, name: str):
    answer = visitor.post(f"/interventions/{study.id}", new_intervention=name)
    assert answer.status_code == 422 and "1 to 100 characters" in answer.text
