"""Changing participants: one function for one change; the caller commits."""

from datetime import datetime

from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.crypto.passwords import hash_participant_password, new_identifier
from core.models import Participant
from core.models.audit_record import Action
from core.surveys.events import rebuild_events


def retire_participant(session: Session, participant: Participant, now: datetime, *, actor: Actor) -> bool:
    """Uploads are no longer kept and no survey is asked (PORTAL-135, NOTIF-3). False where that was so already."""
    session.refresh(participant, ("retired_at",), with_for_update={"key_share": True})
    if participant.retired_at:
        return False
    participant.retired_at = now
    record(session, actor, Action.PARTICIPANT_RETIRE, study=participant.study, participant=participant)
    rebuild_events(session, participant.study, now, participant_ids=[participant.id])
    return True


def reset_device(session: Session, participant: Participant, *, actor: Actor) -> None:
    """Forgets which phone this is; the next one that gives the right password is it (PHONE-21)."""
    participant.device_id = ""
    record(session, actor, Action.PARTICIPANT_RESET_DEVICE, study=participant.study, participant=participant)


def reset_password(session: Session, participant: Participant, *, actor: Actor) -> str:
    """Makes a new temporary password, which is nowhere else (PHONE-30)."""
    password = new_identifier()
    participant.password_hash = hash_participant_password(password)
    record(session, actor, Action.PARTICIPANT_RESET_PASSWORD, study=participant.study, participant=participant)
    return password
