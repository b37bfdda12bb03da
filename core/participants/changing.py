"""Changing participants: one function for one change; the caller commits."""

from datetime import datetime

from sqlalchemy.orm import Session

from core.crypto.passwords import hash_participant_password, new_identifier
from core.models import Participant
from core.surveys.events import rebuild_events


def retire_participant(session: Session, participant: Participant, now: datetime) -> bool:
    """Uploads are no longer kept and no survey is asked (PORTAL-135, NOTIF-3). False where that was so already."""
    session.refresh(participant, ("retired_at",), with_for_update={"key_share": True})
    if participant.retired_at:
        return False
    participant.retired_at = now
    rebuild_events(session, participant.study, now, participant_ids=[participant.id])
    return True


def reset_device(participant: Participant) -> None:
    """Forgets which phone this is; the next one that gives the right password is it (PHONE-21)."""
    participant.device_id = ""


def reset_password(participant: Participant) -> str:
    """Makes a new temporary password, which is nowhere else (PHONE-30)."""
    password = new_identifier()
    participant.password_hash = hash_participant_password(password)
    return password
