"""A day of two participants, one with each kind of phone, in all nineteen streams; the same at every run.

About 100 MB of plaintext in 1,800 files: identifiers of 88 characters, floats of 15 significant digits.
"""

import random
from collections.abc import Callable, Iterator

from core.streams import Platform

DAY_START_MS = 1_700_006_400_000  # 2023-11-15T00:00:00Z
QUARTER_MS = 15 * 60 * 1000
SURVEY = "5a1b2c3d4e5f6a7b8c9d0e1f"
Row = Callable[[int, random.Random], str]
Stream = tuple[str, str, int, int, Row]
"""Alias, header, milliseconds between rows, rows out of how many, and how a row is made."""


def _float(rng: random.Random) -> str:
    return f"{rng.uniform(-10, 10):.15g}"


def _floats(count: int) -> Row:
    return lambda t, rng: f"{t}," + ",".join(_float(rng) for _ in range(count))


def _with_accuracy(t: int, rng: random.Random) -> str:
    return f"{t},unknown,{_float(rng)},{_float(rng)},{_float(rng)}"


def _position(t: int, rng: random.Random) -> str:
    return f"{t},{42 + rng.random():.13f},{-71 - rng.random():.13f},{30 * rng.random():.12f},{20 * rng.random():.12f}"


def _hashed(rng: random.Random) -> str:
    return f"{rng.getrandbits(512):086d}"[:86] + "=="


def _motion(t: int, rng: random.Random) -> str:
    numbers = [_float(rng) for _ in range(15)]
    return f"{t},{','.join(numbers[:12])},unknown,{','.join(numbers[12:])}"


def _scan(t: int, rng: random.Random) -> str:
    return f"{t}, {_hashed(rng)}, -{rng.randrange(99)}"


ANDROID: tuple[Stream, ...] = (
    ("accel", "timestamp,accuracy,x,y,z", 100, 4, _with_accuracy),
    ("gyro", "timestamp,accuracy,x,y,z", 100, 4, _with_accuracy),
    ("gps", "timestamp, latitude, longitude, altitude, accuracy", 1_000, 6, _position),
    ("bluetoothLog", "timestamp, hashed MAC, RSSI", 2_000, 1, _scan),
    ("powerState", "timestamp, event", 60_000, 1, lambda t, rng: f"{t}, Screen turned {rng.choice(('on', 'off'))}"),
    ("logFile", "THIS LINE IS A LOG FILE HEADER", 5_000, 1, lambda t, rng: f"{t} Wifi scan {rng.randrange(9999)}"),
    (
        "callLog",
        "hashed phone number,call type,timestamp,duration in seconds",
        600_000,
        1,
        lambda t, rng: f"{_hashed(rng)},Incoming Call,{t},{rng.randrange(900)}",
    ),
    (
        "textsLog",
        "timestamp,hashed phone number,sent vs received,message length,time sent",
        600_000,
        1,
        lambda t, rng: f"{t},{_hashed(rng)},received SMS,{rng.randrange(160)},{t}",
    ),
    ("wifiLog", "hashed MAC, frequency, RSSI", 30_000, 1, lambda _, rng: f"{_hashed(rng)}, 2412, -{rng.randrange(99)}"),
)
IOS: tuple[Stream, ...] = (
    ("accel", "timestamp,accuracy,x,y,z", 100, 4, _with_accuracy),
    ("gyro", "timestamp,x,y,z", 100, 5, _floats(3)),
    ("magnetometer", "timestamp,x,y,z", 100, 5, _floats(3)),
    ("devicemotion", "timestamp,roll,pitch,yaw", 100, 8, _motion),
    ("gps", "timestamp,latitude,longitude,altitude,accuracy", 1_000, 6, _position),
    ("powerState", "timestamp,event,level", 60_000, 1, lambda t, _: f"{t},Locked,0.5"),
    ("proximity", "timestamp,event", 60_000, 1, lambda t, _: f"{t},NearUser"),
    ("reachability", "timestamp,event", 60_000, 1, lambda t, _: f"{t},wifi"),
    (
        "ios_log",
        "timestamp,launchId,memory,battery,event,msg,d1,d2,d3,d4",
        10_000,
        1,
        lambda t, rng: f"{t},ABC,{rng.randrange(99)},0.5,stop,stored,,,,",
    ),
)


def day_of(platform: Platform, seed: int = 1, days: int = 1) -> Iterator[tuple[str, bytes]]:
    """(path below the participant's folder, plaintext) of every file of the participant's days."""
    rng = random.Random(f"{platform} {seed}")
    for number in range(96 * days):
        start = DAY_START_MS + number * QUARTER_MS
        for alias, header, step, one_in, row in ANDROID if platform is Platform.ANDROID else IOS:
            times = (t for t in range(start, start + QUARTER_MS, step) if t // 10_000 % one_in == 0 or step >= 2_000)
            rows = [row(t + rng.randrange(step // 10), rng) for t in times]
            yield f"{alias.replace('_', '/')}/{start}.csv", "\n".join([header, *rows, ""]).encode()
        if number % 24 == 0:
            yield from _of_surveys(start, rng)
        if number % 96 == 0:
            yield f"identifiers_{start // 1000}.csv", b"patient_id,MAC\nab3kz9qw,none"


def _of_surveys(start: int, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    header = "timestamp,question id,question type,question text,question answer options,answer"
    rows = [f"{start + n * 1000},{rng.getrandbits(128):x},slider,How are you?,min = 0; max = 9,{n}" for n in range(12)]
    yield f"surveyTimings/{SURVEY}/{start}.csv", "\n".join([header, *rows, ""]).encode()
    yield f"surveyAnswers/{SURVEY}/{start}.csv", b"question id,question type\n1,slider\n"
    yield f"voiceRecording/{SURVEY}/{start}.mp4", rng.randbytes(200_000)
    yield f"ambientAudio/{start // 1000}.mp4", rng.randbytes(200_000)
