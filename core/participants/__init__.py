"""Participants: creating and changing them. Every change is one function, which leaves the commit to its caller."""

from core.participants.creating import NewParticipant, create_participants
from core.participants.refusals import ParticipantLocked, ParticipantRefused

__all__ = ["NewParticipant", "ParticipantLocked", "ParticipantRefused", "create_participants"]
