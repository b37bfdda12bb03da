"""Encrypted files to upload: whole ones, golden ones, and both after damage of every sort (PHONE-95 to PHONE-115)."""

from functools import cache

from ops.phones.encryption import data_line, key_line, read_public_key
from tests.fuzz.dice import Dice
from tests.support.paths import VECTORS

FOLDER = VECTORS / "device_files"
PUBLIC_KEY = read_public_key((FOLDER / "test_client_public_key.txt").read_text().strip())
LARGEST_GOLDEN_BYTES = 4_000  # the larger ones hold nothing that the smaller ones lack
ODD_BYTES = (
    b"",
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b":",
    b"=",
    b"==",
    b"+",
    b"/",
    b" ",
    b"A",
    b"\xff",
    b"&",
    b"%41",
    b"\xc3",
)


@cache
def whole_files() -> list[bytes]:
    """Files as the apps write them. Made once with a fixed randomness, so that a seed always means the same cases."""
    dice = Dice(1)
    made = []
    for records in (
        ["timestamp,accuracy,x,y,z", *(f"17172360000{n},unknown,0.1,0.2,9.8" for n in range(10, 16))],
        ["timestamp, latitude, longitude, altitude, accuracy", "1717236000000, 1.5, 2.5, 30, 20"],
        [
            "question id,question type,question text,question answer options,answer",
            "q,slider,Sleep?,min = 0; max = 9,7",
        ],
        ["hashed MAC, frequency, RSSI", "aa,1,2\nbb,3,4\n"],
        ["grüße 🦉", "", "x" * 15, "y" * 16],
        ["\n"],
    ):
        lines = [record.encode() for record in records]
        made.append(_encrypted(lines, dice))
    made.append(_encrypted([dice.randbytes(700)], dice).rstrip(b"\n"))
    made.append(_encrypted([], dice))
    return made


@cache
def golden_files() -> list[bytes]:
    files = (path.read_bytes() for path in sorted((FOLDER / "encrypted").iterdir()))
    return [file for file in files if len(file) <= LARGEST_GOLDEN_BYTES]


def device_file(dice: Dice) -> bytes:
    """A whole file, one that no other case has, or a damaged one."""
    sound = dice.pick(whole_files(), golden_files())
    match dice.randrange(10):
        case 0 | 1:
            return sound
        case 2 | 3:
            records = [
                b"timestamp,x",
                b"%d" % dice.getrandbits(40),
                *(dice.some_bytes(40) for _ in range(dice.randrange(4))),
            ]
            return _encrypted(records, dice)
        case 4:
            return sound + dice.pick(whole_files(), golden_files())
        case 5:
            return dice.choice((b"", b"\n", b"\n\n\n", b"\0" * 40, b"timestamp,x\n1,2\n", dice.some_bytes(60)))
    for _ in range(dice.randint(1, 3)):
        sound = _damaged(sound, dice)
    return sound


def _damaged(file: bytes, dice: Dice) -> bytes:
    at = min(dice.choice((dice.randint(0, 10), dice.randint(340, 375), dice.randint(0, len(file)))), len(file))
    match dice.choice(("put", "put", "replace", "cut", "line", "line", "line")):
        case "put":
            return file[:at] + dice.choice(ODD_BYTES) + file[at:]
        case "replace":
            return file[:at] + dice.choice(ODD_BYTES) * dice.randint(1, 3) + file[at + dice.randrange(30) :]
        case "cut":
            return file[:at]
    return b"\n".join(_with_line_changed(file.split(b"\n"), dice))


def _with_line_changed(lines: list[bytes], dice: Dice) -> list[bytes]:
    at = dice.randrange(len(lines))
    line = lines[at]
    change = dice.choice(
        (
            [],
            [line, line],
            [line.rstrip(b"=")],
            [line + b"\r"],
            [line.replace(b"-", b"+").replace(b"_", b"/")],
            [line + b":" + line[-24:]],
            [line, lines[0]],
            [b"", line],
            [lines[-1 - at], line],
        )
    )
    return [*lines[:at], *change, *lines[at + 1 :]]


def _encrypted(records: list[bytes], dice: Dice) -> bytes:
    """As ops.phones.encryption writes a text file, but for the randomness."""
    aes_key = dice.randbytes(16)
    lines = [data_line(record, aes_key, dice.randbytes(16)) for record in records]
    return b"\n".join([key_line(aes_key, PUBLIC_KEY), *lines, b""])
