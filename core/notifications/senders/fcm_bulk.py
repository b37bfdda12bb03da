"""Many messages by Firebase: threads share one client, its connections and its access token (NOTIF-36)."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from types import TracebackType
from typing import Any, Self

from core.notifications.outcomes import Outcome
from core.notifications.senders import Addressed
from core.notifications.senders.circuit import Circuit
from core.notifications.senders.fcm import AT_ONCE, FcmSender


class FcmBulkSender:
    """The bulk sender of one service account."""

    def __init__(self, account: dict[str, Any], fcm_url: str) -> None:
        self._sender = FcmSender(account, fcm_url)
        self._circuit = Circuit()
        self._threads = ThreadPoolExecutor(AT_ONCE, "fcm")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def send_all(self, messages: Sequence[Addressed]) -> Iterator[tuple[int, Outcome]]:
        """See `BulkSender`."""
        futures = {self._threads.submit(self._send, each): each.number for each in messages}
        for future in as_completed(futures):
            outcome = future.result()
            if outcome is not None:
                yield futures[future], outcome

    def _send(self, each: Addressed) -> Outcome | None:
        if not self._circuit.is_open:
            return None
        outcome = self._sender.send(each.token, each.message)
        self._circuit.note(outcome)
        return outcome
