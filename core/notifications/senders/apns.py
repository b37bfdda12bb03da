"""Sending by Apple directly, for a deployment's own iOS build, through aioapns (NOTIF-34, NOTIF-41)."""

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aioapns.common import PRIORITY_HIGH, NotificationRequest, PushType
from aioapns.exceptions import ConnectionClosed
from h2.exceptions import H2Error

from core.notifications.credential_files import ApnsKey
from core.notifications.messages import Message
from core.notifications.outcomes import DELIVERED, Fate, Outcome, cleaned
from core.notifications.senders.apns_connection import Gateway, NotTaken, Pool

SEND_SECONDS = 8
TRIES_IF_NOT_TAKEN = 3
DEVICE_TOKEN = re.compile(r"[0-9a-fA-F]{8,200}", re.ASCII)
NOT_HEX = Outcome(Fate.UNREGISTERED, "BadDeviceToken")
SILENCE = "The push service does not answer."
# Apple's reasons that are not about one message (https://developer.apple.com/documentation/usernotifications).
FATES = {
    "Unregistered": Fate.UNREGISTERED,
    "ExpiredToken": Fate.UNREGISTERED,
    "BadDeviceToken": Fate.UNREGISTERED,
    "DeviceTokenNotForTopic": Fate.UNREGISTERED,
    "BadTopic": Fate.CREDENTIALS,
    "MissingTopic": Fate.CREDENTIALS,
    "TopicDisallowed": Fate.CREDENTIALS,
    "TooManyRequests": Fate.FAILED,
}
FATES_BY_STATUS = {
    "403": Fate.CREDENTIALS,
    "410": Fate.UNREGISTERED,
    "429": Fate.QUOTA,
    "500": Fate.UNREACHABLE,
    "503": Fate.UNREACHABLE,
}


class ApnsSender:
    """Sends single pushes with one key."""

    def __init__(self, key: ApnsKey, gateway: Gateway | None = None) -> None:
        self._key = key
        self._gateway = gateway

    def send(self, token: str, message: Message) -> Outcome:
        """Sends one message to one device token (hex), once. Raises nothing: failures are returned as outcomes."""
        if not DEVICE_TOKEN.fullmatch(token):
            return NOT_HEX
        with ThreadPoolExecutor(1) as own:  # a caller may be inside an event loop, as flows are
            return own.submit(asyncio.run, self._send(token, message)).result()

    async def _send(self, token: str, message: Message) -> Outcome:
        pool = Pool(self._key, self._gateway)
        try:
            return await send_by(pool, token, message)
        finally:
            pool.close()


async def send_by(pool: Pool, token: str, message: Message) -> Outcome:
    """Sends one message over a connection of the pool, once. Raises nothing: failures are returned as outcomes.

    It is sent again only if Apple has said that it did not take it.
    """
    for _ in range(TRIES_IF_NOT_TAKEN):
        request = NotificationRequest(
            token,
            _payload(message),
            push_type=PushType.ALERT,
            priority=int(PRIORITY_HIGH),
            time_to_live=message.seconds_to_live,
            collapse_key=message.collapse_key,
        )
        try:
            size_bytes = len(json.dumps(request.message, ensure_ascii=False).encode())
            connection = await asyncio.wait_for(pool.connection(size_bytes), SEND_SECONDS)
        except (TimeoutError, OSError, H2Error):
            return Outcome(Fate.UNREACHABLE, SILENCE)
        try:
            answer = await asyncio.wait_for(connection.send_notification(request), SEND_SECONDS)
        except NotTaken:
            continue
        except (ConnectionClosed, OSError, H2Error) as error:
            if connection.has_sent(request.notification_id) or isinstance(error, TimeoutError):
                is_unknown = connection.has_sent(request.notification_id)
                return Outcome(Fate.UNREACHABLE, SILENCE, is_unknown=is_unknown)
            continue
        if answer.is_successful:
            return DELIVERED
        reason = answer.description or f"status {answer.status}"
        fate = FATES.get(reason) or FATES_BY_STATUS.get(answer.status, Fate.FAILED)
        return Outcome(fate, cleaned(reason, token))
    return Outcome(Fate.UNREACHABLE, SILENCE)


def _payload(message: Message) -> dict[str, Any]:
    """The payload as Firebase would build it: the data at top level beside `aps` (NOTIF-34)."""
    alert = {"title": message.title, "body": message.body}
    return {**message.data, "aps": {"alert": alert, "sound": "default"}}
