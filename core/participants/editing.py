"""Editing custom fields and intervention dates, of one participant or of many; and undoing an edit (CLAR-25).

A change is a mapping from what is edited to its new value: `field:<id>` to a text, `intervention:<id>` to a date; an
empty text, or None, removes the value. All changes of a call are made, or none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.audit import Actor, record, record_each
from core.bulk import is_one_of
from core.limits import limit_in
from core.models import (
    AuditRecord,
    BulkEdit,
    BulkEditRow,
    CustomField,
    FieldValue,
    FieldValueChange,
    Intervention,
    InterventionDate,
    Participant,
    Schedule,
    Study,
)
from core.models.audit_record import Action
from core.participants.refusals import ParticipantRefused
from core.surveys.rebuilding import update_events_of

Changes = Mapping[str, str | date | None]
UNDO_TIME = timedelta(hours=24)
LONGEST_VALUE = 2_000
FIXED_SITE = "Your role is limited to a site by this field, so you cannot change it."
_ROWS_AT_ONCE = 5_000


class EditRefused(ParticipantRefused):
    """An edit cannot be made; nothing was changed. The message says of whom and why."""


@dataclass(frozen=True)
class Undone:
    """What an undo did: participants who have their earlier values again, and those changed by others meanwhile."""

    restored: int
    changed_since: int
    waits: bool


def edit_participant(
    session: Session, participant: Participant, changes: Changes, now: datetime, *, actor: Actor
) -> None:
    """Sets fields and dates of one participant (PORTAL-133); the caller commits. Raises EditRefused."""
    study = participant.study
    before, _ = set_values(session, study, {participant.id: changes}, now)
    if before:
        changed = sorted(before[participant.id])
        record(session, actor, Action.PARTICIPANT_FIELDS, study=study, participant=participant, changed=changed)


def edit_many(
    session: Session, study: Study, edits: Mapping[int, Changes], summary: str, now: datetime, *, actor: Actor
) -> tuple[BulkEdit | None, bool]:
    """Edits participants by their numbers, so that it can be undone for 24 hours; the caller commits (CLAR-25).

    Gives the edit, None where nothing differs, and whether scheduled events wait for `rebuild-schedules` (CLAR-14).
    `summary` is a sentence for the history. Raises EditRefused.
    """
    before, waits = set_values(session, study, edits, now)
    if not before:
        return None, False
    edit = BulkEdit(study_id=study.id, author_id=actor.id, author_name=actor.name, summary=summary)
    session.add(edit)
    session.flush()
    rows = [
        {
            "bulk_edit_id": edit.id,
            "participant_id": number,
            "before": old,
            "after": {name: _stored(edits[number][name]) for name in old},
        }
        for number, old in before.items()
    ]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        session.execute(sa.insert(BulkEditRow), rows[start : start + _ROWS_AT_ONCE])
    whole = record(session, actor, Action.PARTICIPANT_BULK_EDIT, study=study, edit=edit.id, count=len(rows))
    _record_each(session, study, before, whole, actor)
    return edit, waits


def undo_edit(session: Session, study: Study, edit: BulkEdit, now: datetime, *, actor: Actor) -> Undone:
    """Gives participants the values of before an edit, but those whose values were changed since; the caller commits.

    Raises EditRefused where it was undone already or is older than 24 hours.
    """
    session.refresh(edit, with_for_update=True)
    if edit.undone_at:
        raise EditRefused("This was undone already.")
    if now - edit.at > UNDO_TIME:
        raise EditRefused("An edit can be undone for 24 hours.")
    rows = session.scalars(sa.select(BulkEditRow).where(BulkEditRow.bulk_edit_id == edit.id)).all()
    present = values_of_many(session, [row.participant_id for row in rows])
    edits: dict[int, Changes] = {}
    for row in rows:
        has = present.get(row.participant_id, {})
        if all(has.get(name) == value for name, value in row.after.items()):
            edits[row.participant_id] = read_changes(row.before)
    before, waits = set_values(session, study, edits, now, passes_over_locked=True)
    edit.undone_at = now
    whole = record(session, actor, Action.PARTICIPANT_UNDO_BULK_EDIT, study=study, edit=edit.id, count=len(edits))
    _record_each(session, study, before, whole, actor)
    return Undone(len(edits), len(rows) - len(edits), waits)


def patient_ids_of(session: Session, numbers: Iterable[int]) -> dict[int, str]:
    """The patient ids of participants, by their numbers."""
    rows = session.execute(sa.select(Participant.id, Participant.patient_id).where(is_one_of(Participant.id, numbers)))
    return dict(rows.tuples().all())


def _record_each(
    session: Session, study: Study, before: Mapping[int, Mapping[str, Any]], whole: AuditRecord, actor: Actor
) -> None:
    """One row of the audit trail for each participant whose values changed, with what changed."""
    ids = patient_ids_of(session, before)
    details = {ids[number]: {"changed": sorted(old)} for number, old in before.items()}
    record_each(session, actor, Action.PARTICIPANT_FIELDS, study=study, part_of=whole, details=details)


def delete_old_edits(session: Session, now: datetime) -> int:
    """Forgets what undoing would need, once it is too late for that; the caller commits (CLAR-25)."""
    old = sa.select(BulkEdit.id).where(BulkEdit.at < now - UNDO_TIME)
    deleted = session.execute(sa.delete(BulkEditRow).where(BulkEditRow.bulk_edit_id.in_(old)))
    count: int = deleted.rowcount  # type: ignore[attr-defined]
    return count


def values_of(session: Session, participant_id: int) -> dict[str, str]:
    """All fields and dates that the participant has, by the names of changes; dates as `YYYY-MM-DD`."""
    return values_of_many(session, [participant_id]).get(participant_id, {})


def read_date(text: str) -> date | None:
    """A date like 2030-01-31; None for an empty text. Raises EditRefused."""
    if not (text := text.strip()):
        return None
    try:
        if len(text) != 10:
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise EditRefused(f"“{text[:40]}” is not a date like 2030-01-31.") from None


def read_changes(stored: Mapping[str, str | None]) -> Changes:
    """Changes from their stored form, where dates are texts."""
    return {name: _read(name, value) for name, value in stored.items()}


def set_values(
    session: Session,
    study: Study,
    edits: Mapping[int, Changes],
    now: datetime,
    *,
    passes_over_locked: bool = False,
) -> tuple[dict[int, dict[str, str | None]], bool]:
    """Makes the changes that change something, without a row of the audit trail, which the callers write.

    Gives the values of before by participant, and whether events wait for `rebuild-schedules`. Raises EditRefused.
    """
    _check_names(session, study, {name for changes in edits.values() for name in changes})
    open_ones = _lock(session, study, edits, passes_over_locked=passes_over_locked)
    present = values_of_many(session, open_ones)
    before: dict[int, dict[str, str | None]] = {}
    limit = limit_in(session, study.id)
    for number in open_ones:
        has = present.get(number, {})
        changed = {name: has.get(name) for name, value in edits[number].items() if _stored(value) != has.get(name)}
        if limit and f"field:{limit.field_id}" in changed:
            raise EditRefused(FIXED_SITE)
        if changed:
            before[number] = changed
    fields = [(n, name, edits[n][name]) for n, old in before.items() for name in old if name.startswith("field:")]
    dates = [(n, name, edits[n][name]) for n, old in before.items() for name in old if not name.startswith("field:")]
    _write(session, FieldValue, "field_id", "value", fields)
    _write(session, InterventionDate, "intervention_id", "happens_on", dates)
    of_arms = _note_changes_of_arms(session, study, before, now)
    moved = sorted({number for number, _, _ in dates} | of_arms)
    waits = update_events_of(session, study, moved, now) if moved else False
    return before, waits


def _note_changes_of_arms(
    session: Session, study: Study, before: Mapping[int, Mapping[str, str | None]], now: datetime
) -> set[int]:
    """Keeps the earlier values of fields by which schedules divide arms, for the rest of the day (CLAR-53).

    Gives the participants whose arm may have changed.
    """
    arms = sa.select(Schedule.arm_field_id).join(CustomField, CustomField.id == Schedule.arm_field_id)
    fields = set(session.scalars(arms.where(CustomField.study_id == study.id).distinct())) if before else set()
    rows = [
        {"participant_id": number, "field_id": field_id, "changed_at": now, "value_before": old[f"field:{field_id}"]}
        for number, old in before.items()
        for field_id in fields
        if f"field:{field_id}" in old
    ]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        session.execute(sa.insert(FieldValueChange), rows[start : start + _ROWS_AT_ONCE])
    return {number for number, old in before.items() if any(f"field:{field_id}" in old for field_id in fields)}


def _check_names(session: Session, study: Study, names: Iterable[str]) -> None:
    """Every field and intervention is of this study (PERM-72)."""
    known = {f"field:{n}" for n in session.scalars(sa.select(CustomField.id).filter_by(study_id=study.id))}
    known |= {f"intervention:{n}" for n in session.scalars(sa.select(Intervention.id).filter_by(study_id=study.id))}
    if unknown := sorted(set(names) - known):
        raise EditRefused(f"The study has no {unknown[0].partition(':')[0]} of this number.")


def _lock(session: Session, study: Study, edits: Iterable[int], *, passes_over_locked: bool) -> list[int]:
    """Locks the participants' rows in one order; those that may be changed."""
    query = sa.select(Participant.id, Participant.patient_id, Participant.purge_asked_at).where(
        is_one_of(Participant.id, edits),
        Participant.study_id == study.id,
    )
    rows = session.execute(query.order_by(Participant.id).with_for_update(key_share=True)).all()
    for _, patient_id, purge_asked_at in rows:
        if purge_asked_at and not passes_over_locked:
            raise EditRefused(f"All data of {patient_id} were deleted, or will be. Nothing can be changed.")
    return [number for number, _, purge_asked_at in rows if not purge_asked_at]


def values_of_many(session: Session, participant_ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """All fields and dates of these participants, by number and by the names of changes; two queries."""
    fields = sa.select(FieldValue.participant_id, FieldValue.field_id, FieldValue.value)
    dates = sa.select(InterventionDate.participant_id, InterventionDate.intervention_id, InterventionDate.happens_on)
    found: dict[int, dict[str, str]] = {}
    for number, field_id, value in session.execute(fields.where(is_one_of(FieldValue.participant_id, participant_ids))):
        found.setdefault(number, {})[f"field:{field_id}"] = value
    for number, intervention_id, on in session.execute(
        dates.where(is_one_of(InterventionDate.participant_id, participant_ids))
    ):
        found.setdefault(number, {})[f"intervention:{intervention_id}"] = on.isoformat()
    return found


def _write(
    session: Session,
    model: type[FieldValue] | type[InterventionDate],
    key: str,
    column: str,
    changes: Sequence[tuple[int, str, Any]],
) -> None:
    """Sets and removes rows, thousands to a statement."""
    table: Any = model.__table__
    for start in range(0, len(changes), _ROWS_AT_ONCE):
        part = [(number, int(name.partition(":")[2]), value) for number, name, value in changes[start:][:_ROWS_AT_ONCE]]
        kept = [{"participant_id": n, key: of, column: _cleaned(value)} for n, of, value in part if _stored(value)]
        gone = [(n, of) for n, of, value in part if not _stored(value)]
        if kept:
            row = insert(table).values(kept)
            new = {column: row.excluded[column]}
            session.execute(row.on_conflict_do_update(index_elements=["participant_id", key], set_=new))
        if gone:
            session.execute(sa.delete(table).where(sa.tuple_(table.c.participant_id, table.c[key]).in_(gone)))


def _cleaned(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _stored(value: str | date | None) -> str | None:
    """The value as text, as it is compared and remembered; None for none. Raises EditRefused for a very long text."""
    if isinstance(value, date):
        return value.isoformat()
    text = (value or "").strip()
    if len(text) > LONGEST_VALUE:
        raise EditRefused(f"A value has at most {LONGEST_VALUE:,} characters.")
    if "\0" in text:
        raise EditRefused("A value cannot hold a NUL character.")
    return text or None


def _read(name: str, stored: str | None) -> str | date | None:
    return date.fromisoformat(stored) if stored and name.startswith("intervention:") else stored
