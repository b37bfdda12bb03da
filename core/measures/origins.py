"""Where daily measures come from: which library computed them, when, and for how many participants (FOREST-40)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import Session

from core.bulk import is_one_of
from core.forest.trees import Tree
from core.models import ForestDay, ForestTask, Participant, Study, TaskState
from core.models.forest import task_column


@dataclass(frozen=True)
class Origin:
    """A tree's successful runs: for how many participants, and when the newest ended.

    `versions` are those of the library that computed the stored days. `stale_days` counts the stored days that were
    computed in another time zone than the study has now; a day of two participants counts twice (CLAR-81).
    """

    tree: Tree
    versions: tuple[str, ...]
    newest_at: datetime | None
    participants: int
    stale_days: int


def origins(session: Session, study: Study, participants: Sequence[Participant] | None = None) -> list[Origin]:
    """The trees that have run, in their usual order: for these participants, or for the whole study. One query."""
    task_ids = [getattr(ForestDay, task_column(tree)) for tree in Tree]
    days = sa.select(sa.func.unnest(array(task_ids)).label("task_id")).where(ForestDay.study_id == study.id)
    is_run = [ForestTask.study_id == study.id, ForestTask.state == TaskState.SUCCESS.value]
    if participants is not None:
        numbers = [participant.id for participant in participants]
        days = days.where(is_one_of(ForestDay.participant_id, numbers))
        is_run.append(is_one_of(ForestTask.participant_id, numbers))
    day = days.subquery()
    written = sa.select(day.c.task_id, sa.func.count().label("days")).group_by(day.c.task_id).subquery()
    is_stale = ForestTask.zone != study.timezone_name
    has_days = sa.and_(written.c.days > 0, ForestTask.library_version.is_not(None))
    query = (
        sa.select(
            ForestTask.tree,
            sa.func.array_agg(sa.distinct(ForestTask.library_version)).filter(has_days).label("versions"),
            sa.func.max(ForestTask.ended_at).label("newest_at"),
            sa.func.count(sa.distinct(ForestTask.participant_id)).label("participants"),
            sa.func.coalesce(sa.func.sum(written.c.days).filter(is_stale), 0).label("stale_days"),
        )
        .outerjoin(written, written.c.task_id == ForestTask.id)
        .where(*is_run)
        .group_by(ForestTask.tree)
    )
    rows = {row.tree: row for row in session.execute(query)}
    return [
        Origin(tree, tuple(row.versions or ()), row.newest_at, row.participants, int(row.stale_days))
        for tree in Tree
        if (row := rows.get(tree.value))
    ]


@dataclass(frozen=True)
class TaskOfDay:
    """The task that made a tree's measures of a day, the version of its library, and when it ended."""

    task_id: str
    library_version: str | None
    ended_at: datetime | None


def tasks_of_days(
    session: Session, study: Study, participants: Sequence[Participant], first: date, last: date
) -> dict[tuple[int, date, Tree], TaskOfDay]:
    """Which task made each day's measures, by participant's number, day and tree (FOREST-40). One query."""
    task_ids = [getattr(ForestDay, task_column(tree)) for tree in Tree]
    columns = (ForestTask.tree, ForestTask.external_id, ForestTask.library_version, ForestTask.ended_at)
    query = (
        sa.select(ForestDay.participant_id, ForestDay.day, *columns)
        .join(ForestTask, ForestTask.id == sa.any_(array(task_ids)))
        .where(
            ForestDay.study_id == study.id,
            is_one_of(ForestDay.participant_id, [participant.id for participant in participants]),
            ForestDay.day.between(first, last),
        )
    )
    return {
        (number, day, Tree(tree)): TaskOfDay(str(task_id), library, ended_at)
        for number, day, tree, task_id, library, ended_at in session.execute(query).tuples()
    }
