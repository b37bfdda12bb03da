"""Sending by Firebase Cloud Messaging, through pyfcm (NOTIF-31, NOTIF-41, NOTIF-42, NOTIF-43).

pyfcm itself sleeps for every Retry-After, tries 502 and 503 ten times, and maps all answers of one status to one
exception. Here a send is one request, and Google's answer determines the outcome.
"""

import json
from dataclasses import replace
from threading import Lock
from typing import Any

import google.auth.transport.requests
import requests
from google.auth.exceptions import GoogleAuthError, MalformedError, RefreshError, TransportError
from google.oauth2 import service_account
from pyfcm import FCMNotification
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from core.notifications.messages import Message
from core.notifications.outcomes import DELIVERED, Fate, Outcome, cleaned, retry_after
from core.streams import Platform

SCOPES = ["https://www.googleapis.com/auth/firebase.messaging"]
CONNECT_SECONDS, READ_SECONDS = 2, 3
AT_ONCE = 16
MOST_CHARACTERS_READ = 10_000
SILENCE = "The push service does not answer."
CREDENTIALS_PROBLEM = "The push service does not accept this server's credentials"
# The FCM v1 error codes that concern more than one message.
FATES = {
    "UNREGISTERED": Fate.UNREGISTERED,
    "QUOTA_EXCEEDED": Fate.QUOTA,
    "THIRD_PARTY_AUTH_ERROR": Fate.CREDENTIALS,
    "UNAUTHENTICATED": Fate.CREDENTIALS,
    "PERMISSION_DENIED": Fate.CREDENTIALS,
    "NOT_FOUND": Fate.CREDENTIALS,
    "UNAVAILABLE": Fate.UNREACHABLE,
    "INTERNAL": Fate.UNREACHABLE,
}


class FcmSender:
    """Sends with one service account. Threads may share a sender, and share its access token."""

    def __init__(self, account: dict[str, Any], fcm_url: str) -> None:
        """`account` is the service account's JSON; access tokens are requested at its `token_uri`."""
        self._account = account
        self._fcm_url = fcm_url
        self._client: _Client | None = None
        self._making = Lock()

    def send(self, token: str, message: Message) -> Outcome:
        """Sends one message to one token, once. Raises nothing: failures are returned as outcomes."""
        try:
            with self._making:
                if self._client is None:
                    self._client = _Client(self._account, self._fcm_url)
            outcome: Outcome = self._client.notify(
                fcm_token=token, **_arguments(message), timeout=(CONNECT_SECONDS, READ_SECONDS)
            )
        except TransportError:
            return Outcome(Fate.UNREACHABLE, SILENCE)
        except (requests.Timeout, requests.ConnectionError) as error:
            return Outcome(Fate.UNREACHABLE, SILENCE, is_unknown=not _was_never_connected(error))
        except RefreshError as error:
            fate = Fate.UNREACHABLE if error.retryable else Fate.CREDENTIALS
            said = cleaned(str(error.args[0]) if error.args else "", token, self._account["private_key"])
            return Outcome(fate, f"{CREDENTIALS_PROBLEM}: {said}" if fate is Fate.CREDENTIALS else said or SILENCE)
        except (GoogleAuthError, MalformedError, KeyError):
            return Outcome(Fate.CREDENTIALS, f"{CREDENTIALS_PROBLEM}.")
        except (requests.RequestException, ValueError, TypeError):
            return Outcome(Fate.UNREACHABLE, "The push service answered something unreadable.")
        return replace(outcome, reason=cleaned(outcome.reason, token))


def _arguments(message: Message) -> dict[str, Any]:
    """Arguments for pyfcm: Android gets high-priority data, iOS a visible notification with data (NOTIF-31)."""
    if message.platform is Platform.ANDROID:
        android: dict[str, Any] = {"priority": "high", "data": dict(message.data)}
        if message.seconds_to_live is not None:
            android["ttl"] = f"{message.seconds_to_live}s"
        if message.collapse_key:
            android["collapse_key"] = message.collapse_key
        return {"android_config": android}
    shown = {"notification_title": message.title, "notification_body": message.body}
    headers = {}
    if message.expires_at is not None:
        headers["apns-expiration"] = str(int(message.expires_at.timestamp()))
    if message.collapse_key:
        headers["apns-collapse-id"] = message.collapse_key
    return {"data_payload": dict(message.data), **shown} | ({"apns_config": {"headers": headers}} if headers else {})


def _was_never_connected(error: Exception) -> bool:
    """Whether no connection came about, so that the service has not got the message."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError | ConnectTimeoutError)


class _Client(FCMNotification):  # type: ignore[misc]
    """pyfcm without its retries and sleeps; the outcome is made from Google's whole answer."""

    def __init__(self, account: dict[str, Any], fcm_url: str) -> None:
        credentials = service_account.Credentials.from_service_account_info(account, scopes=SCOPES)  # type: ignore[no-untyped-call]
        super().__init__(credentials=credentials, adapter=HTTPAdapter(pool_maxsize=AT_ONCE, max_retries=0))
        self.FCM_END_POINT_BASE = f"{fcm_url.rstrip('/')}/v1/projects"
        self._refreshing = Lock()

    def parse_payload(self, **arguments: Any) -> bytes:
        """pyfcm's payload, without the empty notification that it adds to messages that have none."""
        payload = json.loads(super().parse_payload(**arguments))
        if not payload["message"].get("notification"):
            payload["message"].pop("notification", None)
        return json.dumps(payload).encode()

    def send_request(self, payload: bytes | None = None, timeout: tuple[float, float] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self._get_access_token()}"}
        return self.requests_session.post(
            self.fcm_end_point, data=payload, headers=headers, timeout=timeout, allow_redirects=False
        )

    def _get_access_token(self) -> str:
        with self._refreshing:
            if not self.credentials.valid:
                self.credentials.refresh(_short_request())
            return str(self.credentials.token)

    def parse_response(self, response: requests.Response) -> Outcome:
        if response.status_code == 401 and "errorCode" not in response.text:  # Google has withdrawn the access token
            self.credentials.token = None
        try:
            answer = response.json()
            return DELIVERED if response.status_code == 200 and answer["name"] else _refusal(response, answer["error"])
        except (ValueError, LookupError, TypeError, AttributeError):  # an answer that is not FCM's
            said = response.text[:MOST_CHARACTERS_READ] or f"status {response.status_code}"
            return Outcome(Fate.UNREACHABLE, said, retry_after(response.headers.get("Retry-After")))


def _short_request() -> Any:
    """Google's transport with our time-outs instead of its two minutes."""
    transport = google.auth.transport.requests.Request()

    def request(**arguments: Any) -> Any:
        return transport(**{**arguments, "timeout": (CONNECT_SECONDS, READ_SECONDS)})

    return request


def _refusal(response: requests.Response, error: dict[str, Any]) -> Outcome:
    """The outcome of an error, by FCM's own code where it gives one, else by Google's general status."""
    own = [detail["errorCode"] for detail in error.get("details", []) if "errorCode" in detail]
    code = (own or [error["status"]])[0]
    fate = Fate.QUOTA if response.status_code == 429 else FATES.get(code, Fate.FAILED)
    return Outcome(fate, f"{code}: {error['message']}", retry_after(response.headers.get("Retry-After")))
