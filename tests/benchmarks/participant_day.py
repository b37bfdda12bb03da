"""Data as a phone makes it, the same at every run: one participant's day of accelerometer and GPS files."""

import base64
import os
import random
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import load_pem_public_key

DAY_START_MS = 1_700_006_400_000  # 2023-11-15T00:00:00Z
FILE_MS = 15 * 60 * 1000
FILES_PER_DAY = 96
ACCELEROMETER_HEADER = b"timestamp,accuracy,x,y,z"
GPS_HEADER = b"timestamp, latitude, longitude, altitude, accuracy"


def participant_day(seed: int = 1, days: int = 1) -> list[tuple[str, bytes]]:
    """(path below the patient folder, plaintext) of every file of one Android participant's days.

    Files of 15 minutes. The accelerometer records at 10 Hz for half of the time, ten seconds on and ten off; GPS
    once a second for one minute in ten. About 26 MB a day.
    """
    rng = random.Random(seed)
    files: list[tuple[str, bytes]] = []
    for number in range(FILES_PER_DAY * days):
        start = DAY_START_MS + number * FILE_MS
        files.append((f"accel/{start}.csv", _file(ACCELEROMETER_HEADER, accelerometer_rows(start, FILE_MS, rng))))
        files.append((f"gps/{start}.csv", _file(GPS_HEADER, gps_rows(start, FILE_MS, rng))))
    return files


def accelerometer_rows(start_ms: int, duration_ms: int, rng: random.Random) -> list[bytes]:
    """Rows at 10 Hz, ten seconds on and ten seconds off."""
    times = (t for t in range(start_ms, start_ms + duration_ms, 100) if t // 10_000 % 2 == 0)
    return [
        b"%d,unknown,%.9f,%.9f,%.9f" % (t + rng.randrange(20), rng.gauss(0, 1), rng.gauss(0, 1), rng.gauss(9.8, 1))
        for t in times
    ]


def gps_rows(start_ms: int, duration_ms: int, rng: random.Random) -> list[bytes]:
    """Rows once a second, for one minute in ten."""
    times = (t for t in range(start_ms, start_ms + duration_ms, 1000) if t // 60_000 % 10 == 0)
    return [
        b"%d,%.8f,%.8f,%.1f,%.1f" % (t, 42 + rng.random(), -71 - rng.random(), 30 * rng.random(), 20 * rng.random())
        for t in times
    ]


def accelerometer_records(size_bytes: int, seed: int = 1) -> list[bytes]:
    """Header and rows whose encrypted file has about this size."""
    rng = random.Random(seed)
    rows = accelerometer_rows(DAY_START_MS, size_bytes // 114 * 200, rng)
    return [ACCELEROMETER_HEADER, *rows]


def encrypt_device_file(records: Iterable[bytes], public_pem: bytes, seed: int | None = 1) -> bytes:
    """A device file as the apps write it: key line, then one line per record (PHONE-95 to PHONE-99).

    `seed` makes key and IVs repeatable; None draws them from the system.
    """
    draw = os.urandom if seed is None else random.Random(seed).randbytes
    public = load_pem_public_key(public_pem)
    assert isinstance(public, rsa.RSAPublicKey)
    numbers, aes_key = public.public_numbers(), draw(16)
    message = int.from_bytes(base64.b64encode(aes_key), "big")
    lines = [base64.urlsafe_b64encode(pow(message, numbers.e, numbers.n).to_bytes(256, "big"))]
    for record in records:
        iv, padder = draw(16), PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(aes_key), modes.CBC(iv)).encryptor()
        data = encryptor.update(padder.update(record) + padder.finalize())
        lines.append(base64.urlsafe_b64encode(iv) + b":" + base64.urlsafe_b64encode(data))
    return b"\n".join(lines) + b"\n"


def _file(header: bytes, rows: list[bytes]) -> bytes:
    return b"\n".join([header, *rows]) + b"\n"
