"""Why a change of a participant is refused."""

from sqlalchemy.orm import Session

from core.models import Participant

STATE_COLUMNS = ("retired_at", "retired_by_id", "purge_asked_at", "purged_at")


class ParticipantRefused(Exception):
    """A participant cannot be created or changed as asked; the message says why and what is allowed."""


class ParticipantLocked(ParticipantRefused):
    """All data of the participant were deleted, or will be: nothing may change (PORTAL-132, PERM-74)."""


def require_unlocked(session: Session, participant: Participant) -> None:
    """Locks the participant's row and reads its state anew. Raises ParticipantLocked."""
    session.refresh(participant, STATE_COLUMNS, with_for_update={"key_share": True})
    if participant.is_locked_out:
        raise ParticipantLocked("All data of this participant were deleted, or will be. Nothing can be changed.")
