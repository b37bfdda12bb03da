"""The list of studies: each with how its data are coming in, starred ones first (PORTAL-71, PORTAL-72)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import Participant, ParticipantActivity, QueuedUpload, QueueState, Researcher, Study, StudyStar
from core.models.researcher import studies_of
from core.participants.states import Show, conditions


@dataclass(frozen=True)
class StudyLine:
    """A study in the list. `waiting` counts files that wait to be processed; test participants are left out."""

    study: Study
    is_starred: bool
    participants: int
    registered: int
    reporting: int
    last_upload_at: datetime | None
    waiting: int


def study_lines(session: Session, researcher: Researcher, search: str, now: datetime) -> list[StudyLine]:
    """The studies that the researcher may see and that have the text in name or object id; three queries for all."""
    found = [s for s in studies_of(session, researcher) if search.lower() in s.name.lower() or search in s.object_id]
    numbers = [study.id for study in found]
    starred = set(session.scalars(sa.select(StudyStar.study_id).where(StudyStar.researcher_id == researcher.id)))
    states = conditions(now)
    people = session.execute(
        sa.select(
            Participant.study_id,
            sa.func.count().label("participants"),
            sa.func.count().filter(states[Show.REPORTING]).label("reporting"),
            sa.func.count().filter(states[Show.SILENT]).label("silent"),
            sa.func.max(ParticipantActivity.last_upload_at).label("last_upload_at"),
        )
        .outerjoin(ParticipantActivity)
        .where(Participant.study_id.in_(numbers), Participant.purged_at.is_(None), Participant.is_test.is_(False))
        .group_by(Participant.study_id)
    )
    figures = {row.study_id: row for row in people}
    is_waiting = (QueuedUpload.study_id.in_(numbers), QueuedUpload.state == QueueState.WAITING.value)
    queued = sa.select(QueuedUpload.study_id, sa.func.count()).where(*is_waiting).group_by(QueuedUpload.study_id)
    waiting = {row[0]: row[1] for row in session.execute(queued)}
    lines = [_line(study, study.id in starred, figures.get(study.id), waiting.get(study.id, 0)) for study in found]
    return sorted(lines, key=lambda line: not line.is_starred)


def hidden_studies(session: Session) -> list[Study]:
    """Studies that were hidden, by name; for site administrators (PORTAL-92)."""
    query = sa.select(Study).where(Study.hidden_at.is_not(None))
    return list(session.scalars(query.order_by(sa.func.lower(Study.name), Study.id)))


def set_star(session: Session, researcher: Researcher, study: Study, is_on: bool) -> None:
    """Puts a study first in this researcher's lists, or no longer; the caller commits (PORTAL-72)."""
    pair = {"researcher_id": researcher.id, "study_id": study.id}
    if is_on:
        session.execute(insert(StudyStar).values(pair).on_conflict_do_nothing())
    else:
        session.execute(sa.delete(StudyStar).filter_by(**pair))


def _line(study: Study, is_starred: bool, row: "sa.Row[Any] | None", waiting: int) -> StudyLine:
    if row is None:
        return StudyLine(study, is_starred, 0, 0, 0, None, waiting)
    registered = row.reporting + row.silent
    return StudyLine(study, is_starred, row.participants, registered, row.reporting, row.last_upload_at, waiting)
