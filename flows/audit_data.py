"""Finds inconsistent data: impossible times, empty uploads, failed files, rows without objects (OPS-20)."""

import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa
from prefect import State, flow, task
from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from core.database import get_engine, open_session
from core.models import Participant
from core.models.study import study_by_object_id
from core.operations.data_audit import Oddities, audit_participants, audit_queue
from flows.hooks import HOOKS
from flows.infrastructure import is_infrastructure_error
from flows.progress import Progress
from flows.sweeping import NoSuchStudy

PAGE_PARTICIPANTS = 500
MOST_SECONDS = 4 * 3600
MOST_LISTED = 100


@dataclass(frozen=True)
class AuditedRange:
    """One task's result: participants checked, findings by study, the last patient id (None when none were left)."""

    participants: int
    by_study: dict[str, Oddities]
    last: str | None


@task(
    name="audit participants",
    task_run_name="participants after {after}",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=is_infrastructure_error,
)
def audit_range(study: int | None, after: str, fix: bool) -> AuditedRange:
    """Checks the next 500 participants after a patient id."""
    by_study: defaultdict[str, Oddities] = defaultdict(Oddities)
    count, last = 0, None
    audited = audit_participants(get_engine(), datetime.now(UTC), study, after, fixes=fix)
    for one in islice(audited, PAGE_PARTICIPANTS):
        count, last = count + 1, one.patient_id
        by_study[one.study_id].add(one.oddities)
    return AuditedRange(count, dict(by_study), last)


@flow(
    name="audit-data",
    flow_run_name=lambda: f"audit data study={flow_run.parameters['study_id'] or 'all'} {datetime.now(UTC):%Y-%m-%d}",
    timeout_seconds=MOST_SECONDS + 900,
    **HOOKS,
)
def audit_data(study_id: str | None = None, after: str = "", fix: bool = False) -> State:
    """Audits one study (by its 24-character id) or all, starting after the patient id `after`.

    `fix` deletes rows with impossible times, never objects. Stops after four hours and reports the patient id to resume
    from.
    """
    study, expected = scope_of(study_id)
    progress = Progress("audited-participants", expected)
    by_study: defaultdict[str, Oddities] = defaultdict(Oddities)
    end = time.monotonic() + MOST_SECONDS
    is_whole = False
    while not is_whole and time.monotonic() < end:
        part = audit_range(study, after, fix)
        for of_study, oddities in part.by_study.items():
            by_study[of_study].add(oddities)
        is_whole, after = part.last is None, part.last or after
        progress.move(part.participants, f"{progress.done + part.participants:,} participants, now behind {after}")
    progress.end(f"{progress.done:,} participants")
    go_on = "Everybody was looked at." if is_whole else f"Not finished: go on after {after}"
    with open_session() as session:
        queue = audit_queue(session, study)
    show(by_study, queue, go_on)
    return Completed(message=f"{progress.done} participants. {go_on}")


def scope_of(study_id: str | None) -> tuple[int | None, int]:
    """The study's primary key, and the number of participants to check. Raises NoSuchStudy."""
    with open_session() as session:
        study = study_by_object_id(session, study_id) if study_id else None
        if study_id and study is None:
            raise NoSuchStudy(f"{study_id}: there is no study with that id")
        query = sa.select(sa.func.count(Participant.id))
        if study:
            query = query.where(Participant.study_id == study.id)
        return study.id if study else None, session.scalar(query) or 0


def show(by_study: dict[str, Oddities], queue: list[dict[str, Any]], go_on: str) -> None:
    """Writes the run's artifacts: counts by study, the queue, and the first 100 findings (OPS-21)."""
    counts = [{"study": study, **by_study[study].counts()} for study in sorted(by_study)]
    create_table_artifact(key="data-audit", table=counts, description=go_on)
    oldest = [{"study": q["study"], "state": "waiting", "oldest": str(q["oldest_waiting"] or "")} for q in queue]
    failed = [
        {"study": q["study"], "state": "failed", "files": files, "reason": reason}
        for q in queue
        for reason, files in q["failed"].items()
    ]
    create_table_artifact(key="upload-queue-audit", table=[*oldest, *failed], description="Files that wait or failed.")
    found = [finding for study in sorted(by_study) for finding in by_study[study].findings()]
    if found:
        create_table_artifact(
            key="data-audit-findings", table=found[:MOST_LISTED], description="The first 100 of what is odd."
        )
