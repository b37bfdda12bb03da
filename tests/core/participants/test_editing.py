"""Custom fields and intervention dates, of one participant or many; and undoing (PORTAL-133, CLAR-25)."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.audit import COMMAND_LINE
from core.database import db
from core.models import AuditRecord, BulkEditRow, CustomField, Participant, ScheduledEvent, Study
from core.participants.editing import (
    EditRefused,
    delete_old_edits,
    edit_many,
    edit_participant,
    read_date,
    undo_edit,
    values_of,
)
from core.surveys.schedules import Relative
from tests.support.factories import Factory
from tests.support.this_hour import this_hour


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    return factory.study()


def field(study: Study, name: str = "Site") -> str:
    row = CustomField(study_id=study.id, name=name)
    db.session.add(row)
    db.session.commit()
    return f"field:{row.id}"


def has(participant: Participant) -> dict[str, str]:
    return values_of(db.session(), participant.id)


def test_fields_and_dates_are_set_and_cleared(study: Study, factory: Factory):
    """PORTAL-133: an empty date clears, and events follow."""
    now = this_hour()
    participant, site = factory.participant(study), field(study)
    baseline = factory.intervention(study)
    factory.schedule(factory.survey(study), Relative(baseline.id, 1, time(12)))
    start = f"intervention:{baseline.id}"
    edit_participant(db.session(), participant, {site: " Boston ", start: now.date()}, now, actor=COMMAND_LINE)
    assert has(participant) == {site: "Boston", start: now.date().isoformat()}
    assert len(list(db.session.scalars(sa.select(ScheduledEvent)))) == 1
    edit_participant(db.session(), participant, {site: "", start: None}, now, actor=COMMAND_LINE)
    assert has(participant) == {} and not list(db.session.scalars(sa.select(ScheduledEvent)))


def test_the_audit_trail_holds_names_of_what_changed_and_no_values(study: Study, factory: Factory):
    """CLAR-20."""
    now = this_hour()
    participant, site = factory.participant(study), field(study)
    edit_participant(db.session(), participant, {site: "Boston"}, now, actor=COMMAND_LINE)
    edit_participant(db.session(), participant, {site: "Boston"}, now, actor=COMMAND_LINE)
    (row,) = db.session.scalars(sa.select(AuditRecord).where(AuditRecord.action == "participant.fields"))
    assert row.detail == {"changed": [site]} and "Boston" not in str(row.detail)


def test_fields_and_interventions_of_other_studies_are_refused(study: Study, factory: Factory):
    """PERM-72: and nothing else of the call is done."""
    participant, site, other = factory.participant(study), field(study), factory.study()
    for foreign in (field(other), f"intervention:{factory.intervention(other).id}"):
        with pytest.raises(EditRefused):
            edit_participant(db.session(), participant, {site: "x", foreign: None}, this_hour(), actor=COMMAND_LINE)
        assert has(participant) == {}


def test_many_are_edited_at_once_and_the_edit_is_undone(study: Study, factory: Factory):
    """CLAR-25: who was changed again since keeps the newer value."""
    now = this_hour()
    people = [factory.participant(study) for _ in range(4)]
    site = field(study)
    edit_participant(db.session(), people[0], {site: "Paris"}, now, actor=COMMAND_LINE)
    edits = {person.id: {site: "Boston"} for person in people}
    edit, _ = edit_many(db.session(), study, edits, "Site set to Boston", now, actor=COMMAND_LINE)
    assert edit and [has(person)[site] for person in people] == ["Boston"] * 4
    edit_participant(db.session(), people[3], {site: "Rome"}, now, actor=COMMAND_LINE)
    undone = undo_edit(db.session(), study, edit, now, actor=COMMAND_LINE)
    assert (undone.restored, undone.changed_since) == (3, 1)
    assert [has(person).get(site) for person in people] == ["Paris", None, None, "Rome"]
    with pytest.raises(EditRefused, match="already"):
        undo_edit(db.session(), study, edit, now, actor=COMMAND_LINE)


def test_an_edit_can_be_undone_for_a_day(study: Study, factory: Factory):
    """CLAR-25."""
    site, person = field(study), factory.participant(study)
    edit, _ = edit_many(db.session(), study, {person.id: {site: "x"}}, "x", this_hour(), actor=COMMAND_LINE)
    assert edit
    db.session.flush()
    late = datetime.now(UTC) + timedelta(hours=24, minutes=1)
    with pytest.raises(EditRefused, match="24 hours"):
        undo_edit(db.session(), study, edit, late, actor=COMMAND_LINE)
    assert delete_old_edits(db.session(), this_hour()) == 0
    assert delete_old_edits(db.session(), late) == 1
    assert not list(db.session.scalars(sa.select(BulkEditRow)))


def test_a_locked_participant_refuses_the_whole_edit(study: Study, factory: Factory):
    """PERM-74."""
    now = this_hour()
    site, one, other = field(study), factory.participant(study), factory.participant(study, purge_asked_at=now)
    with pytest.raises(EditRefused, match=other.patient_id):
        edit_many(db.session(), study, {p.id: {site: "x"} for p in (one, other)}, "x", now, actor=COMMAND_LINE)
    assert has(one) == {}


@pytest.mark.parametrize("text", ["2030-1-31", "31.01.2030", "2030-02-30", "20300131", "x"])
def test_dates_are_iso_only(text: str):
    """CLAR-38."""
    with pytest.raises(EditRefused, match="2030-01-31"):
        read_date(text)
    assert read_date(" 2030-01-31 ") == date(2030, 1, 31) and read_date("  ") is None
