"""Nightly analyses: each night the days whose data changed, for each participant and tree (CLAR-81).

A day has changed if a chunk of it, of a stream that the tree reads, was written after the night before was queued; so
the first night takes all days. What the night before did not compute is due again: what somebody cancelled, and what
the machine made fail three times. A failure whose cause is the data waits until data of those days change. The day that
is not over yet waits for the next night.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from core.bulk import is_one_of
from core.forest.tasks import MOST_DAYS, RETRY_AFTER
from core.forest.trees import STREAMS, Tree
from core.models import Chunk, ForestTask, Participant, Study, TaskState
from core.streams import SPECS, DataStream
from core.streams.paths import EARLIEST

HOUR_OF_NIGHT = 2
"""In the study's zone: nearly all of a day's uploads have come, and the morning's page is ready in time."""
MARGIN = timedelta(hours=1)
"""A chunk that was written shortly before a night was queued may have been committed after it."""
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
    """What a night would compute: by tree and participant, the days before today that are due; two queries a tree.

    Leaves out participants with a purge, and those for whom a nightly task of the tree is still open.
    """
    today = now.astimezone(study.zone).date()
    found: list[Changed] = []
    for tree in STREAMS:
        by_person: dict[int, set[date]] = defaultdict(set)
        for participant_id, day in session.execute(_days_with_new_data(study, tree, today)):
            by_person[participant_id].add(day)
        for task in session.scalars(_not_computed(study, tree)):
            by_person[task.participant_id] |= {date.fromisoformat(day) for day in task.days or ()}
        found += [Changed(number, tree, tuple(sorted(days))) for number, days in sorted(by_person.items()) if days]
    return found


def _last_night(tree: Tree, participant_id: sa.SQLColumnExpression[int]) -> sa.ScalarSelect[datetime]:
    """When the tree's newest nightly tasks of the participant were queued."""
    task = aliased(ForestTask)
    of_tree = (task.participant_id == participant_id, task.tree == tree.value, task.is_nightly)
    return sa.select(sa.func.max(task.created_at)).where(*of_tree).correlate_except(task).scalar_subquery()


def _is_open(tree: Tree) -> sa.ColumnElement[bool]:
    task = aliased(ForestTask)
    of_tree = (task.participant_id == Participant.id, task.tree == tree.value, task.is_nightly)
    return sa.exists().where(*of_tree, task.state.in_(OPEN)).correlate(Participant)


def _days_with_new_data(study: Study, tree: Tree, today: date) -> sa.Select[tuple[int, date]]:
    start_of_today = datetime.combine(today, time(), study.zone).astimezone(UTC)
    last = _last_night(tree, Participant.id)
    return (
        sa.select(Participant.id, sa.cast(sa.func.timezone(study.zone.key, Chunk.time_bin), sa.Date))
        .join(Chunk, Chunk.participant_id == Participant.id)
        .where(
            Participant.study_id == study.id,
            Participant.purge_asked_at.is_(None),
            ~_is_open(tree),
            Chunk.stream.in_([SPECS[stream].number for stream in STREAMS[tree]]),
            Chunk.time_bin >= EARLIEST,
            Chunk.time_bin < start_of_today,
            sa.or_(last.is_(None), Chunk.updated_at > last - MARGIN),
        )
        .distinct()
    )


def _not_computed(study: Study, tree: Tree) -> sa.Select[tuple[ForestTask]]:
    """Tasks of each participant's last night that were cancelled, or failed by the machine at their last try."""
    failed_by_machine = (ForestTask.state == TaskState.ERROR.value, ForestTask.tries > len(RETRY_AFTER))
    return (
        sa.select(ForestTask)
        .join(Participant, Participant.id == ForestTask.participant_id)
        .where(
            ForestTask.study_id == study.id,
            ForestTask.tree == tree.value,
            ForestTask.is_nightly,
            Participant.purge_asked_at.is_(None),
            ~_is_open(tree),
            sa.or_(ForestTask.state == TaskState.CANCELLED.value, sa.and_(*failed_by_machine)),
            ForestTask.created_at == _last_night(tree, ForestTask.participant_id),
        )
    )


def queue_changed_days(session: Session, study: Study, now: datetime, window_days: int) -> int:
    """Queues a night's tasks and returns how many; the caller commits. Repeating it queues nothing twice.

    Only changed days are written. Jasmine reads one range up to yesterday: from the first changed day, and at least
    `window_days` long where there are data, since it takes the home from the range (FOREST-7). Other trees get a task
    for each group of days.
    """
    yesterday = now.astimezone(study.zone).date() - timedelta(days=1)
    changed = changed_days(session, study, now)
    first_days = _first_days_of_gps(session, study, [one.participant_id for one in changed if one.tree is Tree.JASMINE])
    ranges: list[tuple[Changed, date, date, Sequence[date]]] = []
    for one in changed:
        if one.tree is Tree.JASMINE:
            days = [day for day in one.days if (yesterday - day).days < MOST_DAYS]
            window = max(yesterday - timedelta(days=window_days - 1), first_days.get(one.participant_id, days[0]))
            ranges.append((one, min(days[0], window), yesterday, days))
        else:
            ranges += [(one, group[0], group[-1], group) for group in _groups(one.days)]
    rows: list[dict[str, Any]] = [
        {
            "study_id": study.id,
            "participant_id": one.participant_id,
            "tree": one.tree.value,
            "start_on": start,
            "end_on": end,
            "days": [day.isoformat() for day in days],
            "is_nightly": True,
            "asked_by": NIGHTLY,
            "created_at": now,
        }
        for one, start, end, days in ranges
    ]
    if rows:
        session.execute(sa.insert(ForestTask), rows)
    return len(rows)


def _first_days_of_gps(session: Session, study: Study, participant_ids: Sequence[int]) -> dict[int, date]:
    """The day, in the study's zone, of each participant's oldest chunk of GPS."""
    of_gps = (Chunk.participant_id == Participant.id, Chunk.stream == SPECS[DataStream.GPS].number)
    oldest = sa.select(sa.func.min(Chunk.time_bin)).where(*of_gps, Chunk.time_bin >= EARLIEST).scalar_subquery()
    query = sa.select(Participant.id, oldest).where(is_one_of(Participant.id, participant_ids))
    return {number: at.astimezone(study.zone).date() for number, at in session.execute(query) if at is not None}


def _groups(days: Sequence[date]) -> Iterable[Sequence[date]]:
    """The days in groups without long gaps, none longer than a task may be."""
    group: list[date] = []
    for day in days:
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
