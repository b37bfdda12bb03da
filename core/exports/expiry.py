"""The end of exports: after some days, and when a participant in one is purged (CLAR-74, STORE-9)."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.exports.files import export_prefix
from core.exports.standing import PURGED_MEANWHILE, clear_up, sole_builder
from core.models import Export, ExportParticipant, ExportState, Study
from core.storage import ObjectStore

ROWS_KEPT = timedelta(days=90)
"""Rows of exports without a file are kept for so long after their end, so that the list says what became of them."""
PURGED = "The data of a participant in it were deleted."


def prune_exports(engine: sa.Engine, store: ObjectStore, now: datetime) -> Iterator[tuple[str, int]]:
    """Ends exports whose days are over, and deletes what has no use: objects, then old rows; commits.

    Yields what was deleted, and how many. While another process builds, only ends them: it deletes their objects.
    Raises StoreUnavailable.
    """
    with Session(engine) as session:
        session.execute(sa.update(Export).where(_is_over(now)).values(state=ExportState.EXPIRED.value))
        session.commit()
    with sole_builder(engine) as is_sole:
        if not is_sole:
            return
        yield "objects of exports", clear_up(engine, store)
        with Session(engine) as session:
            deleted: Any = session.execute(sa.delete(Export).where(_is_old(now)))
            session.commit()
        yield Export.__tablename__, deleted.rowcount


def count_old_exports(session: Session, now: datetime) -> dict[str, int]:
    """How many exports would be ended, and how many rows deleted."""
    counts = {
        "exports to end": session.scalar(sa.select(sa.func.count()).select_from(Export).where(_is_over(now))) or 0,
        Export.__tablename__: session.scalar(sa.select(sa.func.count()).select_from(Export).where(_is_old(now))) or 0,
    }
    session.commit()
    return counts


def end_exports_with(session: Session, participant_id: int) -> list[str]:
    """Ends exports with data of this participant; commits. Returns the prefixes of their objects, to be deleted.

    An export that is being built fails: its builder notices within seconds, and at its end in any case.
    """
    of_participant = sa.select(ExportParticipant.export_id).where(ExportParticipant.participant_id == participant_id)
    found = sa.select(Export, Study.object_id).join(Study, Study.id == Export.study_id)
    prefixes = []
    for export, study_id in session.execute(found.where(Export.id.in_(of_participant)).order_by(Export.id)):
        prefixes.append(export_prefix(study_id, export))
    for before, after, reason in (
        (ExportState.DONE, ExportState.EXPIRED, PURGED),
        (ExportState.RUNNING, ExportState.FAILED, PURGED_MEANWHILE),
    ):
        ended = sa.update(Export).where(Export.id.in_(of_participant), Export.state == before.value)
        values = {"state": after.value, "reason": reason, "ended_at": sa.func.now()}
        session.execute(ended.values(values).execution_options(synchronize_session=False))
    session.commit()
    return prefixes


def _is_over(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(Export.state == ExportState.DONE.value, Export.expires_at <= now)


def _is_old(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(Export.ended_at < now - ROWS_KEPT, Export.has_objects.is_(False))
