"""Password hashes in the platform's form, `<algorithm>$<iterations>$<hash>$<salt>` (MODEL-60 to MODEL-62)."""

import base64
import hashlib
import hmac
import os
import secrets

ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz123456789"
DIGEST_BYTES = {"sha1": 32, "sha256": 32, "sha512": 64}
RESEARCHER_SCHEME = ("sha256", 310_000)
PARTICIPANT_SCHEME = ("sha1", 1_000)
# Matches no password. Comparing with it takes as long as with a real hash, so that answers do not tell (PORTAL-23).
NO_PASSWORD = "$".join((RESEARCHER_SCHEME[0], str(RESEARCHER_SCHEME[1]), "A" * 43 + "=", "A" * 22 + "=="))


def device_hash(password: str) -> str:
    """The hash that an app sends as its password: url-safe base64 of SHA-256, 44 characters (PHONE-26)."""
    return base64.urlsafe_b64encode(hashlib.sha256(password.encode()).digest()).decode()


def hash_password(password: str, scheme: tuple[str, int] = RESEARCHER_SCHEME) -> str:
    """A new hash of a researcher's password or an API key's secret (MODEL-60, MODEL-62)."""
    return _encode(password.encode(), *scheme, salt=base64.urlsafe_b64encode(os.urandom(16)).decode())


def hash_participant_password(password: str) -> str:
    """A new hash of the device hash of a participant's plain password (MODEL-61)."""
    return hash_device_hash(device_hash(password))


def hash_device_hash(received: str) -> str:
    """A new hash of the `password` field as a phone sent it (PHONE-28)."""
    return hash_password(received, PARTICIPANT_SCHEME)


def verify_password(password: str, stored: str) -> bool:
    """True when `password`, as received, matches the stored hash, whatever its parameters. Never raises."""
    parts = stored.split("$")
    if len(parts) != 4 or parts[0] not in DIGEST_BYTES or not parts[1].isdecimal() or int(parts[1]) < 1:
        return False
    algorithm, iterations, _, salt = parts
    return hmac.compare_digest(_encode(password.encode(), algorithm, int(iterations), salt).encode(), stored.encode())


def is_weak_for_participant(stored: str) -> bool:
    """Whether a verified hash has fewer iterations than new ones, and must be replaced (PHONE-29)."""
    return int(stored.split("$")[1]) < PARTICIPANT_SCHEME[1]


def new_identifier(length: int = 8) -> str:
    """A patient id or temporary password: characters of a-z and 1-9 from the system's generator (PHONE-30)."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(length))


def _encode(password: bytes, algorithm: str, iterations: int, salt: str) -> str:
    derived = hashlib.pbkdf2_hmac(algorithm, password, salt.encode(), iterations, DIGEST_BYTES[algorithm])
    return f"{algorithm}${iterations}${base64.urlsafe_b64encode(derived).decode()}${salt}"
