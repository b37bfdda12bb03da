"""Questions that the Forest pages ask: the log, a task, and the daily measures as tables (PORTAL-251 to PORTAL-253)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.downloads.statistics import FIELDS, MEASURES, Filters, statistics_rows
from core.models import DailyStatistics, ForestDay, ForestTask, Participant, Study, TaskState
from core.models.forest import task_column

PAGE_TASKS = 50
LOG_COLUMNS = (
    "Created On",
    "Data Date End",
    "Data Date Start",
    "Id",
    "Forest Tree",
    "Forest Output Exists",
    "Patient Id",
    "Process Start Time",
    "Process Download End Time",
    "Process End Time",
    "Status",
    "Total File Size",
)


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks: parts of patient ids, a tree, a state; empty for all."""

    patient: str = ""
    tree: str = ""
    state: str = ""


@dataclass(frozen=True)
class TaskPage:
    """A page of the log, newest first: tasks with their patient ids, the number of all that match, and open ones."""

    lines: Sequence[tuple[ForestTask, str]]
    total: int
    open: int
    number: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE_TASKS))

    @property
    def version(self) -> str:
        """Changes whenever the page would look different."""
        shown = [(task.id, task.state, task.progress, task.days_written) for task, _ in self.lines]
        return f"{self.total}-{self.open}-{crc32(repr(shown).encode()):x}"


def task_page(session: Session, study: Study, wanted: TaskFilter, number: int) -> TaskPage | None:
    """A page of the study's log, counted from 1; None beyond the last. Two queries."""
    chosen = _chosen(study, wanted).subquery()
    open_states = [TaskState.QUEUED.value, TaskState.RUNNING.value]
    total, waiting = session.execute(
        sa.select(sa.func.count(), sa.func.count().filter(chosen.c.state.in_(open_states))).select_from(chosen)
    ).one()
    if number < 1 or (number > 1 and (number - 1) * PAGE_TASKS >= total):
        return None
    query = _chosen(study, wanted).order_by(ForestTask.id.desc()).offset((number - 1) * PAGE_TASKS).limit(PAGE_TASKS)
    lines = [(row.ForestTask, row.patient_id) for row in session.execute(query)]
    return TaskPage(lines, total, waiting, number)


def _chosen(study: Study, wanted: TaskFilter) -> sa.Select[Any]:
    query = (
        sa.select(ForestTask, Participant.patient_id)
        .join(Participant, Participant.id == ForestTask.participant_id)
        .where(ForestTask.study_id == study.id)
    )
    if wanted.patient:
        query = query.where(Participant.patient_id.contains(wanted.patient, autoescape=True))
    if wanted.tree:
        query = query.where(ForestTask.tree == wanted.tree)
    if wanted.state:
        query = query.where(ForestTask.state == wanted.state)
    return query


def log_rows(session: Session, study: Study) -> Iterator[tuple[str, ...]]:
    """The whole log as rows of `LOG_COLUMNS`, newest first; times in the study's zone (PORTAL-253)."""
    query = _chosen(study, TaskFilter()).order_by(ForestTask.id.desc())
    zone = study.zone

    def told(at: datetime | None) -> str:
        return f"{at.astimezone(zone):%Y-%m-%d %H:%M (%Z)}" if at else ""

    for task, patient_id in session.execute(query.execution_options(yield_per=500)).tuples():
        is_there = task.days_written > 0 if task.days_written is not None else None
        yield (
            told(task.created_at),
            task.end_on.isoformat(),
            task.start_on.isoformat(),
            str(task.external_id),
            task.tree,
            "" if is_there is None else str(is_there),
            patient_id,
            told(task.started_at),
            told(task.data_ready_at),
            told(task.ended_at),
            task.state,
            "" if task.input_bytes is None else str(task.input_bytes),
        )


def title_of(field: str) -> str:
    """The head of a field's column: title case, without the prefix of its tree or of `beiwe_`."""
    prefix, _, rest = field.partition("_")
    is_prefixed = field in MEASURES or prefix == "beiwe"
    return (rest if is_prefixed else field).replace("_", " ").title()


SUMMARY_COLUMNS = tuple(title_of(field) for field in FIELDS)


def summary_rows(session: Session, study: Study) -> Iterator[list[Any]]:
    """All daily summaries of the study by patient id and date, in the order of `SUMMARY_COLUMNS`."""
    filters = Filters(ordered_by="participant_id", is_descending=False)
    for row in statistics_rows(session, study, filters):
        yield [row[field] for field in FIELDS]


def tree_columns(tree: str) -> tuple[str, ...]:
    """The head of a participant's measures of one tree."""
    return ("Date", *(title_of(field) for field in MEASURES if field.startswith(f"{tree}_")))


def tree_rows(session: Session, task: ForestTask) -> list[list[Any]]:
    """All days of the task's participant that its tree has written, by date, in the order of `tree_columns`."""
    fields = [field for field in MEASURES if field.startswith(f"{task.tree}_")]
    columns = [getattr(ForestDay, field.lower()) for field in fields]
    query = sa.select(ForestDay.day, *columns).where(
        ForestDay.participant_id == task.participant_id, getattr(ForestDay, task_column(task.tree)).is_not(None)
    )
    return [[row[0].isoformat(), *row[1:]] for row in session.execute(query.order_by(ForestDay.day))]


def days_with_summaries(session: Session, study: Study) -> tuple[date, date] | None:
    """The first and last day, from the study's creation on, for which there is a daily summary; None without any."""
    created = study.created_at.astimezone(study.zone).date()
    query = sa.select(sa.func.min(DailyStatistics.day), sa.func.max(DailyStatistics.day))
    first, last = session.execute(query.where(DailyStatistics.study_id == study.id)).one()
    if last is None or last < created:
        return None
    return max(first, created), last


def choosable_participants(session: Session, study: Study) -> list[tuple[str, bool]]:
    """(patient id, is a test participant) of those whose data could be analysed, by patient id."""
    query = sa.select(Participant.patient_id, Participant.is_test).where(
        Participant.study_id == study.id, Participant.purge_asked_at.is_(None)
    )
    return list(session.execute(query.order_by(Participant.patient_id)).tuples())
