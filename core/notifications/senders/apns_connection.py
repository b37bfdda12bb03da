"""Connections to Apple: aioapns' own, which lose no message and wait for none for ever (NOTIF-36).

Read in aioapns 4.0: when a connection ends, it sends every message that waits again, up to five times, although Apple
may have taken it; it ignores a stream that Apple refuses, whose caller then waits for ever; and an answer that comes
after its caller has given up breaks the ending of the connection.
"""

import asyncio
import json
import ssl
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlsplit

from aioapns.connection import (
    APNsBaseClientProtocol,
    APNsKeyConnectionPool,
    APNsTLSClientProtocol,
    JWTAuthorizationHeaderProvider,
)
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError

from core.notifications.credential_files import ApnsKey

WAIT_SECONDS = 0.01


class NotTaken(Exception):
    """Apple has said that it did not look at the message: it can be sent again."""


@dataclass(frozen=True)
class Gateway:
    """A server to use in place of Apple's, and the certificates to verify it with; without `tls` in clear."""

    host: str
    port: int
    tls: ssl.SSLContext | None


def gateway_at(url: str | None) -> Gateway | None:
    """The gateway at an address that the settings have checked; None, so Apple itself, where there is none."""
    if not url:
        return None
    parts = urlsplit(url)
    is_clear = parts.scheme == "http"
    tls = None if is_clear else ssl.create_default_context()
    return Gateway(parts.hostname or "", parts.port or (80 if is_clear else 443), tls)


class Protocol(APNsTLSClientProtocol):
    """One connection."""

    def data_received(self, data: bytes) -> None:
        """Like aioapns', which does not know that Apple may refuse a stream, or speak after its goodbye."""
        try:
            for event in self.conn.receive_data(data):
                self._take(event)
        except ProtocolError:
            self.close()
            return
        self.flush()

    def _take(self, event: Event) -> None:
        match event:
            case ResponseReceived():
                self.on_response_received(dict(event.headers))
            case DataReceived():
                self.on_data_received(event.data, event.stream_id)
            case RemoteSettingsChanged():
                self.on_remote_settings_changed(event.changed_settings)  # type: ignore[arg-type]  # h2 names ints
            case StreamEnded():
                self.on_stream_ended(event.stream_id)
            case StreamReset():
                self._end_stream(event)
            case ConnectionTerminated():
                self.on_connection_terminated(event)

    def on_data_received(self, raw_data: bytes, stream_id: int) -> None:
        """aioapns' own; an answer that is not Apple's counts as one without a reason."""
        try:
            json.loads(raw_data)
        except ValueError:
            raw_data = b'{"reason": "UnreadableAnswer"}'
        super().on_data_received(raw_data, stream_id)

    def on_connection_terminated(self, event: ConnectionTerminated) -> None:
        """Apple says goodbye, and up to which stream it has looked: later messages can be sent again."""
        last = event.last_stream_id or 0
        for stream, number in list(self.request_streams.items()):
            if stream > last:
                self._fail(number, NotTaken())
        super().on_connection_terminated(event)

    @property
    def is_closing(self) -> bool:
        """Whether no more can be sent over it."""
        return self.transport is None or self.transport.is_closing()

    def has_room_for(self, size_bytes: int) -> bool:
        """Whether a message of this size can be sent now; aioapns opens a stream first and fails in its middle."""
        return not self.is_busy and self.conn.outbound_flow_control_window >= size_bytes

    def has_sent(self, number: str) -> bool:
        """Whether the message with this id was put on the wire, so that Apple may have taken it."""
        return number in self.request_streams.values()

    def connection_lost(self, exc: Exception | None) -> None:
        """aioapns' own, without callers that have given up."""
        for number in [number for number, waiting in self.requests.items() if waiting.done()]:
            del self.requests[number]
        super().connection_lost(exc)

    def _end_stream(self, event: StreamReset) -> None:
        number = self.request_streams.get(event.stream_id or 0)
        refused = event.error_code == ErrorCodes.REFUSED_STREAM
        self._fail(number, NotTaken() if refused else ConnectionResetError())
        self.free_channels.release()

    def _fail(self, number: str | None, error: Exception) -> None:
        waiting = self.requests.pop(number or "", None)
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)


class Pool(APNsKeyConnectionPool):
    """aioapns' pool with one authorization for all connections: Apple refuses a key that signs new ones too often."""

    def __init__(self, key: ApnsKey, gateway: Gateway | None, *, max_connections: int = 1) -> None:
        super().__init__(
            key=key.key,
            key_id=key.key_id,
            team_id=key.team_id,
            topic=key.topic,
            use_sandbox=key.is_sandbox,
            max_connections=max_connections,
            max_connection_attempts=1,
            ssl_context=gateway.tls if gateway else None,
        )
        if gateway:
            self.ssl_context = gateway.tls  # the library would replace "in clear" by its default
        self._authorization = authorization(key)
        server = self.protocol_class.APNS_SERVER
        place = {"APNS_SERVER": gateway.host, "APNS_PORT": gateway.port} if gateway else {"APNS_SERVER": server}
        self.protocol_class = type("Protocol", (Protocol,), place)

    async def connection(self, size_bytes: int) -> Protocol:
        """A connection with a free stream, over which so much can be sent now; raises OSError where there is none.

        aioapns' own takes connections that are being closed, and makes none once it waits for one.
        """
        while True:
            alive = [each for each in self.connections if isinstance(each, Protocol) and not each.is_closing]
            if free := next((each for each in alive if each.has_room_for(size_bytes)), None):
                return free
            if len(alive) < self.max_connections and not self._lock.locked():
                async with self._lock:
                    self.connections.append(await self.create_connection())
                continue
            await asyncio.sleep(WAIT_SECONDS)

    async def create_connection(self) -> APNsBaseClientProtocol:
        """A new connection; raises OSError."""
        discard: Any = self.discard_connection  # which aioapns declares as something that never returns
        protocol = partial(self.protocol_class, self.apns_topic or "", self.loop, discard, self._authorization)
        return await self._create_connection(protocol)

    def discard_connection(self, connection: APNsBaseClientProtocol) -> None:
        """Forgets a connection, which may have been forgotten before."""
        if connection in self.connections:
            super().discard_connection(connection)


@lru_cache(maxsize=4)
def authorization(key: ApnsKey) -> JWTAuthorizationHeaderProvider:
    """The key's signed authorization, renewed each half hour."""
    return JWTAuthorizationHeaderProvider(key.key, key.key_id, key.team_id)
