"""Writing a task's rows into the daily measures (FOREST-40)."""

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.bulk import is_one_of, upsert
from core.forest.job import Row
from core.forest.trees import MEASURES, Tree
from core.models import ForestDay, ForestTask
from core.models.forest import task_column


def column_of(field: str) -> str:
    """The column of `forest_days` for an exported field."""
    return field.lower()


def save_rows(session: Session, task: ForestTask, rows: Sequence[Row], days: Sequence[date]) -> int:
    """Writes the tree's part of these days in bulk, and returns how many got measures; the caller commits.

    A day without a row, or whose row is all null, becomes null (FOREST-7): no row is made for it.
    """
    fields = [measure.field for measure in MEASURES[Tree(task.tree)]]
    columns = {field: column_of(field) for field in fields}
    by_task = task_column(task.tree)
    wanted = set(days)
    filled = [
        {"participant_id": task.participant_id, "day": day, "study_id": task.study_id, by_task: task.id}
        | {columns[field]: row[field] for field in fields}
        for row in rows
        if (day := date.fromisoformat(row["date"])) in wanted and any(row[field] is not None for field in fields)
    ]
    upsert(session, ForestDay, filled, conflict="(participant_id, day)", replaced=[*columns.values(), by_task])
    if emptied := wanted - {row["day"] for row in filled}:
        of_participant = (ForestDay.participant_id == task.participant_id, is_one_of(ForestDay.day, sorted(emptied)))
        nulls = dict.fromkeys([*columns.values(), by_task])
        session.execute(sa.update(ForestDay).where(*of_participant).values(nulls))
        unwritten = [getattr(ForestDay, task_column(tree)).is_(None) for tree in Tree]
        session.execute(sa.delete(ForestDay).where(*of_participant, *unwritten))
    return len(filled)
