"""Secrets in the database (MODEL-65), sealed with a key derived from the server's secret."""

import base64
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = "v1"
NONCE_BYTES = 12


class SecretUnreadable(Exception):
    """A sealed value does not open: the server's secret has changed, or the row was altered or moved."""


def seal_secret(text: str, *, server_secret: str, purpose: str) -> str:
    """Seals `text` as `v1.<url-safe base64>`. It is bound to `purpose` (table and column) and opens only with it."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = _cipher(server_secret).encrypt(nonce, text.encode(), purpose.encode())
    return f"{VERSION}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"


def open_secret(sealed: str, *, server_secret: str, purpose: str) -> str:
    """The text that was sealed. Raises SecretUnreadable."""
    version, _, encoded = sealed.partition(".")
    if version != VERSION:
        raise SecretUnreadable(f"{purpose} is sealed in the unknown version {version[:8]!r}")
    try:
        data = base64.urlsafe_b64decode(encoded)
        return _cipher(server_secret).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], purpose.encode()).decode()
    except (InvalidTag, ValueError):
        raise SecretUnreadable(f"{purpose} does not open with this server's FLASK_SECRET_KEY") from None


@lru_cache(maxsize=4)
def _cipher(server_secret: str) -> AESGCM:
    hkdf = HKDF(SHA256(), 32, salt=None, info=b"beiwe secrets in the database v1")
    return AESGCM(hkdf.derive(server_secret.encode()))
