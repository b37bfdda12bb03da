"""Where daily measures come from: which library computed them, when, and for how many participants (FOREST-40)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.bulk import is_one_of
from core.forest.trees import Tree
from core.models import ForestTask, Participant, Study, TaskState


@dataclass(frozen=True)
class Origin:
    """What a tree's last successful runs were: one for each participant.

    `stale` counts those that ran in another time zone than the study has now (CLAR-81).
    """

    tree: Tree
    versions: tuple[str, ...]
    newest_at: datetime | None
    participants: int
    stale: int


def origins(session: Session, study: Study, participants: Sequence[Participant] | None = None) -> list[Origin]:
    """The trees that have run, in their usual order: for these participants, or for the whole study. One query."""
    runs = (
        sa.select(ForestTask.tree, ForestTask.library_version, ForestTask.ended_at, ForestTask.zone)
        .distinct(ForestTask.participant_id, ForestTask.tree)
        .where(ForestTask.study_id == study.id, ForestTask.state == TaskState.SUCCESS.value)
        .order_by(ForestTask.participant_id, ForestTask.tree, ForestTask.ended_at.desc())
    )
    if participants is not None:
        runs = runs.where(is_one_of(ForestTask.participant_id, [participant.id for participant in participants]))
    last = runs.subquery()
    query = sa.select(
        last.c.tree,
        sa.func.array_agg(sa.distinct(last.c.library_version))
        .filter(last.c.library_version.is_not(None))
        .label("versions"),
        sa.func.max(last.c.ended_at).label("newest_at"),
        sa.func.count().label("participants"),
        sa.func.count().filter(last.c.zone != study.timezone_name).label("stale"),
    ).group_by(last.c.tree)
    rows = {row.tree: row for row in session.execute(query)}
    return [
        Origin(tree, tuple(row.versions or ()), row.newest_at, row.participants, row.stale)
        for tree in Tree
        if (row := rows.get(tree.value))
    ]
