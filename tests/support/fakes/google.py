"""Google's token endpoint and Firebase Cloud Messaging v1, as far as a server that sends pushes meets them."""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

PROJECT = "beiwe-test"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
AUDIENCE = "https://oauth2.googleapis.com/token"  # whatever the account's token_uri is
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
# Fields of a message, and the types of their values, that FCM knows; any other is refused.
FIELDS: dict[str, type] = {"token": str, "data": dict, "notification": dict, "android": dict, "apns": dict}


@cache
def private_key() -> rsa.RSAPrivateKey:
    """The service account's key, made once for all tests."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class Answer:
    """An answer instead of a success."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


def fcm_error(status: int, name: str, message: str, own_code: str | None = None, **headers: str) -> Answer:
    """An error as FCM words it: Google's general status, and FCM's own code in the details."""
    details = [{"@type": FCM_ERROR, "errorCode": own_code}] if own_code else []
    error = {"code": status, "message": message, "status": name, "details": details}
    return Answer(status, json.dumps({"error": error}), {k.replace("_", "-"): v for k, v in headers.items()})


HANG_UP = Answer(0, "")
"""The connection ends without an answer."""
UNREGISTERED = fcm_error(404, "NOT_FOUND", "Requested entity was not found.", "UNREGISTERED")


@dataclass
class FakeGoogle:
    """A running fake. `messages` are those it took; `answers` come first, one for each send, then successes."""

    url: str = ""
    project: str = PROJECT
    token_form: str = r"[\w:-]+"
    """What tokens look like that it does not refuse as malformed."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    token_answers: list[Answer] = field(default_factory=list)
    access_tokens: set[str] = field(default_factory=set)
    token_requests: int = 0
    sends: int = 0
    is_silent: bool = False
    by_token: dict[str, Answer] = field(default_factory=dict)
    """Answers to messages for these tokens, each time."""
    answer_nth: Callable[[int], Answer | None] = lambda nth: None
    """An answer to the nth send in place of a success; the first is 1."""
    answer_to: Callable[[str], Any] = lambda token: None
    """An answer to a message for this token in place of a success."""
    hangs_up_after: set[int] = field(default_factory=set)
    """The sends, by number, that are taken, and whose connection then ends without an answer."""
    seconds: float = 0.0
    """How long each answer to a send takes."""
    answering: int = 0
    _counting: Lock = field(default_factory=Lock)
    stopping: Event = field(default_factory=Event)

    @property
    def service_account(self) -> dict[str, str]:
        """The service account file that Firebase would hand out, with this server as its token endpoint."""
        pem = private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        email = f"firebase-adminsdk@{self.project}.iam.gserviceaccount.com"
        return {
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": "0123456789",
            "client_id": "1",
            "private_key": pem.decode(),
            "client_email": email,
            "token_uri": f"{self.url}/token",
        }

    @property
    def is_busy(self) -> bool:
        """Whether a send is being answered."""
        return self.answering > 0

    def grant(self, body: str) -> Answer:
        """RFC 7523: the assertion must be signed by the account's key, for Google's endpoint, not expired."""
        self.token_requests += 1
        if self.token_answers:
            return self.token_answers.pop(0)
        form = {name: values[0] for name, values in parse_qs(body).items()}
        try:
            claims = jwt.decode(form["assertion"], private_key().public_key(), algorithms=["RS256"], audience=AUDIENCE)
        except (jwt.PyJWTError, KeyError):
            wrong = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
            return Answer(400, json.dumps(wrong))
        is_known = claims["iss"] == self.service_account["client_email"]
        if form["grant_type"] != GRANT or not is_known or claims["scope"] != SCOPE or claims["exp"] < time.time():
            return Answer(400, json.dumps({"error": "invalid_grant", "error_description": "Bad request."}))
        token = secrets.token_urlsafe()
        self.access_tokens.add(token)
        return Answer(200, json.dumps({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}))

    def send(self, path: str, authorization: str, body: str) -> Answer:
        """`POST /v1/projects/<project>/messages:send`."""
        with self._counting:
            self.sends += 1
            nth = self.sends
            self.answering += 1
        self.stopping.wait(self.seconds)
        try:
            return self._answer(nth, path, authorization, body)
        finally:
            with self._counting:
                self.answering -= 1

    def _answer(self, nth: int, path: str, authorization: str, body: str) -> Answer:
        if authorization.removeprefix("Bearer ") not in self.access_tokens:
            return fcm_error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if path != f"/v1/projects/{self.project}/messages:send":
            return fcm_error(403, "PERMISSION_DENIED", "Permission denied on resource project.")
        if self.answers:
            return self.answers.pop(0)
        if answer := self.answer_nth(nth):
            return answer
        message = json.loads(body)["message"]
        token = str(message.get("token", ""))
        if answer := self.by_token.get(token) or self.answer_to(token):
            return answer
        texts = [value for part in (message, message.get("android", {})) for value in part.get("data", {}).values()]
        known = all(name in FIELDS and isinstance(value, FIELDS[name]) for name, value in message.items())
        if not known or not all(isinstance(text, str) for text in texts):
            return fcm_error(400, "INVALID_ARGUMENT", "Invalid JSON payload received.", "INVALID_ARGUMENT")
        if not re.fullmatch(self.token_form, token):
            text = "The registration token is not a valid FCM registration token"
            return fcm_error(400, "INVALID_ARGUMENT", text, "INVALID_ARGUMENT")
        self.messages.append(message)
        if nth in self.hangs_up_after:
            return HANG_UP
        return Answer(200, json.dumps({"name": f"projects/{self.project}/messages/{secrets.token_hex(8)}"}))


class ManyConnections(ThreadingHTTPServer):
    """A server that many connections may reach at once."""

    request_queue_size = 128


@contextmanager
def running_google(port: int = 0) -> Iterator[FakeGoogle]:
    """Serves until the block is left, at this port or a free one."""
    fake = FakeGoogle()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length).decode()
            if len(body.encode()) < length:  # the sender was killed while it wrote
                self.close_connection = True
                return
            if fake.is_silent:
                fake.stopping.wait(30)
                self.close_connection = True
                return
            if self.path == "/token":
                answer = fake.grant(body)
            else:
                answer = fake.send(self.path, self.headers.get("Authorization", ""), body)
            if answer is HANG_UP:
                self.close_connection = True
                return
            data = answer.body.encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def handle(self) -> None:
            with suppress(ConnectionError):  # the sender was killed
                super().handle()

        def log_message(self, *args: Any) -> None:
            pass

    http = ManyConnections(("127.0.0.1", port), Handler)
    http.daemon_threads = True
    fake.url = f"http://127.0.0.1:{http.server_port}"
    thread = Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield fake
    fake.stopping.set()
    http.shutdown()
    http.server_close()
    thread.join(10)
