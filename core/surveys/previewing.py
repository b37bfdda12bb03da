"""What saving a survey's schedules would change: which scheduled events appear and which vanish.

The change is made by the functions that save it, in a savepoint that is rolled back, so that the preview cannot differ
from the saving.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import EventState, Participant, ScheduledEvent, Study, Survey
from core.surveys.events import rebuild_events
from core.surveys.scheduling import ScheduleChanges, apply_schedules

MOST_PARTICIPANTS = 200
EXAMPLES = 10


@dataclass(frozen=True)
class ChangedEvents:
    """Events that appear, or that vanish: how many, of how many participants, the first and last scheduled time (UTC).

    `examples` are the first ones: patient id and scheduled time.
    """

    count: int
    participants: int
    first: datetime | None
    last: datetime | None
    examples: list[tuple[str, datetime]]


@dataclass(frozen=True)
class SchedulePreview:
    """The change of events for `computed_for` of the `participants` who take part and whom the person may see.

    Events that were sent or are past vanish without anybody noticing; they are counted in `vanish_past` alone.
    """

    appear: ChangedEvents
    vanish: ChangedEvents
    vanish_past: int
    participants: int
    computed_for: int


def preview_schedule_change(
    session: Session, survey: Survey, changes: ScheduleChanges, now: datetime, *, most: int = MOST_PARTICIPANTS
) -> SchedulePreview:
    """What saving these changes would do to events; nothing stays changed.

    It is computed for at most so many participants, those who were enrolled last. Raises TimingRefused, ExpiryRefused.
    """
    study = session.get_one(Study, survey.study_id)
    whole, ids = _some_participants(session, study, most)
    with undone(session):
        rebuild_events(session, study, now, participant_ids=list(ids), survey_id=survey.id)
        before = _events(session, survey, ids)
        apply_schedules(session, survey, changes, now)
        rebuild_events(session, study, now, participant_ids=list(ids), survey_id=survey.id)
        after = _events(session, survey, ids)
    gone = before.keys() - after.keys()
    to_come = [key for key in gone if before[key] and key[1] > now]
    new = sorted(after.keys() - before.keys(), key=_by_time)
    return SchedulePreview(
        appear=_summary(new, ids),
        vanish=_summary(sorted(to_come, key=_by_time), ids),
        vanish_past=len(gone) - len(to_come),
        participants=whole,
        computed_for=len(ids),
    )


@contextmanager
def undone(session: Session) -> Iterator[None]:
    """Takes back all that the block does in the database. What the session had not yet written is written before."""
    session.flush()
    savepoint = session.begin_nested()
    try:
        yield
    finally:
        savepoint.rollback()


def _some_participants(session: Session, study: Study, most: int) -> tuple[int, dict[int, str]]:
    """How many take part, and the patient ids of some, by number."""
    takes_part = (
        Participant.study_id == study.id,
        Participant.retired_at.is_(None),
        Participant.purge_asked_at.is_(None),
        Participant.purged_at.is_(None),
    )
    whole = session.scalar(sa.select(sa.func.count(Participant.id)).where(*takes_part)) or 0
    query = sa.select(Participant.id, Participant.patient_id).where(*takes_part).order_by(Participant.id.desc())
    return whole, dict(session.execute(query.limit(most)).tuples().all())


def _events(session: Session, survey: Survey, ids: dict[int, str]) -> dict[tuple[int, datetime], bool]:
    """Whether they are pending, by participant and scheduled time."""
    query = sa.select(ScheduledEvent.participant_id, ScheduledEvent.scheduled_at, ScheduledEvent.state).where(
        ScheduledEvent.survey_id == survey.id, ScheduledEvent.participant_id.in_(list(ids))
    )
    return {(number, at): state == EventState.PENDING for number, at, state in session.execute(query)}


def _by_time(key: tuple[int, datetime]) -> tuple[datetime, int]:
    return key[1], key[0]


def _summary(keys: list[tuple[int, datetime]], ids: dict[int, str]) -> ChangedEvents:
    return ChangedEvents(
        count=len(keys),
        participants=len({number for number, _ in keys}),
        first=keys[0][1] if keys else None,
        last=keys[-1][1] if keys else None,
        examples=[(ids[number], at) for number, at in keys[:EXAMPLES]],
    )
