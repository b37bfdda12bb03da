"""A second, plain decryption of device files to compare with: the reference's loops, with a faster key operation
(PHONE-104).
"""

from functools import lru_cache

import gmpy2
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.fuzz.device_files import FOLDER
from tests.reference import device_file as reference

KEY_CHARACTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=")


class Nothing(Exception):
    """No line that is not empty (PHONE-64 row 7)."""


class NoKey(Exception):
    """No usable AES key (PHONE-64 row 8)."""


def plaintexts(file: bytes) -> list[tuple[bytes, bool]]:
    """Every plaintext that may be stored, and whether lines were dropped on the way. Raises Nothing, NoKey.

    There are two where a second key line may or may not take over (PHONE-113).
    """
    lines = [line for line in file.split(b"\n") if line]
    if not lines:
        raise Nothing
    aes_key = aes_key_of(lines[0])
    if aes_key is None:
        raise NoKey
    found = [_read(lines[1:], aes_key, takes_over=takes_over) for takes_over in (True, False)]
    return found[:1] if found[0] == found[1] else found


def plaintexts_or_none(file: bytes) -> list[tuple[bytes, bool]]:
    """The results of `plaintexts`; empty for a file without lines or without a usable key."""
    try:
        return plaintexts(file)
    except (Nothing, NoKey):
        return []


def _read(lines: list[bytes], aes_key: bytes, *, takes_over: bool) -> tuple[bytes, bool]:
    records, has_dropped = [], False
    for line in lines:
        if takes_over and b":" not in line and 300 <= len(line) < 400:
            aes_key = aes_key_of(line) or aes_key
        try:
            records.append(reference.decrypt_data_line(line, aes_key))
        except ValueError:
            has_dropped = True
    return b"\n".join(records), has_dropped


@lru_cache(1_000)
def aes_key_of(line: bytes) -> bytes | None:
    """PHONE-105, as lenient about CR and alphabet as ours (PHONE-106)."""
    line = line.rstrip(b"\r")
    if not KEY_CHARACTERS.issuperset(line):
        return None
    modulus, exponent = _private_numbers()
    try:
        cipher = int.from_bytes(reference.decode(line), "big")
        message = int(gmpy2.powmod(cipher, exponent, modulus)).to_bytes(256, "big").lstrip(b"\0")
        aes_key = reference.decode(message)
    except ValueError:
        return None
    return aes_key if len(aes_key) == 16 else None


@lru_cache
def _private_numbers() -> tuple[int, int]:
    key = load_pem_private_key((FOLDER / "test_private_key.pem").read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    return key.private_numbers().public_numbers.n, key.private_numbers().d
