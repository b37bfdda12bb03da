"""Custom fields, intervention dates and external ids from a CSV file: previewed, and imported whole (CLAR-38)."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.audit import Actor, record, record_each
from core.bulk import given_rows, is_one_of
from core.limits import limit_in, seen_whole
from core.models import BulkEdit, Participant, Study
from core.models.audit_record import Action
from core.participants.columns import Column
from core.participants.editing import FIXED_SITE, edit_many, values_of_many
from core.participants.enrolling import own_sites
from core.participants.refusals import ParticipantRefused
from core.participants.table_reading import EXTERNAL, ReadTable, TableLine


@dataclass(frozen=True)
class ColumnChange:
    """How many participants get a value newly, get another one, or lose it."""

    column: Column
    new: int
    replaced: int
    removed: int


@dataclass(frozen=True)
class ImportPreview:
    """What an import would do, or why it cannot be done: with errors nothing is imported."""

    table: ReadTable
    changes: list[ColumnChange]
    participants: int

    @property
    def is_possible(self) -> bool:
        return not self.table.errors


def preview_import(session: Session, study: Study, table: ReadTable) -> ImportPreview:
    """What importing the table would change; checks ids against the study. Four queries, whatever the lines."""
    people = _people(session, study, table)
    for line in table.lines:
        person = people.get(line.patient_id)
        if person is None:
            table.refuse(line.line, f"“{line.patient_id}” is not the id of a participant of this study.")
        elif person.purge_asked_at:
            table.refuse(line.line, f"All data of {line.patient_id} were deleted, or will be.")
    _check_external_ids(session, study, table, people)
    sites = own_sites(session, study.id)
    present = values_of_many(session, [person.id for person in people.values()])
    changes, changed = [], set[str]()
    for column in table.columns:
        new = replaced = removed = 0
        for line in table.lines:
            if column.name not in line.values or line.patient_id not in people:
                continue
            wanted = _text(line.values[column.name])
            person = people[line.patient_id]
            had = person.external_id if column is EXTERNAL else present.get(person.id, {}).get(column.name)
            if (wanted or None) == (had or None):
                continue
            if sites and column.name == sites.column:
                table.refuse(line.line, f"{column.heading}: {FIXED_SITE}")
            changed.add(line.patient_id)
            new, replaced, removed = new + (not had), replaced + bool(had and wanted), removed + (not wanted)
        changes.append(ColumnChange(column, new, replaced, removed))
    table.errors.sort(key=lambda error: error.line)
    return ImportPreview(table, changes, len(changed))


def import_table(
    session: Session, study: Study, table: ReadTable, now: datetime, *, actor: Actor
) -> tuple[BulkEdit | None, bool]:
    """Imports a table without errors, in one transaction, which the caller commits; undoable for 24 hours.

    Gives the edit, and whether scheduled events wait for `rebuild-schedules`. Raises ParticipantRefused where
    something changed since the preview.
    """
    preview = preview_import(session, study, table)
    if not preview.is_possible:
        raise ParticipantRefused("Something changed since the preview: look at it again.")
    people = _people(session, study, table)
    if EXTERNAL in table.columns:
        _write_external_ids(session, table, people)
        _record_external_ids(session, study, table, people, actor)
    edits = {
        people[line.patient_id].id: {name: value for name, value in line.values.items() if name != EXTERNAL.name}
        for line in table.lines
    }
    summary = f"Imported a file of {len(table.lines):,} lines"
    return edit_many(session, study, {n: e for n, e in edits.items() if e}, summary, now, actor=actor)


def _people(session: Session, study: Study, table: ReadTable) -> dict[str, Any]:
    query = sa.select(Participant.id, Participant.patient_id, Participant.external_id, Participant.purge_asked_at)
    ids = [line.patient_id for line in table.lines]
    rows = session.execute(query.where(Participant.study_id == study.id, is_one_of(Participant.patient_id, ids)))
    return {row.patient_id: row for row in rows}


def _check_external_ids(session: Session, study: Study, table: ReadTable, people: dict[str, Any]) -> None:
    """Each external id belongs to one participant, in the file and in the study."""
    wanted: dict[str, TableLine] = {}
    lines: dict[str, int] = {}
    for line in table.lines:
        external = str(line.values.get(EXTERNAL.name) or "")
        if external.lower() in lines:
            table.refuse(line.line, f"External id: {external} is in line {lines[external.lower()]} already.")
        elif external:
            wanted[external], lines[external.lower()] = line, line.line
    if not wanted:
        return
    changing = {line.patient_id for line in table.lines if EXTERNAL.name in line.values}
    given = given_rows(Participant, [{"external_id": external} for external in wanted])
    same = sa.func.lower(Participant.external_id) == sa.func.lower(given.c.external_id)  # both as the index has it
    query = sa.select(Participant.patient_id, given.c.external_id).join(given, same)
    query = query.where(Participant.study_id == study.id)
    seen = session.execute(query).all()
    for patient_id, external in seen:
        line = wanted[external]
        if patient_id != line.patient_id and patient_id not in changing:
            table.refuse(line.line, f"External id: {external} belongs to {patient_id}.")
    if limit_in(session, study.id):  # ids are unique in the study, also among participants of other sites (PERM-95)
        with seen_whole(session):
            taken = set(session.scalars(query.with_only_columns(given.c.external_id)))
        for external in taken - {external for _, external in seen}:
            table.refuse(wanted[external].line, f"External id: {external} is taken in this study.")


def _write_external_ids(session: Session, table: ReadTable, people: dict[str, Any]) -> None:
    """Frees the old ids first, since two participants may exchange theirs. Raises ParticipantRefused."""
    rows = [
        {"id": people[line.patient_id].id, "external_id": line.values[EXTERNAL.name]}
        for line in table.lines
        if EXTERNAL.name in line.values
    ]
    if not rows:
        return
    untracked = {"synchronize_session": False}
    named = is_one_of(Participant.id, [row["id"] for row in rows])
    session.execute(sa.update(Participant).where(named).values(external_id=None), execution_options=untracked)
    given = given_rows(Participant, rows)
    own = sa.update(Participant).where(Participant.id == given.c.id).values(external_id=given.c.external_id)
    try:
        with session.begin_nested():
            session.execute(own, execution_options=untracked)
    except IntegrityError:
        raise ParticipantRefused("An external id was taken since the preview: look at it again.") from None


def _record_external_ids(
    session: Session, study: Study, table: ReadTable, people: dict[str, Any], actor: Actor
) -> None:
    """A row of the audit trail for all external ids that changed, and one for each participant; not the ids."""
    changed = [
        line.patient_id
        for line in table.lines
        if EXTERNAL.name in line.values
        and (line.values[EXTERNAL.name] or None) != (people[line.patient_id].external_id or None)
    ]
    if changed:
        whole = record(session, actor, Action.PARTICIPANT_BULK_EDIT, study=study, external_id=True, count=len(changed))
        details = {patient_id: {"external_id": True} for patient_id in changed}
        record_each(session, actor, Action.PARTICIPANT_FIELDS, study=study, part_of=whole, details=details)


def _text(value: str | date | None) -> str:
    return value.isoformat() if isinstance(value, date) else (value or "")


def rows_of_batch(session: Session, study: Study, table: ReadTable, *, site: str = "") -> list[dict[str, Any]]:
    """What the lines of a file of new participants give, as a batch keeps it; external ids and sites are checked.

    `site` is that of lines without one, for people who are limited to several (PERM-95).
    """
    _check_external_ids(session, study, table, {})
    if sites := own_sites(session, study.id):
        for line in table.lines:
            try:
                line.values[sites.column] = sites.chosen(str(line.values.get(sites.column) or site))
            except ParticipantRefused as refused:
                table.refuse(line.line, str(refused))
        table.errors.sort(key=lambda error: error.line)
    return [
        {
            "external_id": line.values.get(EXTERNAL.name),
            "values": {n: _text(v) for n, v in line.values.items() if n != EXTERNAL.name and v},
        }
        for line in table.lines
    ]
