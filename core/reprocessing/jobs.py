"""Jobs that rebuild chunks: creating, continuing and ending them, and their findings (OPS-20, OPS-24)."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.models import Participant, ReprocessingJob, ReprocessingProgress, Study
from core.models.audit_record import Action
from core.models.study import study_by_object_id
from core.reprocessing.participant import COUNTS, streams_of
from core.streams import SPECS, DataStream, stream_by_number


class JobRefused(ValueError):
    """The order is not possible; the message says why."""


@dataclass(frozen=True)
class Order:
    """An order for a job. Ids are public ones; hours run from `start` (included) to `end` (not included)."""

    study_id: str
    patient_id: str | None = None
    stream: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    is_dry_run: bool = False
    drops_rows: bool = False


def open_job(session: Session, order: Order, *, actor: Actor) -> ReprocessingJob:
    """The open job of an equal order, or else a new job; commits. Raises JobRefused."""
    columns = _columns(session, order)
    query = sa.select(ReprocessingJob).where(ReprocessingJob.ended_at.is_(None))
    for name, value in columns.items():
        query = query.where(getattr(ReprocessingJob, name).is_not_distinct_from(value))
    job = session.scalar(query.order_by(ReprocessingJob.id).limit(1))
    if job is None:
        session.add(job := ReprocessingJob(**columns))
        if not order.is_dry_run:
            study = session.get_one(Study, job.study_id)
            participant = session.get(Participant, job.participant_id) if job.participant_id else None
            record(session, actor, Action.DATA_REPROCESS, study=study, participant=participant, stream=order.stream)
    session.commit()
    return job


def participants_left(session: Session, job: ReprocessingJob) -> dict[int, str]:
    """Participants that the job has still to do: patient ids by id, in order; none that waits for a purge."""
    done = (
        sa.select(ReprocessingProgress.participant_id)
        .where(ReprocessingProgress.job_id == job.id)
        .group_by(ReprocessingProgress.participant_id)
        .having(sa.func.count() >= len(streams_of(job)))
    )
    query = sa.select(Participant.id, Participant.patient_id).where(
        Participant.study_id == job.study_id,
        Participant.purge_asked_at.is_(None),
        Participant.purged_at.is_(None),
        Participant.id.not_in(done),
    )
    if job.participant_id is not None:
        query = query.where(Participant.id == job.participant_id)
    left = {row.id: row.patient_id for row in session.execute(query.order_by(Participant.id))}
    session.commit()
    return left


def end_job(session: Session, job: ReprocessingJob) -> bool:
    """Ends the job if no participant is left, and commits. Returns whether it has ended."""
    if participants_left(session, job):
        return False
    ended = sa.update(ReprocessingJob).where(ReprocessingJob.id == job.id, ReprocessingJob.ended_at.is_(None))
    session.execute(ended.values(ended_at=datetime.now(UTC)))
    session.commit()
    return True


def totals(session: Session, job: ReprocessingJob) -> list[dict[str, Any]]:
    """The job's counts so far, a row per stream that has raw files or chunks."""
    query = sa.select(ReprocessingProgress.stream, ReprocessingProgress.counts).where(
        ReprocessingProgress.job_id == job.id
    )
    counts: dict[int, Counter[str]] = {}
    for row in session.execute(query.execution_options(yield_per=1_000)):
        counts.setdefault(row.stream, Counter()).update(row.counts)
    session.commit()
    return [
        {"stream": stream_by_number(number).value, **{name: counts[number][name] for name in COUNTS}}
        for number in sorted(counts)
        if any(counts[number].values())
    ]


def findings(session: Session, job: ReprocessingJob, most: int) -> list[dict[str, Any]]:
    """The first `most` findings, each {path, what, rows}, by participant."""
    has_some = sa.func.jsonb_array_length(ReprocessingProgress.findings) > 0
    query = sa.select(ReprocessingProgress.findings).where(ReprocessingProgress.job_id == job.id, has_some)
    query = query.order_by(ReprocessingProgress.participant_id, ReprocessingProgress.stream).limit(most)
    found = list(islice(chain.from_iterable(session.scalars(query.execution_options(yield_per=100))), most))
    session.commit()
    return found


def _columns(session: Session, order: Order) -> dict[str, Any]:
    study = study_by_object_id(session, order.study_id)
    if study is None:
        raise JobRefused(f"{order.study_id}: there is no study with that id")
    for bound in (order.start, order.end):
        if bound is not None and (bound.tzinfo is None or bound.timestamp() % 3600):
            raise JobRefused(f"{bound.isoformat()}: start and end are full hours, with a time zone")
    return {
        "study_id": study.id,
        "participant_id": _participant(session, study, order.patient_id),
        "stream": _stream_number(order.stream),
        "start_at": order.start,
        "end_at": order.end,
        "is_dry_run": order.is_dry_run,
        "drops_rows": order.drops_rows,
    }


def _participant(session: Session, study: Study, patient_id: str | None) -> int | None:
    if patient_id is None:
        return None
    query = sa.select(Participant.id).where(Participant.patient_id == patient_id, Participant.study_id == study.id)
    participant_id = session.scalar(query)
    if participant_id is None:
        raise JobRefused(f"{patient_id}: there is no participant with that id in the study")
    return participant_id


def _stream_number(name: str | None) -> int | None:
    if name is None:
        return None
    chunked = {stream.value for stream, spec in SPECS.items() if spec.is_chunked}
    if name not in chunked:
        raise JobRefused(f"{name}: no stream that has chunks; there are {', '.join(sorted(chunked))}")
    return SPECS[DataStream(name)].number
