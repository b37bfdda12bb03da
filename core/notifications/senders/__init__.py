"""Senders of pushes, one for each service, behind one interface."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from core.notifications.messages import Message
from core.notifications.outcomes import Outcome


@dataclass(frozen=True)
class Addressed:
    """A message with the token that it goes to, and the number of its row in the ledger."""

    number: int
    token: str = field(repr=False)
    message: Message = field(repr=False)


class BulkSender(Protocol):
    """Sends many messages with one client, a bounded number at once. To be used as a context manager.

    `send_all` yields the numbers of messages with their outcomes, as the answers come. It raises nothing for what a
    service does. Messages that were not tried, because the service refuses or does not answer, are left out.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def send_all(self, messages: Sequence[Addressed]) -> Iterator[tuple[int, Outcome]]:
        """Sends them in this order."""
        ...
