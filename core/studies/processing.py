"""Processing as a study's team sees it: what waits, what failed and why, what was done lately (PORTAL-281, CLAR-1)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.models import Participant, ProblemUpload, ProcessedHour, QueuedUpload, QueueState, Study
from core.models.audit_record import Action

HOURS_SHOWN = 24
MOST_REASONS = 50
MOST_PROBLEMS = 50


@dataclass(frozen=True)
class FailedFiles:
    """Files that processing gave up, by reason; `patient_id` is of one of them."""

    reason: str
    files: int
    size_bytes: int
    oldest_at: datetime
    patient_id: str


@dataclass(frozen=True)
class StudyProcessing:
    """All of it at a moment. `waiting` counts files of running participants, `held` those that an undo may release."""

    waiting: int
    waiting_bytes: int
    oldest_waiting_at: datetime | None
    tried_again: int
    held: int
    failed: list[FailedFiles]
    hours: list[ProcessedHour]


def processing_of(session: Session, study_id: int, now: datetime) -> StudyProcessing:
    """What waits, failed, and was processed in the last 24 hours; three queries by the queue's and hours' indexes."""
    is_waiting = QueuedUpload.state == QueueState.WAITING.value
    queue = session.execute(
        sa.select(
            sa.func.count().filter(is_waiting).label("waiting"),
            sa.func.coalesce(sa.func.sum(QueuedUpload.size_bytes).filter(is_waiting), 0).label("size_bytes"),
            sa.func.min(QueuedUpload.received_at).filter(is_waiting).label("oldest"),
            sa.func.count().filter(is_waiting, QueuedUpload.attempts > 0).label("tried_again"),
            sa.func.count().filter(QueuedUpload.state == QueueState.HELD.value).label("held"),
        ).where(QueuedUpload.study_id == study_id)
    ).one()
    recent = sa.select(ProcessedHour).where(
        ProcessedHour.study_id == study_id, ProcessedHour.hour > now - timedelta(hours=HOURS_SHOWN)
    )
    return StudyProcessing(
        waiting=queue.waiting,
        waiting_bytes=int(queue.size_bytes),
        oldest_waiting_at=queue.oldest,
        tried_again=queue.tried_again,
        held=queue.held,
        failed=_failed(session, study_id),
        hours=list(session.scalars(recent.order_by(ProcessedHour.hour.desc()))),
    )


def _failed(session: Session, study_id: int) -> list[FailedFiles]:
    reason = sa.func.coalesce(QueuedUpload.reason, "unknown")
    rows = session.execute(
        sa.select(
            reason,
            sa.func.count(),
            sa.func.sum(QueuedUpload.size_bytes),
            sa.func.min(QueuedUpload.received_at),
            sa.func.min(Participant.patient_id),
        )
        .join(Participant, Participant.id == QueuedUpload.participant_id)
        .where(QueuedUpload.study_id == study_id, QueuedUpload.state == QueueState.FAILED.value)
        .group_by(reason)
        .order_by(sa.func.count().desc())
        .limit(MOST_REASONS)
    )
    return [FailedFiles(reason, files, int(size), oldest, patient) for reason, files, size, oldest, patient in rows]


def retry_failed_of(
    session: Session, study: Study | None, participant: Participant | None = None, *, actor: Actor
) -> int:
    """Puts files that processing gave up back into the queue; how many. The caller commits (PROC-53).

    Those of the study, or of the participant, or all if neither is given.
    """
    failed = [QueuedUpload.state == QueueState.FAILED.value]
    if study:
        failed.append(QueuedUpload.study_id == study.id)
    if participant:
        failed.append(QueuedUpload.participant_id == participant.id)
    waiting = {"state": QueueState.WAITING.value, "attempts": 0, "reason": None, "next_try_at": sa.func.now()}
    count: int = session.execute(  # type: ignore[attr-defined]  # of an update
        sa.update(QueuedUpload).where(*failed).values(waiting), execution_options={"synchronize_session": False}
    ).rowcount
    of_study = participant.study if participant else study
    record(session, actor, Action.PROCESSING_TRY_AGAIN, study=of_study, participant=participant, count=count)
    return count


def newest_problems(session: Session, study_id: int, since: datetime) -> list[tuple[str, ProblemUpload]]:
    """The newest fifty kept-aside uploads of the study since then, with their patient ids."""
    query = (
        sa.select(Participant.patient_id, ProblemUpload)
        .join(Participant, Participant.id == ProblemUpload.participant_id)
        .where(Participant.study_id == study_id, ProblemUpload.received_at >= since, ProblemUpload.outcome.is_(None))
    )
    rows = session.execute(query.order_by(ProblemUpload.received_at.desc()).limit(MOST_PROBLEMS))
    return [(patient_id, problem) for patient_id, problem in rows]
