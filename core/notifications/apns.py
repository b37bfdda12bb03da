"""Sending by Apple directly, for a deployment's own iOS build, through aioapns (NOTIF-34, NOTIF-41)."""

import asyncio
import re
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from aioapns.common import PRIORITY_HIGH, NotificationRequest, PushType
from aioapns.connection import (
    APNsBaseClientProtocol,
    APNsKeyConnectionPool,
    APNsProductionClientProtocol,
    JWTAuthorizationHeaderProvider,
)
from aioapns.exceptions import ConnectionClosed, MaxAttemptsExceeded
from h2.exceptions import H2Error

from core.notifications.credential_files import ApnsKey
from core.notifications.messages import Message
from core.notifications.outcomes import DELIVERED, Fate, Outcome, cleaned

SEND_SECONDS = 8
DEVICE_TOKEN = re.compile(r"[0-9a-fA-F]{8,200}", re.ASCII)
# Apple's reasons that are not about one message (https://developer.apple.com/documentation/usernotifications).
FATES = {
    "Unregistered": Fate.UNREGISTERED,
    "ExpiredToken": Fate.UNREGISTERED,
    "BadDeviceToken": Fate.UNREGISTERED,
    "DeviceTokenNotForTopic": Fate.UNREGISTERED,
    "BadTopic": Fate.CREDENTIALS,
    "MissingTopic": Fate.CREDENTIALS,
    "TopicDisallowed": Fate.CREDENTIALS,
}
FATES_BY_STATUS = {
    "403": Fate.CREDENTIALS,
    "410": Fate.UNREGISTERED,
    "429": Fate.QUOTA,
    "500": Fate.UNREACHABLE,
    "503": Fate.UNREACHABLE,
}


@dataclass(frozen=True)
class Gateway:
    """A server to use in place of Apple's, and the certificates to verify it with."""

    host: str
    port: int
    tls: ssl.SSLContext


class ApnsSender:
    """Sends pushes with one key."""

    def __init__(self, key: ApnsKey, gateway: Gateway | None = None) -> None:
        self._key = key
        self._gateway = gateway

    def send(self, token: str, message: Message) -> Outcome:
        """Sends one message to one device token (hex), once. Raises nothing: failures are returned as outcomes."""
        if not DEVICE_TOKEN.fullmatch(token):
            return Outcome(Fate.UNREGISTERED, "BadDeviceToken")
        try:
            with ThreadPoolExecutor(1) as own:  # a caller may be inside an event loop, as flows are
                return own.submit(self._run, token, message).result()
        except (TimeoutError, MaxAttemptsExceeded, ConnectionClosed, OSError, H2Error):
            return Outcome(Fate.UNREACHABLE, "The push service does not answer.")

    def _run(self, token: str, message: Message) -> Outcome:
        return asyncio.run(asyncio.wait_for(self._send(token, message), SEND_SECONDS))

    async def _send(self, token: str, message: Message) -> Outcome:
        request = NotificationRequest(token, _payload(message), push_type=PushType.ALERT, priority=int(PRIORITY_HIGH))
        pool = _Pool(self._key, self._gateway)
        try:
            answer = await pool.send_notification(request)
        finally:
            pool.close()
        if answer.is_successful:
            return DELIVERED
        reason = answer.description or f"status {answer.status}"
        fate = FATES.get(reason) or FATES_BY_STATUS.get(answer.status, Fate.FAILED)
        return Outcome(fate, cleaned(reason, token))


def _payload(message: Message) -> dict[str, Any]:
    """The payload as Firebase would build it: the data at top level beside `aps` (NOTIF-34)."""
    alert = {"title": message.title, "body": message.body}
    return {**message.data, "aps": {"alert": alert, "sound": "default"}}


class _Pool(APNsKeyConnectionPool):
    """aioapns' pool with one authorization for all connections: Apple refuses a key that signs new ones too often."""

    def __init__(self, key: ApnsKey, gateway: Gateway | None) -> None:
        super().__init__(
            key=key.key,
            key_id=key.key_id,
            team_id=key.team_id,
            topic=key.topic,
            use_sandbox=key.is_sandbox,
            max_connection_attempts=1,
            ssl_context=gateway.tls if gateway else None,
        )
        self._authorization = _authorization(key)
        if gateway:
            place = {"APNS_SERVER": gateway.host, "APNS_PORT": gateway.port}
            self.protocol_class = type("GatewayProtocol", (APNsProductionClientProtocol,), place)

    async def create_connection(self) -> APNsBaseClientProtocol:
        discard: Any = self.discard_connection  # which aioapns declares as something that never returns
        protocol = partial(self.protocol_class, self.apns_topic or "", self.loop, discard, self._authorization)
        return await self._create_connection(protocol)


@lru_cache(maxsize=4)
def _authorization(key: ApnsKey) -> JWTAuthorizationHeaderProvider:
    return JWTAuthorizationHeaderProvider(key.key, key.key_id, key.team_id)
