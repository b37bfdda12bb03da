"""Nightly analyses: each night the days whose data changed, for each participant and tree (CLAR-81).

A day has changed if a chunk of it, of a stream that the tree reads, was written after the data of the last successful
nightly task were read; so the first night takes all days. The day that is not over yet waits for the next night.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.forest.tasks import MOST_DAYS
from core.forest.trees import STREAMS, Tree
from core.models import Chunk, ForestTask, Participant, Study, TaskState
from core.streams import SPECS
from core.streams.paths import EARLIEST

HOUR_OF_NIGHT = 2
"""In the study's zone: nearly all of a day's uploads have come, and the morning's page is ready in time."""
MARGIN = timedelta(hours=1)
"""A chunk that was written shortly before a task read its data may have been committed after it."""
MOST_GAP_DAYS = 7
"""Changed days further apart than this are tasks of their own: what lies between is not computed again."""
NIGHTLY = "every night"
MOST_FAILURES = 50  # of one night that are named
OPEN = (TaskState.QUEUED.value, TaskState.RUNNING.value)


@dataclass(frozen=True)
class Changed:
    """Days of one participant, sorted, of which one tree has something new to read."""

    participant_id: int
    tree: Tree
    days: tuple[date, ...]


def studies_in_the_night(session: Session, now: datetime) -> list[Study]:
    """Studies with nightly analyses whose clock shows the hour of night."""
    query = sa.select(Study).where(Study.has_forest, Study.has_nightly_forest, Study.hidden_at.is_(None))
    return [study for study in session.scalars(query) if now.astimezone(study.zone).hour == HOUR_OF_NIGHT]


def changed_days(session: Session, study: Study, now: datetime) -> list[Changed]:
    """What a night would compute: by tree and participant, the changed days before today; one query for each tree.

    Leaves out participants with a purge, and those for whom a nightly task of the tree is still open.
    """
    today = now.astimezone(study.zone).date()
    start_of_today = datetime.combine(today, time(), study.zone).astimezone(UTC)
    found: list[Changed] = []
    for tree, streams in STREAMS.items():
        of_tree = sa.and_(
            ForestTask.participant_id == Participant.id, ForestTask.tree == tree.value, ForestTask.is_nightly
        )
        last = (
            sa.select(sa.func.max(ForestTask.data_ready_at))
            .where(of_tree, ForestTask.state == TaskState.SUCCESS.value)
            .correlate(Participant)
            .scalar_subquery()
        )
        day = sa.cast(sa.func.timezone(study.zone.key, Chunk.time_bin), sa.Date).label("day")
        query = (
            sa.select(Participant.id, day)
            .join(Chunk, Chunk.participant_id == Participant.id)
            .where(
                Participant.study_id == study.id,
                Participant.purge_asked_at.is_(None),
                ~sa.exists().where(of_tree, ForestTask.state.in_(OPEN)),
                Chunk.stream.in_([SPECS[stream].number for stream in streams]),
                Chunk.time_bin >= EARLIEST,
                Chunk.time_bin < start_of_today,
                sa.or_(last.is_(None), Chunk.updated_at > last - MARGIN),
            )
            .distinct()
            .order_by(Participant.id, day)
        )
        by_person: dict[int, list[date]] = defaultdict(list)
        for participant_id, changed in session.execute(query):
            by_person[participant_id].append(changed)
        found += [Changed(participant_id, tree, tuple(days)) for participant_id, days in by_person.items()]
    return found


def queue_changed_days(session: Session, study: Study, now: datetime) -> int:
    """Queues a night's tasks and returns how many; the caller commits. Repeating it queues nothing twice.

    Jasmine goes on from the state before the first changed day, so it gets one range up to yesterday; other trees get a
    task for each group of days, and only the changed ones are written.
    """
    yesterday = now.astimezone(study.zone).date() - timedelta(days=1)
    rows: list[dict[str, Any]] = []
    for changed in changed_days(session, study, now):
        for days in _groups(changed, yesterday):
            rows.append(
                {
                    "study_id": study.id,
                    "participant_id": changed.participant_id,
                    "tree": changed.tree.value,
                    "start_on": days[0],
                    "end_on": days[-1],
                    "days": None if changed.tree is Tree.JASMINE else [day.isoformat() for day in days],
                    "is_nightly": True,
                    "asked_by": NIGHTLY,
                }
            )
    if rows:
        session.execute(sa.insert(ForestTask), rows)
    return len(rows)


def _groups(changed: Changed, yesterday: date) -> Iterable[Sequence[date]]:
    """The ranges to compute, each a list of its days, no longer than a task may be."""
    if changed.tree is Tree.JASMINE:
        first = max(changed.days[0], yesterday - timedelta(days=MOST_DAYS - 1))
        yield (first, yesterday)
        return
    group: list[date] = []
    for day in changed.days:
        is_far = group and (day - group[-1]).days > MOST_GAP_DAYS
        if is_far or (group and (day - group[0]).days >= MOST_DAYS):
            yield group
            group = []
        group.append(day)
    yield group


@dataclass(frozen=True)
class Night:
    """The nightly tasks that were queued on one day of the study's zone, by tree and state, and the failed ones."""

    day: date
    counts: dict[str, dict[str, int]]
    days_written: int
    failed: list[tuple[str, str, str, str]]
    """Task id, patient id, tree and reason."""


def recent_nights(session: Session, study: Study, most: int = 14) -> list[Night]:
    """The newest nights with tasks, newest first; at most MOST_FAILURES each. Two queries."""
    day = sa.cast(sa.func.timezone(study.zone.key, ForestTask.created_at), sa.Date).label("day")
    nightly = (ForestTask.study_id == study.id, ForestTask.is_nightly)
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
    failed: dict[date, list[tuple[str, str, str, str]]] = defaultdict(list)
    failures = (
        sa.select(day, ForestTask.external_id, Participant.patient_id, ForestTask.tree, ForestTask.reason)
        .join(Participant, here)
        .where(*nightly, ForestTask.state == TaskState.ERROR.value, day >= shown[-1])
        .order_by(ForestTask.id)
    )
    for on, number, patient_id, tree, reason in session.execute(failures):
        if len(failed[on]) < MOST_FAILURES:
            failed[on].append((str(number), patient_id, tree, reason or ""))
    nights = []
    for one in shown:
        counts: dict[str, dict[str, int]] = defaultdict(dict)
        for row in rows:
            if row.day == one:
                counts[row.tree][row.state] = row.tasks
        written = sum(int(row.written) for row in rows if row.day == one)
        nights.append(Night(one, dict(counts), written, failed[one]))
    return nights
