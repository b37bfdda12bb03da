"""Notes of the study team about a participant."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.models import Note, Participant
from core.models.audit_record import Action
from core.participants.refusals import ParticipantRefused, require_unlocked

LONGEST_NOTE = 5_000


def add_note(session: Session, participant: Participant, text: str, *, actor: Actor) -> Note:
    """Adds a note; the caller commits. Raises ParticipantRefused for an empty or a very long one."""
    require_unlocked(session, participant)
    if not 1 <= len(text := text.strip()) <= LONGEST_NOTE:
        raise ParticipantRefused(f"A note has 1 to {LONGEST_NOTE:,} characters.")
    note = Note(participant_id=participant.id, author_name=actor.name, text=text)
    session.add(note)
    record(session, actor, Action.PARTICIPANT_NOTE, study=participant.study, participant=participant)
    return note


def notes_of(session: Session, participant_id: int) -> list[Note]:
    """All notes about the participant, the newest first."""
    query = sa.select(Note).where(Note.participant_id == participant_id)
    return list(session.scalars(query.order_by(Note.at.desc(), Note.id.desc())))
