"""The RSA pair of a participant (PHONE-90 to PHONE-93)."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from core.crypto.participant_keys import DevicePrivateKey, UnreadableKey, client_public_key, generate_key_pair
from tests.support.paths import DEVICE_FILES

PRIVATE_PEM = (DEVICE_FILES / "test_private_key.pem").read_bytes()
PUBLIC_PEM = (DEVICE_FILES / "test_public_key.pem").read_bytes()


def test_a_new_pair_is_what_android_accepts_and_existing_buckets_hold() -> None:
    """PHONE-90, PHONE-91, PHONE-92."""
    pair = generate_key_pair()
    assert pair.private_pem.startswith(b"-----BEGIN RSA PRIVATE KEY-----\n")
    assert pair.private_pem.endswith(b"\n-----END RSA PRIVATE KEY-----")
    assert pair.public_pem.startswith(b"-----BEGIN PUBLIC KEY-----\n")
    assert pair.public_pem.endswith(b"\n-----END PUBLIC KEY-----")
    assert b"\r" not in pair.private_pem + pair.public_pem
    sent = client_public_key(pair.public_pem)
    assert len(sent) == 392
    assert sent.startswith("MIIBI")
    public = load_pem_public_key(pair.public_pem)
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 2048
    assert public.public_numbers().e == 65537


def test_the_key_sent_to_a_phone_is_the_public_pem_without_its_frame() -> None:
    """PHONE-92."""
    sent = (DEVICE_FILES / "test_client_public_key.txt").read_text().strip()
    assert client_public_key(PUBLIC_PEM) == client_public_key(PUBLIC_PEM + b"\n") == sent


@pytest.mark.parametrize("pem", [PRIVATE_PEM, PRIVATE_PEM + b"\n", PRIVATE_PEM.replace(b"\n", b"\r\n")])
def test_the_raw_operation_is_a_plain_power(pem: bytes) -> None:
    """PHONE-97: with and without a final LF, and whatever the size of the number."""
    key = load_pem_private_key(PRIVATE_PEM, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    numbers = key.private_numbers()
    n, d = numbers.public_numbers.n, numbers.d
    device_key = DevicePrivateKey.from_pem(pem)
    for cipher in (b"", b"\0", b"\1", b"\0\0\5", (n - 1).to_bytes(256, "big"), b"\xff" * 256, b"\xff" * 999):
        value = pow(int.from_bytes(cipher, "big"), d, n)
        assert device_key.decrypt_raw(cipher) == value.to_bytes(256, "big").lstrip(b"\0")


@pytest.mark.parametrize("pem", [b"", b"nonsense", PUBLIC_PEM, PRIVATE_PEM[:500]])
def test_what_is_not_a_private_key_is_refused_without_being_shown(pem: bytes) -> None:
    with pytest.raises(UnreadableKey) as refused:
        DevicePrivateKey.from_pem(pem)
    assert len(str(refused.value)) < 60


def test_a_key_shows_nothing_of_itself() -> None:
    assert repr(DevicePrivateKey.from_pem(PRIVATE_PEM)) == "DevicePrivateKey()"
    assert "BEGIN" not in repr(generate_key_pair())
