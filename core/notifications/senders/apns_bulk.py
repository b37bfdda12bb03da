"""Many messages by Apple: one event loop and one client for a run (NOTIF-34, NOTIF-36)."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Self

from core.notifications.credential_files import ApnsKey
from core.notifications.outcomes import Fate, Outcome
from core.notifications.senders import Addressed
from core.notifications.senders.apns import DEVICE_TOKEN, NOT_HEX, send_by
from core.notifications.senders.apns_connection import Gateway, Pool
from core.notifications.senders.circuit import Circuit

AT_ONCE = 200
STOP_SECONDS = 20


class ApnsBulkSender:
    """The bulk sender of one key. `gateway` is a server in place of Apple's."""

    def __init__(self, key: ApnsKey, gateway: Gateway | None = None) -> None:
        self._key, self._gateway = key, gateway
        self._circuit = Circuit()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="apns", daemon=True)
        self._pool: Pool | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)
        self._loop.close()

    def send_all(self, messages: Sequence[Addressed]) -> Iterator[tuple[int, Outcome]]:
        """See `BulkSender`."""
        answers: SimpleQueue[tuple[int, Outcome] | None] = SimpleQueue()

        async def send() -> None:
            try:
                async for answer in self._send_all(messages):
                    answers.put(answer)
            finally:
                answers.put(None)

        sending = asyncio.run_coroutine_threadsafe(send(), self._loop)
        while (answer := answers.get()) is not None:
            yield answer
        sending.result()

    async def _send_all(self, messages: Sequence[Addressed]) -> AsyncIterator[tuple[int, Outcome]]:
        """The first message alone: until one is good, Apple allows a connection one stream at a time."""
        if self._pool is None:
            self._pool = Pool(self._key, self._gateway)
        alone = 0
        for each in messages:
            alone += 1
            outcome = await self._send(each)
            if outcome is not None:
                yield each.number, outcome
            if outcome is None or outcome.fate is Fate.DELIVERED:
                break
        free = asyncio.Semaphore(AT_ONCE)

        async def send(each: Addressed) -> tuple[int, Outcome | None]:
            async with free:
                return each.number, await self._send(each)

        for task in asyncio.as_completed([asyncio.ensure_future(send(each)) for each in messages[alone:]]):
            number, answer = await task
            if answer is not None:
                yield number, answer

    async def _send(self, each: Addressed) -> Outcome | None:
        if not self._circuit.is_open or self._pool is None:
            return None
        if not DEVICE_TOKEN.fullmatch(each.token):
            return NOT_HEX
        outcome = await send_by(self._pool, each.token, each.message)
        self._circuit.note(outcome)
        return outcome

    async def _close(self) -> None:
        if self._pool is not None:
            self._pool.close()
            await asyncio.sleep(0)  # transports close in the loop
