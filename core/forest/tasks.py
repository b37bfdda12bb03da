"""Forest tasks: made, claimed one at a time for each participant and tree, cancelled, taken up again (FOREST-20)."""

import uuid as uuids
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from core.audit import Actor, record
from core.forest.trees import Tree
from core.models import ForestTask, Participant, Study, TaskState
from core.models.audit_record import Action

LEASE = timedelta(minutes=3)
RETRY_AFTER = (timedelta(minutes=2), timedelta(minutes=20))
"""Waiting times before a second and a third try, when the machine was the cause."""
MOST_DAYS = 3_660
MOST_TASKS = 20_000
FIRST_DAY = date(2000, 1, 1)


class ForestRefused(Exception):
    """A wish that cannot be; the message is for the page. `field` is the form's field that it belongs to."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class Cancel(StrEnum):
    """What a wish to cancel did."""

    DONE = "done"
    OVER = "over"  # it had ended already


def create_tasks(
    session: Session,
    study: Study,
    patient_ids: Sequence[str],
    trees: Sequence[str],
    start: date,
    end: date,
    *,
    actor: Actor,
) -> list[ForestTask]:
    """Queues a task for each participant and tree over the days, inclusive (FOREST-21); the caller commits.

    Raises ForestRefused.
    """
    _check_range(start, end)
    if not (wanted := [Tree(tree) for tree in dict.fromkeys(trees) if tree in set(Tree)]) or len(wanted) < len(trees):
        raise ForestRefused("Choose at least one tree.", "trees")
    if not patient_ids:
        raise ForestRefused("Choose at least one participant.", "participant_patient_ids")
    if len(set(patient_ids)) * len(wanted) > MOST_TASKS:
        raise ForestRefused(f"Queue at most {MOST_TASKS:,} tasks at a time.", "participant_patient_ids")
    found = {
        row.patient_id: row.id
        for row in session.execute(
            sa.select(Participant.id, Participant.patient_id).where(
                Participant.study_id == study.id,
                Participant.patient_id.in_(set(patient_ids)),
                Participant.purge_asked_at.is_(None),
            )
        )
    }
    if unknown := [name for name in patient_ids if name not in found]:
        raise ForestRefused(f"{unknown[0][:40]} is not a participant of this study.", "participant_patient_ids")
    tasks = [
        ForestTask(
            study_id=study.id, participant_id=number, tree=tree.value, start_on=start, end_on=end, asked_by=actor.name
        )
        for number in dict.fromkeys(found[name] for name in patient_ids)
        for tree in wanted
    ]
    session.add_all(tasks)
    record(
        session,
        actor,
        Action.FOREST_CREATE,
        study=study,
        trees=[tree.value for tree in wanted],
        participants=sorted(found)[:100],
        count=len(tasks),
        start=start.isoformat(),
        end=end.isoformat(),
    )
    session.flush()
    return tasks


def _check_range(start: date, end: date) -> None:
    if start < FIRST_DAY:
        raise ForestRefused("Choose a first day of this century.", "date_start")
    if end < start:
        raise ForestRefused("The last day is before the first.", "date_end")
    if (end - start).days >= MOST_DAYS:
        raise ForestRefused("Choose at most ten years.", "date_end")


def copy_task(session: Session, study: Study, task: ForestTask, *, actor: Actor) -> ForestTask:
    """Queues the same analysis again (FOREST-25); the caller commits. Raises ForestRefused."""
    participant = session.get_one(Participant, task.participant_id)
    trees, days = [task.tree], task.days
    (copy,) = create_tasks(session, study, [participant.patient_id], trees, task.start_on, task.end_on, actor=actor)
    copy.days = days
    return copy


def task_of(session: Session, study: Study, external_id: str) -> ForestTask | None:
    """The study's task with that id; None for another study's, an unknown or a malformed one."""
    try:
        number = uuids.UUID(external_id)
    except ValueError:
        return None
    return session.scalar(
        sa.select(ForestTask)
        .join(Participant, Participant.id == ForestTask.participant_id)
        .where(ForestTask.external_id == number, ForestTask.study_id == study.id)
    )


def cancel_task(session: Session, study: Study, task: ForestTask, now: datetime, *, actor: Actor) -> Cancel:
    """Cancels a queued or a running task; the caller commits. A running tree is killed within seconds."""
    session.flush()
    session.refresh(task, with_for_update=True)
    if task.state not in (TaskState.QUEUED, TaskState.RUNNING):
        return Cancel.OVER
    task.state, task.claimed_until, task.ended_at, task.progress = TaskState.CANCELLED.value, None, now, None
    participant = session.get_one(Participant, task.participant_id)
    record(session, actor, Action.FOREST_CANCEL, study=study, participant=participant, task=str(task.external_id))
    return Cancel.DONE


def claim_next(engine: sa.Engine, now: datetime, only: int | None = None) -> int | None:
    """Claims the oldest task that may run and returns its number, or None; commits.

    Tasks of one participant and tree run one after the other (FOREST-22). Skips studies without Forest, hidden ones,
    and participants with a purge. `only` claims no other task.
    """
    due = (
        sa.select(ForestTask)
        .join(Participant, Participant.id == ForestTask.participant_id)
        .join(Study, Study.id == ForestTask.study_id)
        .where(_may_run())
    )
    due = due.where(ForestTask.id == only) if only else due.where(_is_due(now))
    with Session(engine) as session:
        while True:
            query = due.order_by(ForestTask.not_before, ForestTask.id).limit(1)
            task = session.scalar(query.with_for_update(of=ForestTask, skip_locked=True))
            if task is None:
                session.rollback()
                return None
            task.state, task.claimed_until = TaskState.RUNNING.value, now + LEASE
            task.started_at, task.tries, task.progress = now, task.tries + 1, "fetching data"
            task.data_ready_at = task.ended_at = task.reason = task.trace = None
            number = task.id
            try:
                session.commit()
            except IntegrityError:  # another process claimed one of the same participant and tree meanwhile
                session.rollback()
                continue
            return number


def _may_run() -> sa.ColumnElement[bool]:
    """Whether a task, with its participant and study, is queued and nothing keeps it from running."""
    return sa.and_(
        ForestTask.state == TaskState.QUEUED.value,
        Participant.purge_asked_at.is_(None),
        Study.hidden_at.is_(None),
        ~_is_busy(),
    )


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(ForestTask.not_before <= now, Study.has_forest)


def _is_busy() -> sa.ColumnElement[bool]:
    """Whether another task of the same participant and tree runs."""
    running = aliased(ForestTask)
    return sa.exists().where(
        running.participant_id == ForestTask.participant_id,
        running.tree == ForestTask.tree,
        running.state == TaskState.RUNNING.value,
    )


def is_task_waiting(session: Session, now: datetime) -> bool:
    """Whether a task could be claimed, or was left by a process that died."""
    lost = sa.and_(ForestTask.state == TaskState.RUNNING.value, ForestTask.claimed_until < now)
    query = (
        sa.select(ForestTask.id)
        .join(Participant, Participant.id == ForestTask.participant_id)
        .join(Study, Study.id == ForestTask.study_id)
        .where(sa.or_(sa.and_(_may_run(), _is_due(now)), lost))
        .limit(1)
    )
    return session.scalar(query) is not None


def extend_claim(engine: sa.Engine, task_id: int, now: datetime, progress: str | None = None) -> bool:
    """Extends the claim of a running task, and tells its progress; commits. False: it was cancelled or taken over."""
    values: dict[str, object] = {"claimed_until": now + LEASE}
    if progress is not None:
        values["progress"] = progress
    is_running = (ForestTask.id == task_id, ForestTask.state == TaskState.RUNNING.value)
    with engine.begin() as connection:
        return connection.execute(sa.update(ForestTask).where(*is_running).values(values)).rowcount == 1


def take_up_lost(session: Session, now: datetime) -> int:
    """Queues tasks again whose process died, and returns how many; the caller commits. The third loss is an error."""
    lost = (
        sa.select(ForestTask)
        .where(ForestTask.state == TaskState.RUNNING.value, ForestTask.claimed_until < now)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    tasks = session.scalars(lost).all()
    for task in tasks:
        retry_or_fail(task, "The process that ran it ended.", now)
    return len(tasks)


def retry_or_fail(task: ForestTask, reason: str, now: datetime) -> None:
    """After a failure of the machine: queues the task for another try, or ends it as an error after the third."""
    task.reason, task.claimed_until, task.progress = reason, None, None
    if task.tries > len(RETRY_AFTER):
        task.state, task.ended_at = TaskState.ERROR.value, now
    else:
        task.state, task.not_before = TaskState.QUEUED.value, now + RETRY_AFTER[task.tries - 1]
