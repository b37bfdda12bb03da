"""The push services of `make demo`: stand-ins of Firebase and Apple on this machine, and credentials that they take.

The stand-ins are those of the tests. They record nothing that lasts, and no message leaves the machine. A token that
begins with `uninstalled` is unknown to them, one that begins with `another-project` belongs to another sender.
"""

import json
import signal
from datetime import UTC, datetime
from threading import Event
from urllib.parse import urlsplit

from core.audit import SERVER
from core.config import get_settings
from core.database import open_session
from core.models import CredentialKind
from core.notifications.credentials import apns_key, service_account, store_credential
from ops.demo_past import OF_ANOTHER, UNINSTALLED
from tests.support.fakes.apple import running_apple
from tests.support.fakes.google import UNREGISTERED, Answer, FakeGoogle, fcm_error, running_google

NAME = "stand-in-of-this-demo"
TOPIC = "org.example.stand-in-of-this-demo"
MISMATCH = fcm_error(403, "PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH")
SECONDS_EACH = 0.05


def main() -> None:
    """Serves at the addresses of the settings until it is stopped."""
    settings, stopping = get_settings(), Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    fcm_port, apns_port = urlsplit(settings.fcm_url).port, urlsplit(settings.apns_url or "").port
    with running_google(fcm_port or 0) as google, running_apple(port=apns_port or 0) as apple:
        google.project, google.seconds, google.token_form = NAME, SECONDS_EACH, r"\S+"
        google.answer_to = answer_to
        apple.topic = TOPIC
        store(google, apple.key_file)
        while not stopping.wait(60):
            google.messages.clear()
            apple.pushes.clear()


def store(google: FakeGoogle, apns: dict[str, object]) -> None:
    """Stores the stand-ins' credentials, unless somebody has put others in their place.

    Their keys are made anew with each start.
    """
    now = datetime.now(UTC)
    with open_session() as session:
        account, key = service_account(session), apns_key(session)
        if account is None or account["project_id"] == NAME:
            contents = json.dumps(google.service_account).encode()
            store_credential(session, CredentialKind.BACKEND, contents, now, actor=SERVER)
        if key is None or key.topic == TOPIC:
            store_credential(session, CredentialKind.APNS, json.dumps(apns).encode(), now, actor=SERVER)
        session.commit()


def answer_to(token: str) -> Answer | None:
    """The refusal of a message for this token; None where it is taken."""
    if token.startswith(UNINSTALLED):
        return UNREGISTERED
    return MISMATCH if token.startswith(OF_ANOTHER) else None


if __name__ == "__main__":
    main()
