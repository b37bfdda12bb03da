"""Changes to participants: one function per change. The caller commits."""

from datetime import datetime

from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.crypto.passwords import hash_participant_password, new_identifier
from core.models import Participant
from core.models.audit_record import Action
from core.surveys.events import rebuild_events


def retire_participant(session: Session, participant: Participant, now: datetime, *, actor: Actor) -> bool:
    """Retires a participant: uploads and surveys end (PORTAL-135, NOTIF-3). Returns False if already retired."""
    session.refresh(participant, ("retired_at",), with_for_update={"key_share": True})
    if participant.retired_at:
        return False
    participant.retired_at = now
    record(session, actor, Action.PARTICIPANT_RETIRE, study=participant.study, participant=participant)
    rebuild_events(session, participant.study, now, participant_ids=[participant.id])
    return True


def reset_device(session: Session, participant: Participant, *, actor: Actor) -> None:
    """Clears the registered phone; the next phone with the right password replaces it (PHONE-21)."""
    participant.device_id = ""
    record(session, actor, Action.PARTICIPANT_RESET_DEVICE, study=participant.study, participant=participant)


def reset_password(session: Session, participant: Participant, *, actor: Actor) -> str:
    """Sets and returns a new temporary password, which is not stored in plain (PHONE-30)."""
    password = new_identifier()
    participant.password_hash = hash_participant_password(password)
    record(session, actor, Action.PARTICIPANT_RESET_PASSWORD, study=participant.study, participant=participant)
    return password
