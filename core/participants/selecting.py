"""Changes of many participants at once: what would happen to whom, and doing it (CLAR-25)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record, record_each
from core.bulk import is_one_of
from core.models import BulkEdit, BulkEditRow, FieldValue, InterventionDate, Participant, Study
from core.models.audit_record import Action
from core.participants.editing import UNDO_TIME, EditRefused, Undone, edit_many, undo_edit
from core.phones.holding import UNDO_TIME as UNRETIRE_TIME
from core.phones.holding import release_held
from core.surveys.rebuilding import update_events_of


@dataclass(frozen=True)
class Selected:
    """Participants that were chosen, by what may happen to them; numbers by patient id.

    `locked` are those whose data were deleted or will be, `retired` those retired already.
    """

    open: list[int]
    retired: list[int]
    registered: int
    locked: int

    @property
    def unlocked(self) -> list[int]:
        """All whose values may be edited."""
        return [*self.open, *self.retired]


@dataclass(frozen=True)
class ValueChange:
    """What setting one value would do: participants who get it newly, have another one now, or have this one."""

    new: int
    replaced: int
    same: int


def selected_participants(session: Session, study_id: int, numbers: Sequence[int]) -> Selected:
    """The participants of the study among these, in one query."""
    rows = session.execute(
        sa.select(Participant.id, Participant.retired_at, Participant.purge_asked_at, Participant.device_id)
        .where(Participant.study_id == study_id, is_one_of(Participant.id, numbers))
        .order_by(Participant.patient_id)
    ).all()
    unlocked = [row for row in rows if row.purge_asked_at is None]
    return Selected(
        open=[row.id for row in unlocked if row.retired_at is None],
        retired=[row.id for row in unlocked if row.retired_at],
        registered=sum(bool(row.device_id) for row in unlocked),
        locked=len(rows) - len(unlocked),
    )


def numbers_of(session: Session, study_id: int, patient_ids: Sequence[str]) -> list[int]:
    """Numbers of the study's participants of these ids; others are left out."""
    query = sa.select(Participant.id).where(Participant.study_id == study_id, Participant.patient_id.in_(patient_ids))
    return list(session.scalars(query.order_by(Participant.patient_id)))


def preview_value(session: Session, numbers: Sequence[int], name: str, value: str | date | None) -> ValueChange:
    """What setting a field or date of these participants would do; one query."""
    kind, _, number = name.partition(":")
    wanted = value.isoformat() if isinstance(value, date) else (value or "").strip()
    if kind == "field":
        query = sa.select(FieldValue.value).where(
            FieldValue.field_id == int(number), is_one_of(FieldValue.participant_id, numbers)
        )
    else:
        text = sa.cast(InterventionDate.happens_on, sa.Text)
        is_it = InterventionDate.intervention_id == int(number)
        query = sa.select(text).where(is_it, is_one_of(InterventionDate.participant_id, numbers))
    present = list(session.scalars(query))
    same = present.count(wanted) if wanted else len(numbers) - len(present)
    replaced = len(present) - (same if wanted else 0)
    return ValueChange(len(numbers) - len(present) if wanted else 0, replaced, same)


def set_value(
    session: Session,
    study: Study,
    numbers: Sequence[int],
    name: str,
    value: str | date | None,
    summary: str,
    now: datetime,
    *,
    actor: Actor,
) -> tuple[BulkEdit | None, bool]:
    """Sets one field or date of these participants, undoable for 24 hours; the caller commits. Raises EditRefused."""
    return edit_many(session, study, {number: {name: value} for number in numbers}, summary, now, actor=actor)


def retire_participants(
    session: Session, study: Study, numbers: Sequence[int], now: datetime, *, actor: Actor
) -> tuple[list[int], bool]:
    """Retires those that are neither retired nor locked; the caller commits (PORTAL-135).

    Gives who was retired, and whether scheduled events wait for `rebuild-schedules`.
    """
    is_open = (Participant.retired_at.is_(None), Participant.purge_asked_at.is_(None))
    query = sa.select(Participant).where(Participant.study_id == study.id, is_one_of(Participant.id, numbers), *is_open)
    people = session.scalars(
        query.order_by(Participant.id).with_for_update(key_share=True), execution_options={"populate_existing": True}
    ).all()
    for participant in people:
        participant.retired_at, participant.retired_by_id = now, actor.id
    _record_each(session, study, people, Action.PARTICIPANT_BULK_RETIRE, Action.PARTICIPANT_RETIRE, actor)
    retired = [participant.id for participant in people]
    return retired, update_events_of(session, study, retired, now) if retired else False


def reset_devices(session: Session, study: Study, numbers: Sequence[int], *, actor: Actor) -> int:
    """Forgets the phones of those that are not locked; how many had one. The caller commits (PHONE-21)."""
    query = sa.select(Participant).where(
        Participant.study_id == study.id,
        is_one_of(Participant.id, numbers),
        Participant.purge_asked_at.is_(None),
        Participant.device_id != "",
    )
    people = session.scalars(query.order_by(Participant.id).with_for_update(key_share=True)).all()
    for participant in people:
        participant.device_id = ""
    _record_each(session, study, people, Action.PARTICIPANT_BULK_RESET_DEVICE, Action.PARTICIPANT_RESET_DEVICE, actor)
    return len(people)


def _record_each(
    session: Session, study: Study, people: Sequence[Participant], whole: Action, each: Action, actor: Actor
) -> None:
    """A row of the audit trail for the whole change, and one for each participant."""
    if people:
        row = record(session, actor, whole, study=study, count=len(people))
        details: dict[str, dict[str, str]] = {participant.patient_id: {} for participant in people}
        record_each(session, actor, each, study=study, part_of=row, details=details)


def record_retirement(
    session: Session, study: Study, retired: Sequence[int], now: datetime, *, actor: Actor
) -> BulkEdit:
    """Keeps a retirement of many as an edit, so that the list can offer to undo it for ten minutes."""
    count = len(retired)
    summary = f"Retired {count:,} participants" if count != 1 else "Retired one participant"
    edit = BulkEdit(study_id=study.id, author_id=actor.id, author_name=actor.name, summary=summary)
    session.add(edit)
    session.flush()
    rows = [
        {"bulk_edit_id": edit.id, "participant_id": n, "before": {}, "after": {"retired_at": now.isoformat()}}
        for n in retired
    ]
    if rows:
        session.execute(sa.insert(BulkEditRow), rows)
    return edit


def undoable_edits(session: Session, study_id: int, researcher_id: int, now: datetime) -> list[BulkEdit]:
    """Edits that this researcher made and may still undo, the newest first."""
    is_retirement = sa.exists().where(BulkEditRow.bulk_edit_id == BulkEdit.id, BulkEditRow.after.has_key("retired_at"))
    query = sa.select(BulkEdit).where(
        BulkEdit.study_id == study_id,
        BulkEdit.author_id == researcher_id,
        BulkEdit.undone_at.is_(None),
        BulkEdit.at > now - UNDO_TIME,
        sa.or_(BulkEdit.at > now - UNRETIRE_TIME, ~is_retirement),
    )
    return list(session.scalars(query.order_by(BulkEdit.id.desc()).limit(3)))


def undo(session: Session, study: Study, edit: BulkEdit, now: datetime, *, actor: Actor) -> Undone:
    """Undoes an edit of values, or a retirement of many within ten minutes; the caller commits. Raises EditRefused."""
    rows = session.scalars(sa.select(BulkEditRow).where(BulkEditRow.bulk_edit_id == edit.id)).all()
    if not any("retired_at" in row.after for row in rows):
        return undo_edit(session, study, edit, now, actor=actor)
    session.refresh(edit, with_for_update=True)
    if edit.undone_at or now - edit.at > UNRETIRE_TIME:
        raise EditRefused("Retiring can be undone once, for ten minutes.")
    was_retired = {row.participant_id: datetime.fromisoformat(row.after["retired_at"]) for row in rows}
    query = sa.select(Participant).where(is_one_of(Participant.id, was_retired), Participant.purge_asked_at.is_(None))
    restored: list[Participant] = []
    for participant in session.scalars(query.order_by(Participant.id).with_for_update(key_share=True)):
        if participant.retired_at == was_retired[participant.id]:
            participant.retired_at = participant.retired_by_id = None
            restored.append(participant)
    _record_each(session, study, restored, Action.PARTICIPANT_BULK_UNRETIRE, Action.PARTICIPANT_UNRETIRE, actor)
    release_held(session, study)
    edit.undone_at = now
    waits = update_events_of(session, study, [person.id for person in restored], now) if restored else False
    return Undone(len(restored), len(rows) - len(restored), waits)
