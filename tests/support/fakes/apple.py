"""Apple's push service, as far as a server with a token key meets it: HTTP/2 over TLS, `POST /3/device/<token>`."""

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
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
from h2.events import ConnectionTerminated, DataReceived, RequestReceived, StreamEnded

from core.notifications.senders.apns_connection import Gateway

KEY = ec.generate_private_key(ec.SECP256R1())
KEY_ID, TEAM_ID, TOPIC = "ABC1234567", "TEAM123456", "org.example.app"


@dataclass
class FakeApple:
    """A running fake. `pushes` are those it took; `refusals` (status, reason) come first, then successes."""

    gateway: Gateway
    pushes: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    refusals: list[tuple[int, str]] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)

    def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        token = headers["authorization"].removeprefix("bearer ")
        try:
            claims = jwt.decode(token, KEY.public_key(), algorithms=["ES256"])
            is_ours = jwt.get_unverified_header(token)["kid"] == KEY_ID and claims["iss"] == TEAM_ID
        except jwt.PyJWTError:
            is_ours = False
        if not is_ours:
            return 403, "InvalidProviderToken"
        if headers["apns-topic"] != TOPIC:
            return 400, "DeviceTokenNotForTopic"
        self.authorizations.add(token)
        if self.refusals:
            return self.refusals.pop(0)
        self.pushes.append((headers[":path"], headers, json.loads(body)))
        return 200, ""


@contextmanager
def running_apple(folder: Path) -> Iterator[FakeApple]:
    """Serves until the block is left; its certificate is kept in the folder."""
    certificate = _certificate(folder)
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_tls.load_cert_chain(certificate)
    listening = socket.create_server(("127.0.0.1", 0))
    client_tls = ssl.create_default_context(cafile=str(certificate))
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


def _serve(fake: FakeApple, tls: ssl.SSLContext, plain: socket.socket) -> None:
    try:
        with tls.wrap_socket(plain, server_side=True) as connection:
            _speak(fake, connection)
    except OSError:  # the other side hung up
        plain.close()


def _speak(fake: FakeApple, connection: ssl.SSLSocket) -> None:
    http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    http.initiate_connection()
    connection.sendall(http.data_to_send())
    requests: dict[int, tuple[dict[str, str], bytearray]] = {}
    while data := connection.recv(65_536):
        for event in http.receive_data(data):
            if isinstance(event, RequestReceived):
                requests[event.stream_id] = dict(event.headers), bytearray()
            elif isinstance(event, DataReceived):
                requests[event.stream_id][1].extend(event.data)
            elif isinstance(event, StreamEnded):
                headers, body = requests.pop(event.stream_id)
                status, reason = fake.answer(headers, bytes(body))
                shown = [(":status", str(status)), ("apns-id", headers["apns-id"])]
                http.send_headers(event.stream_id, shown, end_stream=not reason)
                if reason:
                    http.send_data(event.stream_id, json.dumps({"reason": reason}).encode(), end_stream=True)
            elif isinstance(event, ConnectionTerminated):
                return
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
