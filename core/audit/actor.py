"""The actor of a change. Names are kept as text, because the audit trail outlives accounts (CLAR-20)."""

from dataclasses import dataclass
from typing import Protocol

from core.models.audit_record import ActorKind


class Account(Protocol):
    """A researcher's account, as far as the audit trail names it."""

    id: int
    username: str


@dataclass(frozen=True)
class Actor:
    """A researcher with the account's primary key, or a part of the server, which has none."""

    kind: ActorKind
    name: str
    id: int | None = None


COMMAND_LINE = Actor(ActorKind.COMMAND, "command line")
SERVER = Actor(ActorKind.SERVER, "server")


def actor_of(account: Account) -> Actor:
    """The actor for a researcher's account."""
    return Actor(ActorKind.RESEARCHER, account.username, account.id)
