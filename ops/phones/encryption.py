"""The device file format, written as the apps write it (PHONE-95 to PHONE-101)."""

import base64
import os
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ops.phones.platforms import Platform

BLOCK_BYTES = 16


class NotAnRsaKey(ValueError):
    """The public key is not an RSA key, so no app can use it."""


@dataclass(frozen=True)
class PublicKey:
    """An RSA public key as two integers, for raw RSA."""

    modulus: int
    exponent: int


def read_public_key(client_public_key: str) -> PublicKey:
    """The participant's key from the text that the server sends at registration (PHONE-92).

    Raises ValueError for anything that is not the base64 of an RSA SubjectPublicKeyInfo; this crashes the iOS app.
    """
    key = load_der_public_key(base64.b64decode(client_public_key, validate=True))
    if not isinstance(key, RSAPublicKey):
        raise NotAnRsaKey("client_public_key is not an RSA key")
    numbers = key.public_numbers()
    return PublicKey(numbers.n, numbers.e)


def new_aes_key(platform: Platform) -> bytes:
    """Sixteen random bytes; Android's never start with 0x00 (PHONE-97)."""
    while True:
        key = os.urandom(16)
        if platform is Platform.IOS or key[0]:
            return key


def key_line(aes_key: bytes, public_key: PublicKey) -> bytes:
    """The first line of a file, without its line end: base64 of the raw RSA of the base64 of the key (PHONE-96, 97)."""
    message = int.from_bytes(base64.urlsafe_b64encode(aes_key), "big")
    return base64.urlsafe_b64encode(pow(message, public_key.exponent, public_key.modulus).to_bytes(256, "big"))


def data_line(record: bytes, aes_key: bytes, iv: bytes) -> bytes:
    """One record as `b64(IV):b64(AES-CBC(record))`, padded by PKCS#7, without a line end (PHONE-98)."""
    missing = BLOCK_BYTES - len(record) % BLOCK_BYTES
    encryptor = Cipher(algorithms.AES(aes_key), modes.CBC(iv)).encryptor()
    encrypted = encryptor.update(record + bytes([missing]) * missing) + encryptor.finalize()
    return base64.urlsafe_b64encode(iv) + b":" + base64.urlsafe_b64encode(encrypted)


def encrypt_text(records: Iterable[str], public_key: PublicKey, platform: Platform) -> bytes:
    """A text file: header and rows, one encrypted line each, every line ending in LF (PHONE-99)."""
    aes_key = new_aes_key(platform)
    encoded = [record.encode() for record in records]
    ivs = os.urandom(BLOCK_BYTES * len(encoded))
    lines = [key_line(aes_key, public_key)]
    for i, record in enumerate(encoded):
        lines.append(data_line(record, aes_key, ivs[i * BLOCK_BYTES : (i + 1) * BLOCK_BYTES]))
    lines.append(b"")
    return b"\n".join(lines)


def encrypt_recording(recording: bytes, public_key: PublicKey, platform: Platform) -> bytes:
    """A recording: key line and one data line, which ends in LF on Android only (PHONE-100)."""
    aes_key = new_aes_key(platform)
    end = b"\n" if platform is Platform.ANDROID else b""
    return key_line(aes_key, public_key) + b"\n" + data_line(recording, aes_key, os.urandom(BLOCK_BYTES)) + end


def encrypted_bytes(record_lengths: Iterable[int]) -> int:
    """The size in bytes of a text file whose records have the given lengths in bytes."""
    return 345 + sum(26 + 4 * -(-(n - n % BLOCK_BYTES + BLOCK_BYTES) // 3) for n in record_lengths)
