"""What the nights of a study did: what ran, failed and is missing, and why (CLAR-81)."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.forest.trees import STREAMS, Tree
from core.models import Chunk, ForestDay, ForestTask, Participant, Study, TaskState
from core.models.forest import task_column
from core.streams import SPECS

MOST_FAILURES = 50  # of one night that are named
LONGEST_AGO = timedelta(days=60)  # before the newest night
MOST_MISSING = 200  # participants that are named for one tree and reason


@dataclass(frozen=True)
class Night:
    """The nightly tasks that were queued on one day of the study's zone, by tree and state, and the failed ones."""

    day: date
    counts: dict[str, dict[str, int]]
    days_written: int
    failed: list[tuple[str, str, str, str]]
    """Task id, patient id, tree and reason."""


def recent_nights(session: Session, study: Study, most: int = 14) -> list[Night]:
    """The newest nights with tasks of the last 60 days, newest first; at most MOST_FAILURES each. Three queries."""
    newest = _newest(session, study)
    if newest is None:
        return []
    day = sa.cast(sa.func.timezone(study.zone.key, ForestTask.created_at), sa.Date).label("day")
    nightly = (ForestTask.study_id == study.id, ForestTask.is_nightly, ForestTask.created_at >= newest - LONGEST_AGO)
    here = ForestTask.participant_id == Participant.id
    counted = (
        sa.select(
            day,
            ForestTask.tree,
            ForestTask.state,
            sa.func.count().label("tasks"),
            sa.func.coalesce(sa.func.sum(ForestTask.days_written), 0).label("written"),
        )
        .join(Participant, here)
        .where(*nightly)
        .group_by(day, ForestTask.tree, ForestTask.state)
        .order_by(day.desc())
    )
    rows = session.execute(counted).all()
    shown = list(dict.fromkeys(row.day for row in rows))[:most]
    if not shown:
        return []
    numbered = (
        sa.select(
            day,
            ForestTask.id,
            ForestTask.external_id,
            Participant.patient_id,
            ForestTask.tree,
            ForestTask.reason,
            sa.func.row_number().over(partition_by=day, order_by=ForestTask.id).label("place"),
        )
        .join(Participant, here)
        .where(*nightly, ForestTask.state == TaskState.ERROR.value, day >= shown[-1])
        .subquery()
    )
    failed: dict[date, list[tuple[str, str, str, str]]] = defaultdict(list)
    for row in session.execute(sa.select(numbered).where(numbered.c.place <= MOST_FAILURES).order_by(numbered.c.id)):
        failed[row.day].append((str(row.external_id), row.patient_id, row.tree, row.reason or ""))
    nights = []
    for one in shown:
        counts: dict[str, dict[str, int]] = defaultdict(dict)
        for row in rows:
            if row.day == one:
                counts[row.tree][row.state] = row.tasks
        written = sum(int(row.written) for row in rows if row.day == one)
        nights.append(Night(one, dict(counts), written, failed[one]))
    return nights


def _newest(session: Session, study: Study) -> datetime | None:
    """When the newest night was queued."""
    is_nightly = (ForestTask.study_id == study.id, ForestTask.is_nightly)
    return session.scalar(sa.select(sa.func.max(ForestTask.created_at)).where(*is_nightly))


class Missing(StrEnum):
    """Why a tree has no measures of a participant's day."""

    FAILED = "failed"
    CANCELLED = "cancelled"
    WAITING = "waiting"
    """A task that covers the day is queued or running."""
    CAME_LATER = "came later"
    """There are data, which came after the night, or of which the tree made nothing."""
    NO_DATA = "no data"


@dataclass
class DayOfTree:
    """A tree's share of one day: how many participants have measures, and the ids of the others by reason."""

    computed: int = 0
    missing: dict[Missing, list[str]] = field(default_factory=lambda: defaultdict(list))


_REASONS = {
    TaskState.ERROR: Missing.FAILED,
    TaskState.CANCELLED: Missing.CANCELLED,
    TaskState.QUEUED: Missing.WAITING,
    TaskState.RUNNING: Missing.WAITING,
}


def last_day(session: Session, study: Study) -> date | None:
    """The newest day that a night was to compute; None before the first night."""
    newest = _newest(session, study)
    return newest.astimezone(study.zone).date() - timedelta(days=1) if newest else None


def day_by_tree(session: Session, study: Study, day: date) -> dict[str, DayOfTree]:
    """Who has measures of the day and who has not, and why, by tree; one query for each.

    Of participants who are registered and neither retired nor purged; in the order of their ids.
    """
    found = {}
    for tree in STREAMS:
        of_tree = DayOfTree()
        for patient_id, reason in _reasons(session, study, tree, day):
            if reason is None:
                of_tree.computed += 1
            else:
                of_tree.missing[reason].append(patient_id)
        found[tree.value] = of_tree
    return found


def _reasons(session: Session, study: Study, tree: Tree, day: date) -> Iterator[tuple[str, Missing | None]]:
    start, end = (datetime.combine(on, time(), study.zone).astimezone(UTC) for on in (day, day + timedelta(days=1)))
    of_day = (ForestDay.participant_id == Participant.id, ForestDay.day == day)
    is_computed = sa.exists().where(*of_day, getattr(ForestDay, task_column(tree)).is_not(None))
    has_data = sa.exists().where(
        Chunk.participant_id == Participant.id,
        Chunk.stream.in_([SPECS[stream].number for stream in STREAMS[tree]]),
        Chunk.time_bin >= start,
        Chunk.time_bin < end,
    )
    covers = sa.or_(
        ForestTask.days.contains([day.isoformat()]),
        sa.and_(ForestTask.days.is_(None), ForestTask.start_on <= day, ForestTask.end_on >= day),
    )
    newest = (
        sa.select(ForestTask.participant_id, ForestTask.state)
        .distinct(ForestTask.participant_id)
        .where(ForestTask.study_id == study.id, ForestTask.created_at >= end, ForestTask.tree == tree.value, covers)
        .order_by(ForestTask.participant_id, ForestTask.id.desc())
        .subquery()
    )
    query = (
        sa.select(Participant.patient_id, is_computed, newest.c.state, has_data)
        .outerjoin(newest, newest.c.participant_id == Participant.id)
        .where(
            Participant.study_id == study.id,
            Participant.device_id != "",
            Participant.retired_at.is_(None),
            Participant.purge_asked_at.is_(None),
        )
        .order_by(Participant.patient_id)
    )
    for patient_id, computed, state, data in session.execute(query):
        if computed:
            yield patient_id, None
        elif state in _REASONS:
            yield patient_id, _REASONS[TaskState(state)]
        else:
            yield patient_id, Missing.CAME_LATER if data else Missing.NO_DATA
