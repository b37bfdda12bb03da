"""Device files against the golden cases, and the bulk path against a plain line-by-line decryptor (PHONE-95 to 116)."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.crypto import device_file
from core.crypto.device_file import DecryptedFile, NothingInFile, NoUsableKey, decrypt_device_file
from core.crypto.device_lines import LineErrorKind
from core.crypto.participant_keys import DevicePrivateKey
from tests.benchmarks.participant_day import encrypt_device_file
from tests.reference.device_file import decrypt_file
from tests.support.paths import DEVICE_FILES

CASES = json.loads((DEVICE_FILES / "manifest.json").read_text())["cases"]
PRIVATE_PEM = (DEVICE_FILES / "test_private_key.pem").read_bytes()
PUBLIC_PEM = (DEVICE_FILES / "test_public_key.pem").read_bytes()
KEY = DevicePrivateKey.from_pem(PRIVATE_PEM)


def read(data: bytes) -> DecryptedFile | str:
    try:
        return decrypt_device_file(data, KEY)
    except NothingInFile:
        return "discard"
    except NoUsableKey:
        return "aside"


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_golden_file_gives_what_must_be_stored(case: dict[str, Any]) -> None:
    """PHONE-104 to PHONE-115."""
    expected = case["expected"]
    result = read((DEVICE_FILES / case["file"]).read_bytes())
    better = [(DEVICE_FILES / path).read_bytes() for path in expected.get("also_accept", [])]
    if isinstance(result, str):
        assert result in [expected["outcome"], *expected.get("also_outcomes", [])]
        return
    if better:
        assert result.plaintext in better
        return
    plaintext = (DEVICE_FILES / expected["plaintext_file"]).read_bytes() if "plaintext_file" in expected else b""
    assert result.plaintext == plaintext
    assert result.total_lines == expected["total_lines"]
    errors = [(error["line"], error["type"]) for error in expected["line_errors"]]
    assert [(error.line, error.kind.value) for error in result.line_errors] == errors
    assert result.failed_lines == len(errors)


def test_padding_that_is_not_pkcs7_is_kept_and_counted() -> None:
    """PHONE-107, may improve."""
    counts = {
        case["id"]: result.unverified_lines
        for case in CASES
        if isinstance(result := read((DEVICE_FILES / case["file"]).read_bytes()), DecryptedFile)
    }
    assert {name for name, count in counts.items() if count} >= {
        "padding_zero",
        "padding_too_large",
        "padding_inconsistent",
        "last_line_cut_at_block",
    }
    assert counts["android_accel_400_rows"] == 0


@pytest.mark.parametrize(("rows", "fitting", "is_kept"), [(30, 0, False), (30, 2, False), (30, 4, True), (1, 0, False)])
def test_a_file_whose_key_line_is_another_files_is_no_data(rows: int, fitting: int, is_kept: bool) -> None:
    """PHONE-112: fewer than one padding in ten verifies."""
    lines = encrypt_device_file([b"row %d" % n for n in range(rows)], PUBLIC_PEM, seed=1).splitlines()[1:]
    other = encrypt_device_file([b"row %d" % n for n in range(fitting)], PUBLIC_PEM, seed=2).splitlines()
    result = read(b"\n".join([*other, *lines[fitting:]]) + b"\n")
    assert isinstance(result, DecryptedFile) if is_kept else result == "aside"


def test_an_appended_file_is_read_with_its_own_key() -> None:
    """PHONE-113, may improve; the second key line still counts as a failed line."""
    first, second = (encrypt_device_file([b"header", b"row %d" % n], PUBLIC_PEM, seed=n) for n in (1, 2))
    result = decrypt_device_file(first + second, KEY)
    assert result.plaintext == b"header\nrow 1\nheader\nrow 2"
    assert [(error.line, error.kind) for error in result.line_errors] == [(3, LineErrorKind.MALFORMED_CONFIG)]


def test_a_file_of_broken_lines_costs_neither_memory_nor_key_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    key_line = encrypt_device_file([], PUBLIC_PEM)
    operations = 0
    original = DevicePrivateKey.decrypt_raw

    def counted(key: DevicePrivateKey, cipher: bytes) -> bytes:
        nonlocal operations
        operations += 1
        return original(key, cipher)

    monkeypatch.setattr(DevicePrivateKey, "decrypt_raw", counted)
    result = decrypt_device_file(key_line + b"A" * 344 + b"\n" + (b"A" * 340 + b"\n") * 3000, KEY)
    assert result.plaintext == b""
    assert result.failed_lines == 3001
    assert len(result.line_errors) == device_file.MAX_RECORDED_ERRORS
    assert operations <= device_file.MAX_FURTHER_KEYS + 1


def test_a_long_recording_comes_back_whole() -> None:
    """PHONE-100: one data line, longer than any piece, with line feeds and colons in its bytes."""
    recording = bytes(range(256)) * 16 * 1024
    assert decrypt_device_file(encrypt_device_file([recording], PUBLIC_PEM).rstrip(b"\n"), KEY).plaintext == recording


def test_line_feeds_inside_records_are_kept() -> None:
    """PHONE-99."""
    records = [b"a,b", b"one\ntwo\n", b"", b"\n", b"x" * 16]
    assert decrypt_device_file(encrypt_device_file(records, PUBLIC_PEM), KEY).plaintext == b"\n".join(records)


def _line(iv: bytes, data: bytes) -> bytes:
    return base64.urlsafe_b64encode(iv) + b":" + base64.urlsafe_b64encode(data)


IV = st.binary(min_size=16, max_size=16)
BLOCKS = st.integers(1, 5).flatmap(lambda n: st.binary(min_size=16 * n, max_size=16 * n))
REGULAR = st.builds(_line, IV, BLOCKS)

ODD = st.one_of(
    st.builds(_line, st.binary(max_size=20), st.binary(max_size=40)),
    st.builds(
        lambda line, place, extra: line[: place % len(line)] + extra + line[place % len(line) :],
        REGULAR,
        st.integers(0, 500),
        st.sampled_from([b":", b"=", b"\r", b"\0", b"\xff", b"+", b"AA"]),
    ),
    st.builds(lambda line, place: line[: place % len(line)], REGULAR, st.integers(0, 500)),
    st.builds(lambda line: line.replace(b"=", b""), REGULAR),
    st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"")),
    st.text("AB-_=:", max_size=60).map(str.encode),
)
KEY_LINE = encrypt_device_file([], PUBLIC_PEM).rstrip()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(REGULAR, REGULAR, ODD), max_size=12), st.booleans(), st.sampled_from([10, 1000, 1 << 19]))
def test_any_mixture_of_lines_reads_as_line_by_line(lines: list[bytes], has_end: bool, piece_bytes: int) -> None:
    """PHONE-107 to PHONE-109, with random ciphertexts, hence every padding byte; and whatever the pieces' size."""
    data = b"\n".join([KEY_LINE, *lines]) + b"\n" * has_end
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device_file, "PIECE_BYTES", piece_bytes)
        patch.setattr(device_file, "LEAST_VERIFIED", 0)
        result = decrypt_device_file(data, KEY)
    plaintext, errors = decrypt_file(data, PRIVATE_PEM)
    assert result.plaintext == plaintext
    assert [(error.line, error.kind.value) for error in result.line_errors] == errors
    assert result.total_lines == len([line for line in data.split(b"\n") if line])


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_a_line_with_any_character_out_of_place_reads_as_by_itself(
    blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PHONE-107, PHONE-108: every exchange of two characters, and every character replaced, in one file."""
    monkeypatch.setattr(device_file, "LEAST_VERIFIED", 0)
    line = _line(bytes(range(16)), bytes(range(100, 100 + 16 * blocks)))
    lines = [line]
    for one in range(len(line)):
        lines += [line[:one] + character + line[one + 1 :] for character in (b":", b"=", b"\r", b"\0", b"+", b"A")]
        for other in range(one + 1, len(line)):
            exchanged = bytearray(line)
            exchanged[one], exchanged[other] = line[other], line[one]
            lines.append(bytes(exchanged))
    data = b"\n".join([KEY_LINE, *lines])
    assert decrypt_device_file(data, KEY).plaintext == decrypt_file(data, PRIVATE_PEM)[0]
