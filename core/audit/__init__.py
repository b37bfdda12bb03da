"""Who changed what, and when: rows written by the functions that change it, in the same transaction (CLAR-20)."""

from core.audit.actor import COMMAND_LINE, SERVER, Actor, actor_of
from core.audit.recording import record

__all__ = ["COMMAND_LINE", "SERVER", "Actor", "actor_of", "record"]
