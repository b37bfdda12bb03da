"""Reads and checks uploaded files with push credentials (NOTIF-33, NOTIF-34)."""

import json
import plistlib
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from math import isfinite
from typing import Any
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from core.config import LOCAL_HOSTS
from core.models import CredentialKind

MOST_BYTES = 256 << 10
SERVICE_ACCOUNT_FIELDS = ("project_id", "client_email", "private_key", "token_uri")
REQUIRED_IN_PLIST = ("GOOGLE_APP_ID", "GCM_SENDER_ID", "API_KEY", "PROJECT_ID", "BUNDLE_ID")
OPTIONAL_IN_PLIST = ("CLIENT_ID", "DATABASE_URL", "STORAGE_BUCKET")
APPLE_ID = re.compile(r"[A-Z0-9]{10}")
TOPIC = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


class CredentialRefused(ValueError):
    """The file is not a valid credential. The message says why, and quotes nothing from the file."""


@dataclass(frozen=True, repr=False)
class ApnsKey:
    """A key for sending by Apple directly: a .p8 key as PEM text, its id, the team, the app's bundle id (NOTIF-34)."""

    key: str
    key_id: str
    team_id: str
    topic: str
    is_sandbox: bool = False

    def contents(self) -> str:
        """The key as the JSON text that is stored."""
        return json.dumps(asdict(self))


def checked_contents(kind: CredentialKind, data: bytes) -> str:
    """The text to store for an uploaded file of this kind. Raises CredentialRefused."""
    if len(data) > MOST_BYTES:
        raise CredentialRefused(f"The file is larger than {MOST_BYTES >> 10} KiB, which no such file is.")
    return _CHECKS[kind](data)


def phone_plist(contents: str) -> dict[str, Any] | None:
    """The plist as an object for iOS phones, or None unless it holds all that the app's Firebase needs (PHONE-37).

    The app crashes on malformed values, but works without the object.
    """
    plist = plistlib.loads(contents.encode())
    if not all(isinstance(plist.get(name), str) and plist[name].strip() for name in REQUIRED_IN_PLIST):
        return None
    if not all(isinstance(plist.get(name, ""), str) for name in OPTIONAL_IN_PLIST):
        return None
    return {name: _json_safe(value) for name, value in plist.items()}


def _json_safe(value: Any) -> Any:
    """A value of a plist as JSON can hold it: bytes as base64, dates in ISO form, no infinite numbers."""
    if isinstance(value, dict):
        return {name: _json_safe(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_json_safe(inner) for inner in value]
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


def _service_account(data: bytes) -> str:
    account = _json_object(data)
    if "project_info" in account:
        raise CredentialRefused("This is the Android app's google-services file, not a service account.")
    missing = [name for name in SERVICE_ACCOUNT_FIELDS if not _is_text(account.get(name))]
    if account.get("type") != "service_account" or missing:
        raise CredentialRefused(
            f"This is not a service account: {_listed(missing) or 'its type is another'}. Take the JSON file that"
            " Firebase makes under Project settings, Service accounts."
        )
    address = urlsplit(account["token_uri"])
    if address.scheme != "https" and (address.scheme != "http" or address.hostname not in LOCAL_HOSTS):
        raise CredentialRefused("Its token_uri is not an https address.")
    if not isinstance(_private_key(account["private_key"]), RSAPrivateKey):
        raise CredentialRefused("Its private_key is not an RSA key.")
    return json.dumps(account)


def _android_file(data: bytes) -> str:
    services = _json_object(data)
    project = services.get("project_info")
    if not isinstance(project, dict) or not _is_text(project.get("project_id")):
        raise CredentialRefused(
            "There is no project_info with a project_id in it. Take the google-services.json file that Firebase makes"
            " for the Android app."
        )
    return json.dumps(services)


def _ios_file(data: bytes) -> str:
    try:
        plist = plistlib.loads(data)
        if not isinstance(plist, dict) or not _is_text(plist.get("API_KEY")):
            raise CredentialRefused(
                "There is no API_KEY in it. Take the GoogleService-Info.plist file that Firebase makes for the iOS app."
            )
        return plistlib.dumps(plist).decode()
    except CredentialRefused:
        raise
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError, ExpatError, RecursionError):
        raise CredentialRefused("This is not a property list, or a broken one.") from None


def _apns_key(data: bytes) -> str:
    try:
        apns = ApnsKey(**_json_object(data))
    except TypeError:
        raise CredentialRefused("An APNs key comes with key, key_id, team_id, topic and is_sandbox.") from None
    texts = (apns.key, apns.key_id, apns.team_id, apns.topic)
    if not all(isinstance(text, str) for text in texts) or not isinstance(apns.is_sandbox, bool):
        raise CredentialRefused("An APNs key comes with four texts, and is_sandbox as true or false.")
    for name, text in (("key id", apns.key_id), ("team id", apns.team_id)):
        if not APPLE_ID.fullmatch(text):
            raise CredentialRefused(f"The {name} is not ten capital letters and digits.")
    if not TOPIC.fullmatch(apns.topic):
        raise CredentialRefused("The topic is not a bundle id such as org.example.app.")
    key = _private_key(apns.key)
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise CredentialRefused("The key is not one of Apple's .p8 keys.")
    return apns.contents()


_CHECKS: dict[CredentialKind, Callable[[bytes], str]] = {
    CredentialKind.BACKEND: _service_account,
    CredentialKind.ANDROID: _android_file,
    CredentialKind.IOS: _ios_file,
    CredentialKind.APNS: _apns_key,
}


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data.decode("utf-8-sig"))
        json.dumps(value, allow_nan=False)  # phones are sent it as JSON, which knows no NaN
    except (ValueError, RecursionError):
        raise CredentialRefused("This is not a JSON file, or a broken one.") from None
    if not isinstance(value, dict):
        raise CredentialRefused("This JSON file holds no object.")
    return value


def _private_key(pem: str) -> object:
    try:
        return load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CredentialRefused("Its private key cannot be read: it is cut, altered, or has a password.") from None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _listed(missing: list[str]) -> str:
    return f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing" if missing else ""
