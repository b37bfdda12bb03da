"""Where changes come from: the request that a thread or task is answering.

The web sets it once for each request, so that no view names request id, address and role for each change that it makes.
"""

from contextvars import ContextVar
from dataclasses import dataclass

from core.access import Requester


@dataclass(frozen=True)
class Origin:
    """The request's id, its client's address and browser (the header User-Agent), and the rights of who is signed in.

    All are None outside requests.
    """

    request_id: str | None = None
    address: str | None = None
    user_agent: str | None = None
    requester: Requester | None = None


NOWHERE = Origin()
_ORIGIN: ContextVar[Origin] = ContextVar("origin", default=NOWHERE)


def set_origin(origin: Origin) -> None:
    """Sets the origin for what this thread or task does next."""
    _ORIGIN.set(origin)


def current_origin() -> Origin:
    """The origin that was set last; `NOWHERE` if none was."""
    return _ORIGIN.get()
