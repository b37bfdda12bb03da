"""Password hashes, against the vectors of the data model and the phone API."""

import base64
import hashlib

import pytest

from core.crypto.passwords import (
    ID_ALPHABET,
    device_hash,
    hash_device_hash,
    hash_participant_password,
    hash_password,
    new_identifier,
    verify_password,
)

SALT = "c2FsdHNhbHRzYWx0c2FsdA=="
PASSWORD = "Correct horse 1!"
SHA256 = f"sha256$310000$2ZtLFl4AZIf_MJbmN5L6mCC8Th_zm72ws1osawqVVcU=${SALT}"
SHA1 = f"sha1$1000$FPG-RK_a7eZwXVN-TlhTLfPcitm1l_-BM8D2W-v1fgg=${SALT}"
API_KEY = f"sha256$310000$qxnqGrlEwdnZWs_uhMI83nBIpWcaHcQ-TylyWNSylLA=${SALT}"


@pytest.mark.parametrize("stored", [SHA256, SHA1])
def test_a_researchers_password_verifies_whatever_its_parameters(stored: str):
    """MODEL-60."""
    assert verify_password(PASSWORD, stored)
    assert not verify_password(PASSWORD[:-1], stored)


def test_the_hash_of_an_api_key_verifies():
    """MODEL-62."""
    assert verify_password("A" * 64, API_KEY)
    assert not verify_password("A" * 63 + "B", API_KEY)


def test_a_participants_password_is_hashed_by_way_of_the_device_hash():
    """MODEL-61, PHONE-26, PHONE-28."""
    assert device_hash("abc123") == "bKE9UspwyIPg8LsQHkJaiehiTeUdstI5JZOvaoQRgJA="
    assert device_hash("secret4") == "_i0DP-95Qu0G1BiZLTXKmP61OUPUUvWZT5aTTXVOFcs="
    stored = f"sha1$1000$WrIU3hYPQMbYJILb91TY60O6CQcstWva8NzO4BIQvJ0=${SALT}"
    assert verify_password(device_hash("abc123"), stored)
    assert not verify_password("abc123", stored)


def test_sha512_verifies_with_its_longer_hash():
    """MODEL-60: 64 bytes."""
    derived = hashlib.pbkdf2_hmac("sha512", b"x", SALT.encode(), 2, 64)
    assert verify_password("x", f"sha512$2${base64.urlsafe_b64encode(derived).decode()}${SALT}")


@pytest.mark.parametrize(
    "stored", ["", "a$b$c", SHA256 + "$5", SHA256.replace("sha256", "md5"), "sha1$0$x$y", "sha1$x$y$z"]
)
def test_what_is_no_hash_matches_nothing(stored: str):
    """PHONE-28, MODEL-62: an empty one never matches."""
    assert not verify_password("", stored)


def test_new_hashes_have_the_platforms_form_and_a_salt_of_their_own():
    """MODEL-60, MODEL-61."""
    first, second = hash_password("x"), hash_password("x")
    assert first.startswith("sha256$310000$")
    assert first != second
    assert hash_participant_password("x").startswith("sha1$1000$")
    assert verify_password(device_hash("x"), hash_device_hash(device_hash("x")))


def test_ids_and_temporary_passwords_have_eight_characters_without_zero():
    """PHONE-30."""
    ids = {new_identifier() for _ in range(200)}
    assert len(ids) == 200
    assert {len(i) for i in ids} == {8}
    assert set("".join(ids)) <= set(ID_ALPHABET)
    assert "0" not in ID_ALPHABET


def test_a_password_counts_whole():
    """MODEL-60: no part of a long password is ignored, and blanks count."""
    long = "a" * 127
    stored = hash_password(f"{long}b")
    assert verify_password(f"{long}b", stored)
    assert not verify_password(long, stored) and not verify_password(f"{long}c", stored)
    assert not verify_password("two  blanks", hash_password("two blanks"))
