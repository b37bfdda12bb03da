"""Jasmine's states in the store: one per participant and last day, always under our seal (FOREST-6, FOREST-24)."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.config import Settings
from core.forest.trees import library_version
from core.models import ForestState, ForestTask, Participant, StoredObject, Study
from core.models.stored_object import SealKind
from core.storage import ObjectMissing, ObjectStore, SealedStore

KEPT_DAYS = 100
"""Of states older than this before the newest, one a month is kept: late uploads begin from one of them (CLAR-81).

States of other versions of the library than the newest one's are not kept, since none is loaded.
"""


def forest_store(store: ObjectStore, study: Study, settings: Settings) -> SealedStore:
    """The study's store for outputs and states: under our seal, whatever the setting SEAL says."""
    sealed = SealedStore(store, study, settings)
    sealed.seal_kind = SealKind.OURS
    return sealed


def folder_of(study: Study, participant: Participant) -> str:
    """Where Forest's objects of a participant are, so that a purge takes them."""
    return f"{study.object_id}/{participant.patient_id}/forest"


def state_before(session: Session, store: SealedStore, participant_id: int, start: date, folder: Path) -> Path | None:
    """Writes the newest state from before that day, of the installed library, into the folder; None without one.

    Raises SealBroken for an object that does not carry our seal.
    """
    query = (
        sa.select(ForestState.path)
        .where(
            ForestState.participant_id == participant_id,
            ForestState.up_to < start,
            ForestState.library_version == (library_version() or ""),
        )
        .order_by(ForestState.up_to.desc())
        .limit(1)
    )
    path = session.scalar(query)
    if path is None:
        return None
    try:
        contents, _ = store.read(path, SealKind.OURS)
    except ObjectMissing:
        return None
    file = folder / "before.npz"
    file.write_bytes(contents)
    return file


def save_state(session: Session, store: SealedStore, task: ForestTask, path: str, file: Path, today: date) -> list[str]:
    """Keeps the state after the task's last day, or after `today` if that is yet to come.

    Returns paths of objects to delete after the commit.
    """
    up_to = min(task.end_on, today)
    written = store.create(path, file.read_bytes())
    row = written.row(study_id=task.study_id, participant_id=task.participant_id)
    session.execute(sa.insert(StoredObject).values(row))
    kept = sa.select(ForestState).where(ForestState.participant_id == task.participant_id)
    states = session.scalars(kept.order_by(ForestState.up_to)).all()
    version = library_version() or ""
    old = _not_needed([state for state in states if state.up_to != up_to], version, today)
    gone = [state.path for state in states if state.up_to == up_to or state in old]
    values = {
        "path": path,
        "library_version": version,
        "task_id": task.id,
        "saved_at": sa.func.now(),
    }
    key = {"participant_id": task.participant_id, "up_to": up_to}
    for state in old:
        session.delete(state)
    session.flush()
    statement = insert(ForestState).values(**key, **values)
    session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))
    session.execute(sa.delete(StoredObject).where(StoredObject.path.in_([path + ".zst" for path in gone])))
    return gone


def _not_needed(states: Sequence[ForestState], version: str, today: date) -> list[ForestState]:
    """Of states in order of their day: those of other versions, and the old ones that are not their month's first.

    Also those of days to come, which lack the data of these days.
    """
    months: set[tuple[int, int]] = set()
    old = [state for state in states if state.library_version != version or state.up_to > today]
    states = [state for state in states if state not in old]
    for state in states:
        month = (state.up_to.year, state.up_to.month)
        if month in months and (states[-1].up_to - state.up_to).days > KEPT_DAYS:
            old.append(state)
        months.add(month)
    return old
