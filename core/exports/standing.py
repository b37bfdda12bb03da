"""Who builds, what waits, and what is left of exports that have no file (CLAR-74).

Apart from the building itself, whose libraries are large: web processes ask this.
"""

from contextlib import AbstractContextManager
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.exports.files import delete_file
from core.locks import LockSpace, held_alone, is_held, lock_key
from core.models import Export, ExportState, Study
from core.storage import ObjectStore

DIED = "The job died before the file was complete. Run it again."
PURGED_MEANWHILE = "The data of a participant in it were deleted meanwhile. Run it again without them."
HIDDEN = "The study was deleted meanwhile."
_SOLE = lock_key(LockSpace.EXPORTS)
_HAS_NO_FILE = Export.state.not_in([ExportState.RUNNING.value, ExportState.DONE.value])


def sole_builder(engine: sa.Engine) -> AbstractContextManager[bool]:
    """Takes the lock to build exports for the block; yields False if another process holds it."""
    return held_alone(engine, _SOLE)


def is_export_waiting(session: Session) -> bool:
    """Whether an export waits to be built, is left of a process that died, or left objects to be deleted."""
    waiting = sa.or_(Export.state == ExportState.QUEUED.value, sa.and_(Export.has_objects, _HAS_NO_FILE))
    return session.scalar(sa.select(Export.id).where(waiting).limit(1)) is not None or bool(_dead(session))


def note_dead(session: Session) -> list[int]:
    """Marks exports whose builder died as failed; the caller commits. Returns their numbers."""
    dead = _dead(session)
    if dead:
        failed = {"state": ExportState.FAILED.value, "reason": DIED, "ended_at": datetime.now(UTC)}
        session.execute(
            sa.update(Export).where(Export.id.in_(dead), Export.state == ExportState.RUNNING.value).values(failed)
        )
    return dead


def clear_up(engine: sa.Engine, store: ObjectStore) -> int:
    """Deletes the objects of exports that have no file any more; commits. Call it under `sole_builder`.

    Returns the number of objects. Raises StoreUnavailable.
    """
    deleted = 0
    with Session(engine, expire_on_commit=False) as session:
        query = sa.select(Export, Study.object_id).join(Study, Study.id == Export.study_id)
        query = query.where(Export.has_objects, _HAS_NO_FILE)
        for export, study_id in session.execute(query).all():
            deleted += delete_file(session, store, study_id, export)
    return deleted


def _dead(session: Session) -> list[int]:
    """The rows are read before the lock: who holds it took it before writing `running`."""
    running = session.scalars(sa.select(Export.id).where(Export.state == ExportState.RUNNING.value)).all()
    return list(running) if running and not is_held(session, _SOLE) else []
