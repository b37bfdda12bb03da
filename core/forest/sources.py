"""Lays out a task's input (FOREST-1, FOREST-2): chunks from the store, and the study's exports for sycamore."""

import errno
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.downloads.lists import intervention_dates
from core.downloads.members import Member, members_of
from core.downloads.query import DataQuery
from core.forest.job import LeftOut, TreeFailed
from core.forest.trees import STREAMS, Tree
from core.models import Chunk, CountedEvent, Participant, Schedule, ScheduledEvent, Study, Survey
from core.storage import ObjectMissing, SealedStore
from core.studies.settings_file.writing import study_file

AT_ONCE = 4
MOST_BYTES = 64 << 30
"""More input than this in one task is refused: its range must be split."""
LEAST_FREE_BYTES = 1 << 30
"""A task ends before it takes the last of the disk, which others on the machine need too."""


@dataclass(frozen=True)
class LaidOut:
    """How many files and bytes were written, and which files of the registry were not in the store."""

    files: int
    size_bytes: int
    missing: list[LeftOut]


def query_of(tree: Tree, start: date, end: date, zone: ZoneInfo) -> DataQuery:
    """The tree's streams from the first day's midnight to the last day's end in the zone, both inclusive (FOREST-2)."""
    first, after = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (start, end + timedelta(days=1)))
    return DataQuery(STREAMS[tree], None, first, after - timedelta(microseconds=1), None)


def has_data_after(session: Session, participant: Participant, end: date, zone: ZoneInfo) -> bool:
    """Whether the participant has a chunk of any stream after the last day in the zone."""
    after = datetime.combine(end + timedelta(days=1), time(), zone)
    later = sa.exists().where(Chunk.participant_id == participant.id, Chunk.time_bin >= after)
    return bool(session.scalar(sa.select(later)))


def lay_out(
    session: Session,
    store: SealedStore,
    study: Study,
    participant: Participant,
    query: DataQuery,
    folder: Path,
    tell: Callable[[int], None],
) -> LaidOut:
    """Writes the chunks below `folder`, a few at a time and in pieces. `tell` gets the number of files so far.

    Raises OSError when the disk is all but full, StoreUnavailable, SealBroken; TreeFailed for more than 64 GiB.
    """
    found = members_of(session, study, (participant.id, participant.patient_id), query)
    files, size, missing = 0, 0, []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for page in _pages(found):
            for member, written in zip(page, pool.map(lambda m: _write(store, m, folder), page), strict=True):
                if written is None:
                    missing.append(LeftOut(member.name, "It is registered, but is not in the store."))
                    continue
                files, size = files + 1, size + written
            if size > MOST_BYTES:
                raise TreeFailed("These days hold more than 64 GiB of data; take fewer days.")
            if shutil.disk_usage(folder).free < LEAST_FREE_BYTES:
                raise OSError(errno.ENOSPC, "Less than 1 GiB would be left on the disk")
            tell(files)
    return LaidOut(files, size, missing)


def _pages(found: Iterator[Member]) -> Iterator[Sequence[Member]]:
    while page := list(islice(found, 16 * AT_ONCE)):
        yield page


def _write(store: SealedStore, member: Member, folder: Path) -> int | None:
    """Writes one file and returns its size in bytes; None where the store lacks it."""
    file = folder / member.name
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        pieces, _ = store.open(member.path, member.seal)
    except ObjectMissing:
        return None
    with file.open("wb") as out:
        return sum(out.write(piece) for piece in pieces)


def write_exports(session: Session, study: Study, participant: Participant, folder: Path) -> tuple[Path, Path]:
    """Writes what sycamore reads of the study: settings export and interventions export. Returns both files.

    The library knows weekly, absolute and relative timings alike for all. Surveys at random times or of an arm are
    listed with this participant's events as absolute timings (CLAR-81).
    """
    exported = study_file(session, study)
    events = _events_of_unlike_surveys(session, study, participant)
    for survey, row in zip(exported["surveys"], _surveys(session, study), strict=True):
        if row in events:
            survey |= {"timings": [[] for _ in range(7)], "relative_timings": [], "absolute_timings": events[row]}
            survey.pop("random_timings", None)
            survey.pop("arm_timings", None)
    settings, interventions = folder / "settings.json", folder / "interventions.json"
    settings.write_text(json.dumps(exported))
    interventions.write_text(json.dumps(intervention_dates(session, study)))
    return settings, interventions


def _surveys(session: Session, study: Study) -> Sequence[int]:
    """The surveys of the settings export, in its order."""
    query = sa.select(Survey.id).where(Survey.study_id == study.id, Survey.deleted_at.is_(None))
    return session.scalars(query.where(Survey.published_at.is_not(None)).order_by(Survey.id)).all()


def _events_of_unlike_surveys(session: Session, study: Study, participant: Participant) -> dict[int, list[list[int]]]:
    """For surveys with random times or arms: the participant's events as [year, month, day, second], by survey."""
    unlike = (
        sa.select(Schedule.survey_id)
        .join(Survey, Survey.id == Schedule.survey_id)
        .where(
            Survey.study_id == study.id,
            sa.or_(Schedule.window_last.is_not(None), Schedule.arm_field_id.is_not(None)),
        )
        .distinct()
    )
    events: dict[int, set[datetime]] = {number: set() for number in session.scalars(unlike)}
    kinds: tuple[Any, ...] = (ScheduledEvent, CountedEvent)
    for kind in kinds:
        query = sa.select(kind.survey_id, kind.scheduled_at).where(kind.participant_id == participant.id)
        for number, at in session.execute(query.where(kind.survey_id.in_(list(events)))):
            events[number].add(at.astimezone(study.zone))
    return {
        number: [[at.year, at.month, at.day, at.hour * 3600 + at.minute * 60 + at.second] for at in sorted(moments)]
        for number, moments in events.items()
    }
