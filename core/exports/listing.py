"""The exports of a study as its page lists them.

A session that is limited to sites sees only exports that were made with the same limit, of people whom it sees all
(PERM-95): `core/limits.py` says so once for the table.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Export, ExportState

MOST_LISTED = 50


def exports_of_study(session: Session, study_id: int) -> list[Export]:
    """The study's newest exports that nobody deleted, at most fifty."""
    query = sa.select(Export).where(Export.study_id == study_id, Export.removed_at.is_(None))
    return list(session.scalars(query.order_by(Export.id.desc()).limit(MOST_LISTED)))


def export_of_study(session: Session, study_id: int, number: int) -> Export | None:
    """The study's export with this number, or None."""
    query = sa.select(Export).where(Export.id == number, Export.study_id == study_id, Export.removed_at.is_(None))
    return session.scalars(query).one_or_none()


def has_file(export: Export, now: datetime) -> bool:
    """Whether the export's file can be fetched."""
    return export.state == ExportState.DONE.value and export.expires_at is not None and export.expires_at > now
