"""What is left of files that broke on their way (PHONE-111, PHONE-112, PHONE-114)."""

import base64

import pytest

from core.crypto.device_file import NoUsableKey, decrypt_device_file
from core.crypto.device_lines import LineErrorKind
from core.crypto.participant_keys import DevicePrivateKey
from tests.benchmarks.participant_day import encrypt_device_file
from tests.support.paths import VECTORS

FOLDER = VECTORS / "device_files"
PUBLIC_PEM = (FOLDER / "test_public_key.pem").read_bytes()
KEY = DevicePrivateKey.from_pem((FOLDER / "test_private_key.pem").read_bytes())
HEADER, ROW, LAST = b"timestamp,x", b"1717236000000,1", b"1717236001000,a last row of more than two blocks"
WHOLE = encrypt_device_file([HEADER, ROW, LAST], PUBLIC_PEM)
BEFORE = WHOLE.rstrip(b"\n").rindex(b"\n") + 1  # where the last line begins
DATA = WHOLE.index(b":", BEFORE) + 1


@pytest.mark.parametrize("length", [1, 10, 23, 24, 25])
def test_a_last_line_cut_within_its_iv_or_at_the_colon_is_dropped(length: int):
    """PHONE-111: the lines before it stay."""
    result = decrypt_device_file(WHOLE[: BEFORE + length], KEY)
    assert result.plaintext == HEADER + b"\n" + ROW
    assert (result.failed_lines, result.line_errors[0].line) == (1, 3)


@pytest.mark.parametrize("length", [41, 42, 43, 62])
def test_a_last_line_cut_within_a_group_of_base64_is_dropped(length: int):
    """PHONE-111."""
    result = decrypt_device_file(WHOLE[: DATA + length], KEY)
    assert result.plaintext == HEADER + b"\n" + ROW
    assert result.line_errors[0].kind is LineErrorKind.PADDING_ERROR


def test_a_last_line_cut_between_groups_is_read_as_far_as_it_goes():
    """PHONE-111: its end is mutilated, since the padding is not verified, and that is counted."""
    for length in (24, 44):
        result = decrypt_device_file(WHOLE[: DATA + length], KEY)
        first, second, *last = result.plaintext.split(b"\n", 2)
        assert (first, second) == (HEADER, ROW)
        assert LAST.startswith(b"".join(last))
        assert (result.failed_lines, result.unverified_lines) == (0, 1)


@pytest.mark.parametrize("block", [0, 1, 2])
def test_damaged_ciphertext_is_stored_as_the_garbage_that_it_decrypts_to(block: int):
    """PHONE-112: never an error; the other lines, and all blocks but two of this one, are unharmed."""
    data = bytearray(base64.urlsafe_b64decode(WHOLE[DATA:].strip()))
    data[16 * block] ^= 0xFF
    result = decrypt_device_file(WHOLE[:DATA] + base64.urlsafe_b64encode(data) + b"\n", KEY)
    assert (result.failed_lines, result.total_lines) == (0, 4)
    start = len(HEADER) + len(ROW) + 2
    assert result.plaintext[:start] == HEADER + b"\n" + ROW + b"\n"
    line = result.plaintext[start:]
    assert line[: 16 * block] == LAST[: 16 * block]
    assert line[16 * block : 16 * block + 16] != LAST[16 * block : 16 * block + 16]
    assert line[16 * block + 32 :] == LAST[16 * block + 32 :]


@pytest.mark.parametrize("size", [1, 16, 100_000])
def test_a_file_of_nothing_but_nuls_has_no_key(size: int):
    """PHONE-114: it goes aside."""
    with pytest.raises(NoUsableKey, match="outside the base64 alphabet"):
        decrypt_device_file(bytes(size), KEY)
