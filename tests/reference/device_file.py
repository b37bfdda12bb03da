"""A device file decrypted line by line, straight from PHONE-104 to PHONE-109."""

import base64
import binascii
import re

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import load_pem_private_key


class Refused(Exception):
    """`discard` or `aside`."""


def decrypt_file(data: bytes, private_pem: bytes) -> tuple[bytes, list[tuple[int, str]]]:
    """The plaintext, and (line, kind) of the lines left out; raises Refused."""
    lines = [line for line in data.split(b"\n") if line]
    if not lines:
        raise Refused("discard")
    aes_key = recover_key(lines[0], private_pem)
    results, errors = [], []
    for number, line in enumerate(lines[1:], start=1):
        try:
            results.append(decrypt_data_line(line, aes_key))
        except ValueError as error:
            errors.append((number, str(error)))
    return b"\n".join(results), errors


def recover_key(line: bytes, private_pem: bytes) -> bytes:
    """The AES key; raises Refused. As lenient about CR and alphabet as ours (PHONE-106)."""
    line = line.rstrip(b"\r")
    if not re.fullmatch(rb"[A-Za-z0-9_=+/-]*", line):
        raise Refused("aside")
    key = load_pem_private_key(private_pem, None, unsafe_skip_rsa_key_validation=True).private_numbers()  # type: ignore[union-attr]
    try:
        cipher = int.from_bytes(decode(line), "big")
        message = pow(cipher, key.d, key.p * key.q).to_bytes(256, "big").lstrip(b"\0")  # type: ignore[union-attr]
        aes_key = decode(message)
    except ValueError as error:
        raise Refused("aside") from error
    if len(aes_key) != 16:
        raise Refused("aside")
    return aes_key


def decrypt_data_line(line: bytes, aes_key: bytes) -> bytes:
    """One record; raises ValueError with the kind of PHONE-109."""
    if line.count(b":") != 1:
        raise ValueError("MALFORMED_CONFIG")
    try:
        iv, data = (decode(side) for side in line.split(b":"))
    except binascii.Error:
        raise ValueError("PADDING_ERROR") from None
    if len(data) < 16:
        raise ValueError("LINE_EMPTY")
    if len(iv) < 16:
        raise ValueError("IV_MISSING")
    if len(iv) > 16:
        raise ValueError("IV_BAD_LENGTH")
    decryptor = Cipher(algorithms.AES(aes_key), modes.CBC(iv)).decryptor()
    plain = decryptor.update(data[: len(data) // 16 * 16]) + decryptor.finalize()
    padding = plain[-1]
    return plain[:-padding] if padding else plain


def decode(piece: bytes) -> bytes:
    """Base64 by PHONE-108."""
    try:
        return base64.urlsafe_b64decode(piece)
    except binascii.Error:
        if len(piece.strip(b"=")) % 4:
            raise
    for count in range(1, 16):
        try:
            return base64.urlsafe_b64decode(piece + b"=" * count)
        except binascii.Error as error:
            failure = error
    raise failure
