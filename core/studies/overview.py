"""How a study is doing: uploads by day, surveys answered, problems, and what changed lately."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import (
    AuditRecord,
    Participant,
    ParticipantActivity,
    ProblemUpload,
    QueuedUpload,
    QueueState,
    Study,
    UploadRecord,
)
from core.streams import SPECS, DataStream

DAYS_SHOWN = 14
ANSWER_DAYS = 7
CHANGES_SHOWN = 8


@dataclass(frozen=True)
class DayOfUploads:
    """Uploads of one local day."""

    day: date
    files: int
    size_bytes: int


@dataclass(frozen=True)
class StudyProblems:
    """What needs somebody: files kept aside in the last seven days, files that processing gave up, and of whom."""

    kept_aside: int
    kept_aside_of: int
    failed: int


def uploads_by_day(session: Session, study: Study, now: datetime) -> list[DayOfUploads]:
    """The last fourteen days in the study's zone, the oldest first; by an index for each participant that uploaded."""
    today = now.astimezone(study.zone).date()
    days = [today - timedelta(days=n) for n in reversed(range(DAYS_SHOWN))]
    start = datetime.combine(days[0], time(), study.zone)
    day = sa.cast(sa.func.timezone(study.zone.key, UploadRecord.received_at), sa.Date).label("day")
    rows = session.execute(
        _recent(study.id, start, day, sa.func.count(), sa.func.sum(UploadRecord.size_bytes)).group_by(day)
    )
    found = {on: (files, int(size or 0)) for on, files, size in rows}
    return [DayOfUploads(on, *found.get(on, (0, 0))) for on in days]


def answers_lately(session: Session, study: Study, now: datetime) -> int:
    """Survey answers that were uploaded in the last seven days."""
    number = SPECS[DataStream.SURVEY_ANSWERS].number
    query = _recent(study.id, now - timedelta(days=ANSWER_DAYS), sa.func.count())
    return session.scalar(query.where(UploadRecord.stream == number)) or 0


def problems_lately(session: Session, study_id: int, now: datetime) -> StudyProblems:
    """Counts of what needs somebody; two queries."""
    aside = session.execute(
        sa.select(sa.func.count(), sa.func.count(sa.distinct(ProblemUpload.participant_id)))
        .join(Participant, Participant.id == ProblemUpload.participant_id)
        .where(
            Participant.study_id == study_id,
            ProblemUpload.received_at >= now - timedelta(days=ANSWER_DAYS),
            ProblemUpload.outcome.is_(None),
        )
    ).one()
    failed = sa.select(sa.func.count()).where(
        QueuedUpload.study_id == study_id, QueuedUpload.state == QueueState.FAILED.value
    )
    return StudyProblems(aside[0], aside[1], session.scalar(failed) or 0)


def changes_lately(session: Session, study: Study) -> list[AuditRecord]:
    """The newest changes of the study and its participants (CLAR-20)."""
    is_here = (AuditRecord.study_object_id == study.object_id, AuditRecord.part_of.is_(None))
    query = sa.select(AuditRecord).where(*is_here)
    return list(session.scalars(query.order_by(AuditRecord.at.desc(), AuditRecord.id.desc()).limit(CHANGES_SHOWN)))


def _recent(study_id: int, start: datetime, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Uploads since then of the study's participants but test participants; the log as a whole is never read."""
    query: sa.Select[Any] = sa.select(*columns)
    return (
        query.select_from(Participant)
        .join(ParticipantActivity, ParticipantActivity.participant_id == Participant.id)
        .join(UploadRecord, UploadRecord.participant_id == Participant.id)
        .where(
            Participant.study_id == study_id,
            Participant.is_test.is_(False),
            ParticipantActivity.last_upload_at >= start,
            UploadRecord.received_at >= start,
        )
    )
