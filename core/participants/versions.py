"""Versions of the app that phones of a study run."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Participant, ParticipantActivity

MOST_VERSIONS = 30


def app_versions_in_use(session: Session, study_id: int) -> list[str]:
    """Names of the versions that phones told last, the most frequent first; one query."""
    name = ParticipantActivity.last_version_name
    query = sa.select(name).join(Participant, Participant.id == ParticipantActivity.participant_id)
    query = query.where(Participant.study_id == study_id, Participant.purged_at.is_(None), name != "")
    return list(session.scalars(query.group_by(name).order_by(sa.func.count().desc(), name).limit(MOST_VERSIONS)))
