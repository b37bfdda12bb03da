"""The actor of a change. Names are kept as text, because the audit trail outlives accounts (CLAR-20)."""

from dataclasses import dataclass, field
from typing import Protocol

from core.access import Role
from core.audit.origin import NOWHERE, Origin, current_origin
from core.models import ApiKey
from core.models.audit_record import ActorKind

# A researcher may have several roles that count in a study. The row names the strongest.
_STRONGEST_FIRST = (
    Role.SITE_ADMIN,
    Role.STUDY_ADMIN,
    Role.STUDY_RESEARCHER,
    Role.STUDY_ANALYST,
    Role.STUDY_VIEWER,
    Role.RESEARCHER,
)


class Account(Protocol):
    """A researcher's account, as far as the audit trail names it."""

    id: int
    username: str


@dataclass(frozen=True)
class Actor:
    """A researcher with the account's primary key, or a part of the server, which has none.

    `key_name` names the API key of a program that acts for the researcher. `origin` is the request in which the actor
    acts.
    """

    kind: ActorKind
    name: str
    id: int | None = None
    key_name: str | None = None
    origin: Origin = field(default=NOWHERE, compare=False)

    def role_in(self, study_id: int | None) -> Role | None:
        """The strongest role at this moment: in that study, or on the site if there is none. None if not known."""
        if self.origin.requester is None:
            return None
        roles = self.origin.requester.roles_in(study_id)
        return next(role for role in _STRONGEST_FIRST if role in roles)


COMMAND_LINE = Actor(ActorKind.COMMAND, "command line")
SERVER = Actor(ActorKind.SERVER, "server")


def actor_of(account: Account) -> Actor:
    """The actor for a researcher's account, in the request that is being answered."""
    return Actor(ActorKind.RESEARCHER, account.username, account.id, origin=current_origin())


def actor_with_key(account: Account, key: ApiKey) -> Actor:
    """The actor for a program with this API key of the account, in the request that is being answered."""
    name = key.name or f"{key.access_key[:8]}…"
    return Actor(ActorKind.API_KEY, account.username, account.id, name, current_origin())
