"""Participants: creating and changing them. Every change is one function, which leaves the commit to its caller."""

from core.participants.creating import NewParticipant, ParticipantRefused, create_participants

__all__ = ["NewParticipant", "ParticipantRefused", "create_participants"]
