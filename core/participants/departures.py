"""The end of taking part: withdrawn or completed, with a date (CLAR-35).

What a phone recorded until that day may still be on it, so uploads are taken for 14 days more. Rows after the day are
dropped and counted, no survey is asked after it, and then the participant is retired.
"""

from datetime import UTC, date, datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import SERVER, Actor, record
from core.models import Departure, DepartureKind, Participant, Study, WithdrawalReason
from core.models.audit_record import Action
from core.participants.changing import retire_participant
from core.participants.refusals import ParticipantRefused, require_unlocked
from core.surveys.events import rebuild_events

STILL_TAKEN = timedelta(days=14)
RETIRED_AT_ONCE = 100


def end_participation(
    session: Session,
    participant: Participant,
    left_on: date,
    reason: WithdrawalReason | None,
    now: datetime,
    *,
    actor: Actor,
) -> Departure:
    """Records that the participant took part until the end of `left_on`, in the study's zone; the caller commits.

    With a reason it is a withdrawal, without one the participant completed the study. A date that was recorded before
    is replaced. Raises ParticipantRefused for a date in the future or before the participant was created.
    """
    require_unlocked(session, participant)
    study = participant.study
    if left_on > now.astimezone(study.zone).date():
        raise ParticipantRefused("The last day is today or earlier. Record a later one when it has come.")
    if left_on < participant.created_at.astimezone(study.zone).date():
        raise ParticipantRefused("The last day is not before the day on which the participant was added.")
    departure = session.get(Departure, participant.id) or Departure(participant_id=participant.id)
    departure.kind = (DepartureKind.WITHDRAWN if reason else DepartureKind.COMPLETED).value
    departure.reason = reason.value if reason else None
    departure.left_on, departure.ends_at = left_on, _end_of(left_on, study)
    # The phone learns nothing of this: it goes on for two weeks from now, whenever the last day was.
    departure.retire_at = max(departure.ends_at, now) + STILL_TAKEN
    departure.recorded_by, departure.trimmed_at = actor.name, None
    session.add(departure)
    action = Action.PARTICIPANT_WITHDRAW if reason else Action.PARTICIPANT_COMPLETE
    record(session, actor, action, study=study, participant=participant)
    rebuild_events(session, study, now, participant_ids=[participant.id])
    return departure


def take_back_departure(session: Session, participant: Participant, now: datetime, *, actor: Actor) -> bool:
    """Lets the participant take part again, until the day of retirement; the caller commits. False where none left.

    Rows that were dropped meanwhile come back when the participant's chunks are made anew from the raw files.
    """
    require_unlocked(session, participant)
    departure = session.get(Departure, participant.id)
    if departure is None or participant.retired_at:
        return False
    session.delete(departure)
    record(session, actor, Action.PARTICIPANT_TAKE_BACK_DEPARTURE, study=participant.study, participant=participant)
    rebuild_events(session, participant.study, now, participant_ids=[participant.id])
    return True


def end_of_data(session: Session, participant_id: int) -> datetime | None:
    """The moment from which on rows of the participant are dropped; None while it takes part (CLAR-35)."""
    return session.scalar(sa.select(Departure.ends_at).where(Departure.participant_id == participant_id))


def retire_departed(session: Session, now: datetime) -> int:
    """Retires those whose 14 days are over, some hundred at a time; how many. The caller commits, and asks again."""
    due = (
        sa.select(Participant)
        .join(Departure, Departure.participant_id == Participant.id)
        .where(Departure.retire_at <= now, Participant.retired_at.is_(None))
        .order_by(Participant.id)
        .limit(RETIRED_AT_ONCE)
        .options(sa.orm.joinedload(Participant.study))
    )
    participants = session.scalars(due).all()
    for participant in participants:
        retire_participant(session, participant, now, actor=SERVER)
    return len(participants)


def _end_of(day: date, study: Study) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), study.zone).astimezone(UTC)
