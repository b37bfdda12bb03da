"""Scheduled events after a change of a whole study: at once where it is small, else by a row that waits (CLAR-14).

A row of `event_rebuilds` is written in the transaction of the change. The deployment `rebuild-schedules` works it off;
until then events of that study may be wrong, and whatever sends them waits.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.clock import check_clock
from core.limits import seen_whole
from core.locks import LockSpace, held_alone, lock_key
from core.models import EventRebuild, Participant, Schedule, Study, Survey
from core.surveys.events import rebuild_events

MOST_AT_ONCE = 500
SLICE_PARTICIPANTS = 1_000
# The local day of a change is over everywhere by then: clocks of two zones differ by at most 26 hours.
KEPT_AFTER_END = timedelta(days=3)
_SOLE = lock_key(LockSpace.REBUILD)


@dataclass(frozen=True)
class RebuiltStudy:
    """What a rebuild of one study did. `was_asked`: a change had left a row that waited for it."""

    study_id: str
    participants: int
    removed: int
    created: int
    was_asked: bool


def update_events_of_study(session: Session, study: Study, now: datetime, *, survey_id: int | None = None) -> bool:
    """Brings the study's events into step, of all surveys or of one; the caller commits (NOTIF-7, CLAR-14).

    With up to 500 participants that is done here; with more a row is written that waits for `rebuild-schedules`.
    Tells whether it waits.
    """
    session.flush()
    with seen_whole(session):  # a change of the study reaches participants whom its author may not see (PERM-95)
        some = sa.select(Participant.id).where(Participant.study_id == study.id).limit(MOST_AT_ONCE + 1).subquery()
        if (session.scalar(sa.select(sa.func.count()).select_from(some)) or 0) <= MOST_AT_ONCE:
            rebuild_events(session, study, now, survey_id=survey_id)
            return False
        _ask_for_rebuild(session, study)
        return True


def update_events_of(session: Session, study: Study, participant_ids: Sequence[int], now: datetime) -> bool:
    """Brings the events of these participants into step: at once where they are few, else with the whole study."""
    session.flush()
    if len(participant_ids) <= MOST_AT_ONCE:
        rebuild_events(session, study, now, participant_ids=participant_ids)
        return False
    _ask_for_rebuild(session, study)
    return True


def _ask_for_rebuild(session: Session, study: Study) -> None:
    asked = {"asked_at": sa.func.clock_timestamp()}
    row = insert(EventRebuild).values(study_id=study.id, **asked)
    session.execute(row.on_conflict_do_update(index_elements=["study_id"], set_=asked))


def is_rebuild_waiting(session: Session) -> bool:
    """Whether a change has asked for a rebuild that is not done yet."""
    return bool(session.scalar(sa.select(sa.exists().select_from(EventRebuild))))


def studies_to_rebuild(session: Session, *, only_asked: bool) -> list[int]:
    """Numbers of the studies whose events are to be brought into step: those asked for first, then all others."""
    query = sa.select(Study.id).outerjoin(EventRebuild, EventRebuild.study_id == Study.id)
    if only_asked:
        query = query.where(EventRebuild.study_id.is_not(None))
    return list(session.scalars(query.order_by(EventRebuild.asked_at.asc().nulls_last(), Study.id)))


def sole_rebuilder(engine: sa.Engine) -> AbstractContextManager[bool]:
    """Takes the lock to rebuild events for the block; yields False if another process holds it."""
    return held_alone(engine, _SOLE)


def rebuild_study(engine: sa.Engine, study_number: int, now: datetime) -> RebuiltStudy:
    """Brings all events of a study into step, a thousand participants to a transaction; commits.

    A change that is committed meanwhile renews its row, which therefore stays for the next look. Raises the
    database's errors and ClockLooksWrong, upon which the row stays, too.
    """
    participants = removed = created = 0
    with Session(engine) as session:
        check_clock(session)
        study = session.get_one(Study, study_number)
        asked_at = session.scalar(sa.select(EventRebuild.asked_at).where(EventRebuild.study_id == study_number))
        _delete_ended_schedules(session, study, now)
        for ids in _slices(session, study_number):
            done = rebuild_events(session, study, now, participant_ids=ids, asked_at=asked_at)
            session.commit()
            participants += len(ids)
            removed, created = removed + done.removed, created + done.created
            session.refresh(study)
        if asked_at is not None:
            row = sa.delete(EventRebuild).where(EventRebuild.study_id == study_number)
            session.execute(row.where(EventRebuild.asked_at == asked_at))
        session.commit()
        return RebuiltStudy(study.object_id, participants, removed, created, asked_at is not None)


def _delete_ended_schedules(session: Session, study: Study, now: datetime) -> None:
    """Deletes schedules that were removed, with their events, once their last day is over everywhere (CLAR-52)."""
    of_study = sa.select(Survey.id).where(Survey.study_id == study.id)
    gone = sa.delete(Schedule).where(Schedule.survey_id.in_(of_study), Schedule.ends_after < now - KEPT_AFTER_END)
    session.execute(gone, execution_options={"synchronize_session": False})


def _slices(session: Session, study_number: int) -> Iterator[list[int]]:
    last = 0
    while True:
        query = sa.select(Participant.id).where(Participant.study_id == study_number, Participant.id > last)
        ids = list(session.scalars(query.order_by(Participant.id).limit(SLICE_PARTICIPANTS)))
        if not ids:
            return
        yield ids
        last = ids[-1]
