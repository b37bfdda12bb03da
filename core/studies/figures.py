"""Figures of a study: its participants by state, and the freshness of its data."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Participant, ParticipantActivity, QueuedUpload, QueueState, UploadRecord
from core.participants.states import Show, conditions

LATELY = timedelta(hours=1)


@dataclass(frozen=True)
class StudyFigures:
    """Participants by state, uploads of the last hour, and what waits to be processed."""

    participants: int
    retired: int
    not_registered: int
    reporting: int
    silent: int
    uploads_lately: int
    last_upload_at: datetime | None
    waiting: int
    oldest_waiting_at: datetime | None

    @property
    def registered(self) -> int:
        """Those whose phones should report."""
        return self.reporting + self.silent


def study_figures(session: Session, study_id: int, now: datetime) -> StudyFigures:
    """The study's figures now; three queries, whose cost grows with its participants but not with its data."""
    states = conditions(now)
    people = session.execute(
        sa.select(
            sa.func.count().label("participants"),
            *(sa.func.count().filter(states[show]).label(show.value) for show in Show if show is not Show.ALL),
            sa.func.max(ParticipantActivity.last_upload_at).label("last_upload_at"),
        )
        .select_from(Participant)
        .outerjoin(ParticipantActivity)
        .where(Participant.study_id == study_id, Participant.purged_at.is_(None), Participant.is_test.is_(False))
    ).one()
    waiting = session.execute(
        sa.select(sa.func.count().label("waiting"), sa.func.min(QueuedUpload.received_at).label("oldest")).where(
            QueuedUpload.study_id == study_id, QueuedUpload.state == QueueState.WAITING
        )
    ).one()
    return StudyFigures(
        participants=people.participants,
        retired=people.retired,
        not_registered=people.not_registered,
        reporting=people.reporting,
        silent=people.silent,
        last_upload_at=people.last_upload_at,
        uploads_lately=session.scalar(_uploads_since(study_id, now - LATELY)) or 0,
        waiting=waiting.waiting,
        oldest_waiting_at=waiting.oldest,
    )


def _uploads_since(study_id: int, start: datetime) -> sa.Select[tuple[int]]:
    """Counts by an index for each participant that uploaded since then; the log as a whole is never read."""
    recent = (
        sa.select(sa.func.count().label("uploads"))
        .where(UploadRecord.participant_id == Participant.id, UploadRecord.received_at >= start)
        .lateral("recent")
    )
    return (
        sa.select(sa.func.sum(recent.c.uploads))
        .select_from(Participant)
        .join(ParticipantActivity)
        .join(recent, sa.true())
        .where(Participant.study_id == study_id, ParticipantActivity.last_upload_at >= start)
    )
