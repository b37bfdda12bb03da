"""Whose data an export holds."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.exports.choice import ExportChoice
from core.models import Participant


def participants_of(session: Session, study_id: int, choice: ExportChoice) -> list[tuple[int, str]]:
    """(id, patient id) of those whose data go into the export, by patient id; those being purged are left out."""
    query = _chosen(sa.select(Participant.id, Participant.patient_id), study_id, choice)
    return [(row.id, row.patient_id) for row in session.execute(query.order_by(Participant.patient_id))]


def count_participants(session: Session, study_id: int, choice: ExportChoice) -> int:
    """How many participants that are."""
    return session.scalar(_chosen(sa.select(sa.func.count()).select_from(Participant), study_id, choice)) or 0


def _chosen(query: sa.Select[Any], study_id: int, choice: ExportChoice) -> sa.Select[Any]:
    query = query.where(Participant.study_id == study_id, Participant.purge_asked_at.is_(None))
    if choice.patient_ids is not None:
        query = query.where(Participant.patient_id.in_(choice.patient_ids))
    if not choice.with_test:
        query = query.where(Participant.is_test.is_(False))
    return query
