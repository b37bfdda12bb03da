"""What the participant does: three days, told in the time of the zone, and true measures of any day of any zone.

The middle day is the one on which the clocks change: of 23 or 25 hours. Things happen in the first and last hours of
days too, where a wrong border shows.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
SPRING, AUTUMN = date(2024, 3, 9), date(2024, 11, 2)
HOME = (42.3600, -71.0600)
METRES_APART = 5000.0
METRES_OF_A_DEGREE = math.pi / 180 * 6_371_000
STEPS_PER_S = 1.8
WALKS = ((0, "12:10"), (1, "23:40"), (2, "00:05"))
"""Each of 1,000 seconds, 1,800 steps: day, begin."""
RECORDED = ((0, "11:00", 3), (1, "10:00", 1), (1, "23:00", 1), (2, "00:00", 2))
"""The accelerometer is on, ten seconds of twenty, and during walks all the time: day, begin, hours."""
IN, OUT, MISSED = "Incoming Call", "Outgoing Call", "Missed Call"
CALLS = (
    (0, "00:05", IN, "Ann", 60),
    (0, "09:00", IN, "Ann", 120),
    (0, "09:30", IN, "Ben", 300),
    (0, "10:10", IN, "Cem", 30),
    (0, "12:00", OUT, "Ann", 600),
    (0, "12:30", OUT, "Dan", 60),
    (0, "13:00", OUT, "Dan", 90),
    (0, "15:00", MISSED, "Eva", 0),
    (0, "15:01", MISSED, "Eva", 0),
    (0, "18:00", MISSED, "Ben", 0),
    (0, "21:00", OUT, "Ann", 150),
    (0, "23:50", IN, "Ann", 240),
    (1, "00:10", OUT, "Ben", 60),
    (1, "23:20", IN, "Cem", 180),
    (2, "00:20", IN, "Ben", 120),
    (2, "23:45", OUT, "Ann", 45),
)
"""Day, time, kind, who, seconds."""
TEXTS = (
    (0, "08:00", "sent SMS", "Ann", 40),
    (0, "08:05", "received SMS", "Ann", 10),
    (0, "22:00", "sent SMS", "Ben", 25),
    (1, "23:30", "received SMS", "Cem", 5),
    (2, "10:00", "received SMS", "Cem", 7),
)
"""Day, time, kind, who, characters."""
SURVEYS = (
    ("daily", 0, "09:00", 600, 120),
    ("random", 0, "10:15", 300, 60),
    ("random", 0, "13:30", 600, None),
    ("random", 0, "18:00", None, None),
    ("daily", 1, "09:00", None, None),
    ("random", 1, "11:05", 300, 60),
    ("random", 1, "14:00", None, None),
    ("random", 1, "17:00", None, None),
    ("arm", 1, "20:00", 1800, 60),
    ("daily", 2, "09:00", 60, 30),
    ("random", 2, "00:00", 60, 60),
    ("random", 2, "12:00", 120, 60),
    ("random", 2, "16:00", None, None),
    ("arm", 2, "20:00", None, None),
)
"""Survey, day, time sent, seconds until it was opened, seconds from there until it was completed."""


@dataclass(frozen=True)
class Life:
    """Three days from `first` on, in New York's time; home, work and the way between for more where `count` says so."""

    first: date
    zone: ZoneInfo = NEW_YORK
    count: int = 3

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=i) for i in range(self.count)]

    def at(self, day: int, clock: str) -> datetime:
        """The moment (UTC) at which clocks show this on a day; of two, the first."""
        return datetime.combine(self.days[day], time.fromisoformat(clock), self.zone).astimezone(UTC)

    def bounds(self, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """The day's first moment and the one after its last, in a zone."""
        begin, end = (datetime.combine(day + timedelta(days=i), time(), zone).astimezone(UTC) for i in (0, 1))
        return begin, end

    @cached_property
    def walks(self) -> list[tuple[datetime, datetime]]:
        begins = [self.at(*walk) for walk in WALKS]
        return [(begin, begin + timedelta(seconds=1000)) for begin in begins]

    @cached_property
    def away(self) -> list[tuple[datetime, datetime, datetime, datetime]]:
        """Each day: leaves home, arrives at work, leaves work, is at home again."""
        return [
            (self.at(day, "08:30"), self.at(day, "09:00"), self.at(day, "17:00"), self.at(day, "17:30"))
            for day in range(self.count)
        ]

    def metres_from_home(self, at: datetime) -> float:
        leaves, arrives, returns, back = self.away[(at.astimezone(self.zone).date() - self.first).days]
        out, home = (at - leaves) / (arrives - leaves), (back - at) / (back - returns)
        return METRES_APART * max(min(out, 1, home), 0)

    def accelerometer(self) -> Iterator[str]:
        """Rows of the phone, 10 Hz, in m/s²: still, or 1.8 steps a second."""
        rng = random.Random(1)
        for day, clock, hours in RECORDED:
            begin = self.at(day, clock)
            for tenth in range(hours * 36_000):
                at = begin + timedelta(seconds=tenth / 10)
                phase = next(
                    (2 * math.pi * STEPS_PER_S * (at - b).total_seconds() for b, e in self.walks if b <= at < e), None
                )
                if phase is None and tenth // 100 % 2:
                    continue
                up = 9.81 + (0 if phase is None else 3.5 * math.sin(phase)) + rng.gauss(0, 0.05)
                yield f"{ms(at)},unknown,{rng.gauss(0, 0.05):.5f},{rng.gauss(0, 0.05):.5f},{up:.5f}"

    def gps(self) -> Iterator[str]:
        """Rows of the phone: once a second for one minute in ten, with an error of some metres."""
        rng = random.Random(2)
        at, end = self.at(0, "00:00"), self.bounds(self.days[-1], self.zone)[1]
        east = METRES_OF_A_DEGREE * math.cos(math.radians(HOME[0]))
        while at < end:
            for second in range(60):
                now = at + timedelta(seconds=second)
                latitude = HOME[0] + rng.gauss(0, 2) / METRES_OF_A_DEGREE
                longitude = HOME[1] + (self.metres_from_home(now) + rng.gauss(0, 2)) / east
                yield f"{ms(now)},{latitude:.7f},{longitude:.7f},10.0,8.0"
            at += timedelta(minutes=10)


def ms(at: datetime) -> int:
    """Unix milliseconds."""
    return round(at.timestamp() * 1000)
