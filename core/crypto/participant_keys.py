"""A participant's RSA key pair: generated at creation, read on every upload (PHONE-90 to PHONE-93)."""

from dataclasses import dataclass
from typing import Self

import gmpy2
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

KEY_BITS = 2048
PUBLIC_EXPONENT = 65537


class UnreadableKey(ValueError):
    """The bytes given are not an RSA private key in PEM. The message never holds any of them."""


@dataclass(frozen=True, repr=False)
class KeyPair:
    """A new pair as it is stored: PEM with LF line ends and no final LF (PHONE-91)."""

    private_pem: bytes
    public_pem: bytes


def generate_key_pair() -> KeyPair:
    """A new 2048-bit pair with exponent 65537 (PHONE-90).

    Private half as PKCS#1 (`BEGIN RSA PRIVATE KEY`), public half as SubjectPublicKeyInfo (`BEGIN PUBLIC KEY`).
    """
    return _pair(rsa.generate_private_key(public_exponent=PUBLIC_EXPONENT, key_size=KEY_BITS))


def key_pair_of(private_pem: bytes) -> KeyPair:
    """The pair whose private half is given; raises UnreadableKey."""
    return _pair(_load(private_pem))


def _pair(key: rsa.RSAPrivateKey) -> KeyPair:
    private_pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(private_pem.strip(), public_pem.strip())


def client_public_key(public_pem: bytes) -> str:
    """The public key as registration sends it to a phone: the PEM without its frame and line ends (PHONE-92).

    392 characters of standard base64, starting with `MIIBI`, which Android insists on.
    """
    return "".join(public_pem.decode("ascii").strip().splitlines()[1:-1])


class DevicePrivateKey:
    """A participant's private key, ready for the one operation that device files need."""

    def __init__(self, numbers: rsa.RSAPrivateNumbers) -> None:
        self._p, self._q = gmpy2.mpz(numbers.p), gmpy2.mpz(numbers.q)
        self._dp, self._dq = gmpy2.mpz(numbers.dmp1), gmpy2.mpz(numbers.dmq1)
        self._q_inverse = gmpy2.mpz(numbers.iqmp)

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Reads a PKCS#1 PEM, with or without its final LF (PHONE-91); raises UnreadableKey.

        The primes of our own keys are not tested again: that would cost more than a whole upload.
        """
        return cls(_load(pem).private_numbers())

    def decrypt_raw(self, cipher: bytes) -> bytes:
        """Textbook RSA, `c^d mod n` without a padding scheme (PHONE-97), leading zero bytes removed (PHONE-105).

        `cipher` is a big-endian integer of any length. Uses the Chinese remainder theorem, and exponentiation whose
        timing does not depend on the key, since phones choose `cipher`.
        """
        c = gmpy2.mpz(int.from_bytes(cipher, "big"))
        m_p = gmpy2.powmod_sec(c % self._p, self._dp, self._p)
        m_q = gmpy2.powmod_sec(c % self._q, self._dq, self._q)
        m = int(m_q + (self._q_inverse * (m_p - m_q) % self._p) * self._q)
        return m.to_bytes((m.bit_length() + 7) // 8, "big")

    def __repr__(self) -> str:
        return "DevicePrivateKey()"


def _load(pem: bytes) -> rsa.RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.strip() + b"\n", password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError) as error:
        raise UnreadableKey("not an RSA private key in PEM") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise UnreadableKey("a private key, but not an RSA one")
    return key
