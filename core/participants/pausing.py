"""Pauses: times without surveys for one participant (CLAR-36). Sensors and uploads go on."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.models import Participant, Pause
from core.models.audit_record import Action
from core.participants.refusals import ParticipantRefused, require_unlocked
from core.surveys.events import rebuild_events


def pause_participant(
    session: Session, participant: Participant, until: datetime | None, now: datetime, *, actor: Actor
) -> Pause:
    """Asks no survey from now until `until`, or until the pause is ended; the caller commits.

    Events of that time are removed and never sent later. A pause that lasts already gets the new end. Raises
    ParticipantRefused for an end in the past and for a retired participant.
    """
    require_unlocked(session, participant)
    if participant.retired_at:
        raise ParticipantRefused("A retired participant is asked nothing, so there is nothing to pause.")
    if until is not None and until <= now:
        raise ParticipantRefused("A pause ends in the future.")
    pause = current_pause(session, participant.id, now) or Pause(
        participant_id=participant.id, starts_at=now, made_by=actor.name
    )
    pause.ends_at = until
    session.add(pause)
    record(session, actor, Action.PARTICIPANT_PAUSE, study=participant.study, participant=participant)
    rebuild_events(session, participant.study, now, participant_ids=[participant.id])
    return pause


def resume_participant(session: Session, participant: Participant, now: datetime, *, actor: Actor) -> bool:
    """Ends the pause: surveys are asked from now on; the caller commits. False where there is none."""
    require_unlocked(session, participant)
    pause = current_pause(session, participant.id, now)
    if pause is None:
        return False
    pause.ends_at = now
    record(session, actor, Action.PARTICIPANT_RESUME, study=participant.study, participant=participant)
    rebuild_events(session, participant.study, now, participant_ids=[participant.id])
    return True


def current_pause(session: Session, participant_id: int, now: datetime) -> Pause | None:
    """The pause that lasts at this moment."""
    lasts = sa.and_(Pause.starts_at <= now, sa.or_(Pause.ends_at.is_(None), Pause.ends_at > now))
    query = sa.select(Pause).where(Pause.participant_id == participant_id, lasts)
    return session.scalar(query.order_by(Pause.id.desc()).limit(1))
