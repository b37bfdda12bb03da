"""Who changed what, and when: rows written by the functions that change it, in the same transaction (CLAR-20).

Beside it stand the log of sign-ins and the log of who read participants' data, and the questions that pages ask of all
three.
"""

from core.audit.actor import COMMAND_LINE, SERVER, Actor, actor_of
from core.audit.recording import record, record_each

__all__ = ["COMMAND_LINE", "SERVER", "Actor", "actor_of", "record", "record_each"]
