"""Apple's push service, as far as a server with a token key meets it: HTTP/2 over TLS, `POST /3/device/<token>`."""

import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, RequestReceived, StreamEnded
from h2.settings import SettingCodes

from core.notifications.senders.apns_connection import Gateway

KEY = ec.generate_private_key(ec.SECP256R1())
MANY_STREAMS = 1_000
KEY_ID, TEAM_ID, TOPIC = "ABC1234567", "TEAM123456", "org.example.app"


@dataclass
class FakeApple:
    """A running fake. `pushes` are those it took; `refusals` (status, reason) come first, then successes."""

    gateway: Gateway
    topic: str = TOPIC
    pushes: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    refusals: list[tuple[int, str]] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    by_token: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Refusals of messages for these tokens, each time; after one, a connection allows one stream until a success."""
    goodbye_after: set[int] = field(default_factory=set)
    """After so many requests in all, the connection says goodbye and looks at no later one."""
    refused_streams: set[int] = field(default_factory=set)
    """Requests, by number, whose stream is refused."""
    unanswered: set[int] = field(default_factory=set)
    """Requests, by number, that are taken and never answered."""
    seconds: float = 0.0
    """How long each answer takes; they come one after the other."""
    answering: int = 0
    requests: int = 0
    connections: int = 0
    most_at_once: int = 0
    """The most streams that were open on one connection while it allowed one only."""

    @property
    def url(self) -> str:
        """The address as the setting APNS_URL takes it."""
        return f"http{'s' if self.gateway.tls else ''}://{self.gateway.host}:{self.gateway.port}"

    @property
    def key_file(self) -> dict[str, Any]:
        """The credential with which this server is sent to."""
        pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return {"key": pem, "key_id": KEY_ID, "team_id": TEAM_ID, "topic": self.topic, "is_sandbox": False}

    @property
    def is_busy(self) -> bool:
        """Whether requests that it got are not answered yet."""
        return self.answering > 0

    def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        token = headers["authorization"].removeprefix("bearer ")
        try:
            claims = jwt.decode(token, KEY.public_key(), algorithms=["ES256"])
            is_ours = jwt.get_unverified_header(token)["kid"] == KEY_ID and claims["iss"] == TEAM_ID
        except jwt.PyJWTError:
            is_ours = False
        if not is_ours:
            return 403, "InvalidProviderToken"
        if headers["apns-topic"] != self.topic:
            return 400, "DeviceTokenNotForTopic"
        self.authorizations.add(token)
        device = headers[":path"].rsplit("/", 1)[-1]
        if device in self.by_token:
            return self.by_token[device]
        if self.refusals:
            return self.refusals.pop(0)
        self.pushes.append((headers[":path"], headers, json.loads(body)))
        return 200, ""


@contextmanager
def running_apple(folder: Path | None = None, port: int = 0) -> Iterator[FakeApple]:
    """Serves until the block is left, at this port or a free one.

    Its certificate is kept in the folder; without one it speaks in clear.
    """
    server_tls, client_tls = _both_tls(folder) if folder else (None, None)
    listening = socket.create_server(("127.0.0.1", port))
    fake = FakeApple(Gateway("127.0.0.1", listening.getsockname()[1], client_tls))

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            Thread(target=_serve, args=(fake, server_tls, connection), daemon=True).start()

    Thread(target=accept, daemon=True).start()
    yield fake
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def _both_tls(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's TLS and a client's that trusts it."""
    certificate = _certificate(folder)
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_tls.load_cert_chain(certificate)
    return server_tls, ssl.create_default_context(cafile=str(certificate))


def _serve(fake: FakeApple, tls: ssl.SSLContext | None, plain: socket.socket) -> None:
    try:
        with tls.wrap_socket(plain, server_side=True) if tls else plain as connection:
            _speak(fake, connection)
    except OSError:  # the other side hung up
        plain.close()
    finally:
        fake.answering = 0


def _speak(fake: FakeApple, connection: socket.socket) -> None:
    fake.connections += 1
    http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    http.initiate_connection()
    http.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: MANY_STREAMS})
    connection.sendall(http.data_to_send())
    requests: dict[int, tuple[dict[str, str], bytearray]] = {}
    is_limited = False
    while data := connection.recv(65_536):
        ended = []
        for event in http.receive_data(data):
            if isinstance(event, RequestReceived):
                headers = {str(name): str(value) for name, value in event.headers}
                requests[event.stream_id] = headers, bytearray()
            elif isinstance(event, DataReceived):
                requests[event.stream_id][1].extend(event.data)
                http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                ended.append(event.stream_id)
            elif isinstance(event, ConnectionTerminated):
                return
        if is_limited:
            fake.most_at_once = max(fake.most_at_once, len(ended))
        fake.answering = len(ended)
        for stream in ended:
            headers, body = requests.pop(stream)
            fake.requests += 1
            if fake.seconds:
                with suppress(OSError):  # a sender that was killed: Apple has its messages all the same
                    connection.sendall(http.data_to_send())
                time.sleep(fake.seconds)
            if fake.requests in fake.refused_streams:
                http.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
                continue
            status, reason = fake.answer(headers, bytes(body))
            if fake.requests in fake.unanswered:
                continue
            shown = [(":status", str(status)), ("apns-id", headers["apns-id"])]
            http.send_headers(stream, shown, end_stream=not reason)
            if reason:
                http.send_data(stream, json.dumps({"reason": reason}).encode(), end_stream=True)
            if is_limited is not (status == 410):
                is_limited = status == 410
                allowed = 1 if is_limited else MANY_STREAMS
                http.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: allowed})
            if fake.requests in fake.goodbye_after:
                http.close_connection(last_stream_id=stream)
                connection.sendall(http.data_to_send())
                while connection.recv(65_536):  # a reset of the connection would overtake the goodbye
                    pass
                return
        fake.answering = 0
        connection.sendall(http.data_to_send())


def _certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = folder / "apple.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + built.public_bytes(Encoding.PEM)
    )
    return path
