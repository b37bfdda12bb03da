"""Nightly analyses: each night the days whose data changed, for each participant and tree (CLAR-81).

A day has changed if a chunk of it, of a stream that the tree reads, was written after the night before was queued; so
the first night takes all days. The day that is not over yet waits for the next night. What the night before did not
compute is due again: what somebody cancelled, and what the machine made fail three times. Another failure comes from
the data: a task of several days is repeated in two halves, night by night, until one day is left, which waits until its
data change. Of surveys, days may be due without new data of their own (`survey_days`).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.bulk import is_one_of
from core.forest.survey_days import days_of_surveys
from core.forest.tasks import MOST_DAYS, RETRY_AFTER
from core.forest.trees import STREAMS, Tree
from core.models import Chunk, ForestTask, Participant, Study, TaskState
from core.streams import SPECS
from core.streams.paths import EARLIEST

HOUR_OF_NIGHT = 2
"""In the study's zone: nearly all of a day's uploads have come, and the morning's page is ready in time."""
DAY = timedelta(days=1)
MARGIN = timedelta(hours=1)
"""A chunk that was written shortly before a night was queued may have been committed after it."""
MOST_GAP_DAYS = 7
"""Changed days further apart than this are tasks of their own: what lies between is not computed again."""
NIGHTLY = "every night"
OPEN = (TaskState.QUEUED.value, TaskState.RUNNING.value)


@dataclass(frozen=True)
class Due:
    """What one tree is to compute of one participant: changed days, and halves of failed tasks; both sorted."""

    participant_id: int
    tree: Tree
    days: tuple[date, ...]
    halves: tuple[tuple[date, ...], ...] = ()

    @property
    def all_days(self) -> set[date]:
        return {*self.days, *(day for half in self.halves for day in half)}


def newest_night(zone: ZoneInfo, now: datetime) -> date:
    """The day, in the zone, of the night that has begun last."""
    at = now.astimezone(zone)
    return at.date() if at.hour >= HOUR_OF_NIGHT else at.date() - timedelta(days=1)


def studies_in_the_night(session: Session, now: datetime) -> list[Study]:
    """Studies with nightly analyses whose newest night was not queued yet."""
    query = sa.select(Study).where(Study.has_forest, Study.has_nightly_forest, Study.hidden_at.is_(None))
    return [study for study in session.scalars(query.order_by(Study.id)) if _is_due(study, now)]


def _is_due(study: Study, now: datetime) -> bool:
    return study.last_night_on is None or study.last_night_on < newest_night(study.zone, now)


def queue_night(session: Session, study: Study, now: datetime, window_days: int) -> int:
    """Queues the study's night, unless another process has, and returns how many tasks; the caller commits."""
    session.refresh(study, with_for_update=True)
    if not _is_due(study, now):
        return 0
    study.last_night_on = newest_night(study.zone, now)
    return queue_changed_days(session, study, now, window_days)


def changed_days(session: Session, study: Study, now: datetime, window_days: int) -> list[Due]:
    """What a night would compute: by tree and participant, the days before today that are due; two queries a tree.

    Sycamore has a third query, for days of surveys that were answered later or not at all.

    Leaves out participants with a purge, and those for whom a nightly task of the tree is still open.
    """
    today = now.astimezone(study.zone).date()
    found: list[Due] = []
    for tree in STREAMS:
        changed: dict[int, set[date]] = defaultdict(set)
        halves: dict[int, list[tuple[date, ...]]] = defaultdict(list)
        for participant_id, day in session.execute(_days_with_new_data(study, tree, today)):
            changed[participant_id].add(day)
        if tree is Tree.SYCAMORE:
            for participant_id, day in session.execute(_days_of_surveys(study, today, window_days)):
                changed[participant_id].add(day)
        for task in session.scalars(_not_computed(study, tree)):
            days = [date.fromisoformat(day) for day in task.days or ()]
            if task.state == TaskState.CANCELLED.value or task.tries > len(RETRY_AFTER):
                changed[task.participant_id].update(days)
            elif len(days) > 1:
                half = len(days) // 2
                halves[task.participant_id] += [tuple(days[:half]), tuple(days[half:])]
            elif tree is Tree.SYCAMORE and task.start_on < task.end_on:
                halves[task.participant_id].append(tuple(days))  # without the window, whose data may be the cause
        for number in sorted({*changed, *halves}):
            again = {day for half in halves[number] for day in half}
            found.append(Due(number, tree, tuple(sorted(changed[number] - again)), tuple(sorted(halves[number]))))
    return [due for due in found if due.all_days]


def _people(study: Study, tree: Tree) -> sa.Subquery:
    """The study's participants (`id`) and when their newest nightly tasks of the tree were queued (`last`, or null).

    Without those with a purge, and those of whom such a task is open.
    """
    is_nightly = (ForestTask.tree == tree.value, ForestTask.is_nightly)
    is_open = sa.func.coalesce(sa.func.bool_or(ForestTask.state.in_(OPEN)), False)
    return (
        sa.select(Participant.id, sa.func.max(ForestTask.created_at).label("last"))
        .outerjoin(ForestTask, sa.and_(ForestTask.participant_id == Participant.id, *is_nightly))
        .where(Participant.study_id == study.id, Participant.purge_asked_at.is_(None))
        .group_by(Participant.id)
        .having(~is_open)
        .subquery()
    )


def _days_with_new_data(study: Study, tree: Tree, today: date) -> sa.Select[tuple[int, date]]:
    people = _people(study, tree)
    return (
        sa.select(people.c.id, sa.cast(sa.func.timezone(study.zone.key, Chunk.time_bin), sa.Date))
        .join(Chunk, Chunk.participant_id == people.c.id)
        .where(*_is_new(study, tree, people, today))
        .distinct()
    )


def _days_of_surveys(study: Study, today: date, window_days: int) -> sa.CompoundSelect[tuple[int, date]]:
    people = _people(study, Tree.SYCAMORE)
    return days_of_surveys(study, people, _is_new(study, Tree.SYCAMORE, people, today), today, window_days)


def _is_new(study: Study, tree: Tree, people: sa.Subquery, today: date) -> list[sa.ColumnElement[bool]]:
    """The conditions of a chunk, of a day before today, that the night before did not compute."""
    return [
        Chunk.stream.in_([SPECS[stream].number for stream in STREAMS[tree]]),
        Chunk.time_bin >= EARLIEST,
        Chunk.time_bin < datetime.combine(today, time(), study.zone).astimezone(UTC),
        sa.or_(
            people.c.last.is_(None),
            Chunk.updated_at > people.c.last - MARGIN,
            Chunk.time_bin >= _midnight_of(people.c.last, study.zone),  # was not over then
        ),
    ]


def _midnight_of(moment: sa.ColumnElement[datetime], zone: ZoneInfo) -> sa.ColumnElement[datetime]:
    """The beginning, in the zone, of the moment's day."""
    return sa.func.timezone(zone.key, sa.func.date_trunc("day", sa.func.timezone(zone.key, moment)))


def _not_computed(study: Study, tree: Tree) -> sa.Select[tuple[ForestTask]]:
    """Tasks of each participant's last night that failed or were cancelled."""
    people = _people(study, tree)
    return (
        sa.select(ForestTask)
        .join(people, sa.and_(ForestTask.participant_id == people.c.id, ForestTask.created_at == people.c.last))
        .where(
            ForestTask.tree == tree.value,
            ForestTask.is_nightly,
            ForestTask.state.in_((TaskState.CANCELLED.value, TaskState.ERROR.value)),
        )
        .order_by(ForestTask.id)
    )


def queue_changed_days(session: Session, study: Study, now: datetime, window_days: int) -> int:
    """Queues a night's tasks and returns how many; the caller commits. Repeating it queues nothing twice.

    Only due days are written. Jasmine reads one range up to yesterday: from the first due day, and at least
    `window_days` long where there are data, since it takes the home from the range (FOREST-7). Other trees get a task
    for each group of days. Sycamore's tasks read the window before the first of them and the one behind the last,
    since it counts a survey as sent only if it was opened within the range.
    """
    yesterday = now.astimezone(study.zone).date() - DAY
    due = changed_days(session, study, now, window_days)
    first_days = _first_days(session, study, due)
    window = timedelta(days=window_days - 1)

    def window_before(one: Due, day: date) -> date:
        """The first day of the window that ends with the day, where there are data so early."""
        return min(day, max(day - window, first_days.get((one.participant_id, one.tree), day)))

    ranges: list[tuple[Due, date, date, Sequence[date]]] = []
    for one in due:
        # Halves come first: jasmine then goes on from the states after them.
        for half in one.halves:
            start = min(half[0], window_before(one, half[-1])) if one.tree is Tree.JASMINE else half[0]
            ranges.append((one, start, half[-1], half))
        if one.tree is Tree.JASMINE:
            if days := [day for day in one.days if (yesterday - day).days < MOST_DAYS]:
                ranges.append((one, min(days[0], window_before(one, yesterday)), yesterday, days))
            continue
        for group in _groups(one.days):
            start, end = group[0], group[-1]
            if one.tree is Tree.SYCAMORE:
                start, end = window_before(one, start), max(end, min(end + window, yesterday))
            ranges.append((one, start, end, group))
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


def _first_days(session: Session, study: Study, due: Sequence[Due]) -> dict[tuple[int, Tree], date]:
    """The day, in the study's zone, of the oldest chunk, by participant and tree; for trees that read a window."""
    found = {}
    for tree in (Tree.JASMINE, Tree.SYCAMORE):
        numbers = [one.participant_id for one in due if one.tree is tree]
        streams = Chunk.stream.in_([SPECS[stream].number for stream in STREAMS[tree]])
        of_tree = (Chunk.participant_id == Participant.id, streams, Chunk.time_bin >= EARLIEST)
        oldest = sa.select(sa.func.min(Chunk.time_bin)).where(*of_tree).scalar_subquery()
        query = sa.select(Participant.id, oldest).where(is_one_of(Participant.id, numbers))
        for number, at in session.execute(query):
            if at is not None:
                found[number, tree] = at.astimezone(study.zone).date()
    return found


def _groups(days: Sequence[date]) -> Iterable[Sequence[date]]:
    """The days in groups without long gaps, none longer than a task may be."""
    group: list[date] = []
    for day in days:
        is_far = group and (day - group[-1]).days > MOST_GAP_DAYS
        if is_far or (group and (day - group[0]).days >= MOST_DAYS):
            yield group
            group = []
        group.append(day)
    if group:
        yield group
