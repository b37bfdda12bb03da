"""Sensor files: realistic rows for each stream and platform. Equal recipes give equal rows."""

import base64
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ops.phones.person import Moment, moment
from ops.phones.platforms import Platform

HOUR_MS = 3_600_000

# First lines as in PHONE-71, by platform.
_XYZ = "timestamp,accuracy,x,y,z"
HEADERS: dict[Platform, dict[str, str]] = {
    Platform.ANDROID: {
        "accel": _XYZ,
        "gyro": _XYZ,
        "gps": "timestamp, latitude, longitude, altitude, accuracy",
        "powerState": "timestamp, event",
        "callLog": "hashed phone number,call type,timestamp,duration in seconds",
        "textsLog": "timestamp,hashed phone number,sent vs received,message length,time sent",
        "wifiLog": "hashed MAC, frequency, RSSI",
        "logFile": "THIS LINE IS A LOG FILE HEADER",
    },
    Platform.IOS: {
        "accel": _XYZ,
        "gyro": "timestamp,x,y,z",
        "magnetometer": "timestamp,x,y,z",
        "gps": "timestamp,latitude,longitude,altitude,accuracy",
        "powerState": "timestamp,event,level",
        "proximity": "timestamp,event",
        "reachability": "timestamp,event",
        "ios_log": "timestamp,launchId,memory,battery,event,msg,d1,d2,d3,d4",
    },
}

# Which device setting (PHONE-40) switches a stream; the others are always on.
SWITCHES = {
    "accel": "accelerometer",
    "gyro": "gyro",
    "magnetometer": "magnetometer",
    "gps": "gps",
    "powerState": "power_state",
    "callLog": "calls",
    "textsLog": "texts",
    "wifiLog": "wifi",
    "proximity": "proximity",
    "reachability": "reachability",
}

ANDROID_POWER_EVENTS = ("Screen turned on", "Screen turned off", "Power connected", "Power disconnected")


@dataclass(frozen=True)
class Recipe:
    """All inputs that determine the rows of one sensor file.

    Sampled streams (accel, gyro, magnetometer, gps) give `burst_rows` rows, `row_ms` apart, at the start of every
    `period_ms` from start to end; the others give events at their own rates. Times are Unix milliseconds.
    """

    seed: str
    platform: Platform
    zone: str
    alias: str
    start_ms: int
    end_ms: int
    period_ms: int = 60_000
    burst_rows: int = 10
    row_ms: int = 100


def records(recipe: Recipe) -> list[str]:
    """The records of a sensor file: header first, then rows without line ends (Wi-Fi: one record, PHONE-99)."""
    header = HEADERS[recipe.platform][recipe.alias]
    dice = random.Random(f"{recipe.alias}|{recipe.seed}|{recipe.start_ms}")
    return [header, *_ROWS[recipe.alias](recipe, dice)]


def plaintext(lines: list[str]) -> bytes:
    """What a server must store for the given records (PHONE-104)."""
    return "\n".join(lines).encode()


def file_name(patient_id: str, alias: str, start_ms: int, survey_id: str = "", extension: str = "csv") -> str:
    """The name of an upload (PHONE-71); the time is in Unix milliseconds, or seconds where the app writes those."""
    return "_".join(part for part in (patient_id, alias, survey_id, str(start_ms)) if part) + f".{extension}"


def _samples(recipe: Recipe) -> Iterator[tuple[int, Moment]]:
    """Sample times, each with the person's place and activity, which are computed once a burst."""
    for burst_ms in range(recipe.start_ms, recipe.end_ms, recipe.period_ms):
        here = moment(recipe.seed, recipe.zone, burst_ms)
        for i in range(recipe.burst_rows):
            at_ms = burst_ms + i * recipe.row_ms
            if at_ms >= recipe.end_ms:
                return
            yield at_ms, here


def _accelerometer(recipe: Recipe, dice: random.Random) -> Iterator[str]:
    """Gravity in a slowly turning direction plus steps and jitter; m/s² on Android, g on iOS."""
    unit, accuracy = (9.80665, "3") if recipe.platform is Platform.ANDROID else (1.0, "unknown")
    tilt, turn = dice.uniform(0, math.pi), dice.uniform(0, 2 * math.pi)
    for at_ms, here in _samples(recipe):
        tilt += dice.gauss(0, here.movement * 0.05)
        turn += dice.gauss(0, here.movement * 0.05)
        step = here.movement * math.sin(2 * math.pi * 1.9 * at_ms / 1000) if here.activity == "walk" else 0.0
        x = math.sin(tilt) * math.cos(turn) + dice.gauss(0, here.movement)
        y = math.sin(tilt) * math.sin(turn) + dice.gauss(0, here.movement)
        z = math.cos(tilt) + step + dice.gauss(0, here.movement)
        yield f"{at_ms},{accuracy},{x * unit:.7f},{y * unit:.7f},{z * unit:.7f}"


def _gyroscope(recipe: Recipe, dice: random.Random) -> Iterator[str]:
    """Turning rates in rad/s."""
    accuracy = "3," if recipe.platform is Platform.ANDROID else ""
    for at_ms, here in _samples(recipe):
        x, y, z = (dice.gauss(0, 3 * here.movement) for _ in range(3))
        yield f"{at_ms},{accuracy}{x:.7f},{y:.7f},{z:.7f}"


def _magnetometer(recipe: Recipe, dice: random.Random) -> Iterator[str]:
    """The earth's field in microtesla with jitter."""
    for at_ms, here in _samples(recipe):
        x, y, z = (base + dice.gauss(0, 1 + 10 * here.movement) for base in (18.0, -5.0, -44.0))
        yield f"{at_ms},{x:.7f},{y:.7f},{z:.7f}"


def _gps(recipe: Recipe, dice: random.Random) -> Iterator[str]:
    """Positions in degrees, altitude and accuracy in metres, with the scatter of a real receiver."""
    altitude = dice.uniform(3, 40)
    for at_ms, _ in _samples(recipe):
        here = moment(recipe.seed, recipe.zone, at_ms)
        latitude = here.latitude + dice.gauss(0, 2e-5)
        longitude = here.longitude + dice.gauss(0, 2e-5)
        altitude += dice.gauss(0, 0.3)
        yield f"{at_ms},{latitude:.12f},{longitude:.12f},{altitude:.6f},{abs(dice.gauss(0, 12)) + 3:.4f}"


def _events(recipe: Recipe, dice: random.Random, awake_per_hour: float, asleep_per_hour: float) -> Iterator[int]:
    """Random times, rarer while the person sleeps; at least one per file, so that no file is only a header."""
    fastest = max(awake_per_hour, asleep_per_hour)
    at, found = float(recipe.start_ms), False
    while True:
        at += dice.expovariate(fastest / HOUR_MS)
        if at >= recipe.end_ms:
            break
        asleep = moment(recipe.seed, recipe.zone, int(at)).activity == "asleep"
        if dice.random() * fastest < (asleep_per_hour if asleep else awake_per_hour):
            found = True
            yield int(at)
    if not found:
        yield dice.randrange(recipe.start_ms, max(recipe.end_ms, recipe.start_ms + 1))


def _power_state(recipe: Recipe, dice: random.Random) -> Iterator[str]:
    level = dice.uniform(0.3, 1.0)
    for at_ms in _events(recipe, dice, 10, 0.7):
        if recipe.platform is Platform.ANDROID:
            yield f"{at_ms},{dice.choice(ANDROID_POWER_EVENTS)}"
        else:
            level = min(1.0, max(0.05, level + dice.gauss(-0.01, 0.03)))
            yield f"{at_ms},{dice.choice(('Locked', 'Unlocked', 'Unplugged', 'Charging'))},{level:.2f}"


def _contact(recipe: Recipe, dice: random.Random) -> str:
    """The hashed number of one of the person's dozen contacts; the first ones come up most often."""
    which = min(11, int(dice.expovariate(0.4)))
    contact = random.Random(f"contact|{recipe.seed}|{which}")
    return base64.urlsafe_b64encode(contact.randbytes(64)).decode()


def _calls(recipe: Recipe, dice: random.Random) -> Iterator[str]:
    for at_ms in _events(recipe, dice, 0.4, 0.01):
        kind = dice.choice(("Incoming Call", "Outgoing Call", "Missed Call"))
        duration = 0 if kind == "Missed Call" else int(dice.expovariate(1 / 180)) + 3
        yield f"{_contact(recipe, dice)},{kind},{at_ms},{duration}"


def _texts(recipe: Recipe, dice: random.Random) -> Iterator[str]:
    for at_ms in _events(recipe, dice, 1.5, 0.02):
        kind = dice.choice(("sent SMS", "received SMS", "received MMS"))
        yield f"{at_ms},{_contact(recipe, dice)},{kind},{dice.randint(2, 160)},{at_ms + dice.randint(0, 9)}"


def _wifi(recipe: Recipe, dice: random.Random) -> Iterator[str]:
    """One scan: a single record with all rows, each ending in LF (PHONE-99)."""
    place = moment(recipe.seed, recipe.zone, recipe.start_ms).activity
    known = random.Random(f"wifi|{recipe.seed}|{place}")
    rows = []
    for _ in range(known.randint(3, 9)):
        hashed = base64.urlsafe_b64encode(known.randbytes(64)).decode()
        rows.append(f"{hashed},{known.choice((2412, 2437, 2462, 5180))},{-40 - dice.randint(0, 45)}\n")
    yield "".join(rows)


def _reachability(recipe: Recipe, dice: random.Random) -> Iterator[str]:
    for at_ms in _events(recipe, dice, 1.5, 0.1):
        yield f"{at_ms},{dice.choice(('wifi', 'cellular', 'unreachable'))}"


def _proximity(recipe: Recipe, dice: random.Random) -> Iterator[str]:
    for at_ms in _events(recipe, dice, 3, 0.1):
        yield f"{at_ms},{dice.choice(('NearUser', 'NotNearUser'))}"


def _android_log(recipe: Recipe, dice: random.Random) -> Iterator[str]:
    for at_ms in _events(recipe, dice, 4, 1):
        yield f"{at_ms} {dice.choice(('started the accelerometer', 'GPS turned on, waiting', 'upload finished'))}"


def _ios_log(recipe: Recipe, dice: random.Random) -> Iterator[str]:
    launch = f"{dice.getrandbits(32):08x}"
    for at_ms in _events(recipe, dice, 4, 1):
        event = dice.choice(("upload", "app_foreground", "push"))
        yield f"{at_ms},{launch},{dice.randint(20, 90)},{dice.uniform(0.2, 1):.2f},{event},ok,,,,"


_ROWS: dict[str, Callable[[Recipe, random.Random], Iterator[str]]] = {
    "accel": _accelerometer,
    "gyro": _gyroscope,
    "magnetometer": _magnetometer,
    "gps": _gps,
    "powerState": _power_state,
    "callLog": _calls,
    "textsLog": _texts,
    "wifiLog": _wifi,
    "reachability": _reachability,
    "proximity": _proximity,
    "logFile": _android_log,
    "ios_log": _ios_log,
}
