"""The owner of a simulated phone: home, work and habits, which determine place and activity at any time."""

import math
import random
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

Place = tuple[float, float]

_CITIES: dict[str, Place] = {
    "America/New_York": (42.361, -71.062),
    "America/Los_Angeles": (34.052, -118.244),
    "Europe/London": (51.507, -0.128),
    "Europe/Berlin": (52.520, 13.405),
}


@dataclass(frozen=True)
class Leg:
    """A stretch of a day, in hours after local midnight: what is done, from where to where (latitude, longitude)."""

    start_hour: float
    end_hour: float
    activity: str
    origin: Place
    destination: Place


@dataclass(frozen=True)
class Moment:
    """Where somebody is (degrees) and how much they move (g, standard deviation of acceleration)."""

    latitude: float
    longitude: float
    activity: str
    movement: float


_MOVEMENT = {"asleep": 0.004, "home": 0.05, "work": 0.03, "commute": 0.12, "walk": 0.35, "out": 0.09}


def near(place: Place, dice: random.Random, degrees: float) -> Place:
    """A place at most the given number of degrees away along each axis."""
    return place[0] + dice.uniform(-degrees, degrees), place[1] + dice.uniform(-degrees, degrees)


@lru_cache(maxsize=4096)
def day_plan(seed: str, zone: str, day: date) -> tuple[Leg, ...]:
    """One local day of a person: legs without gaps from hour 0 to hour 24. The same arguments give the same day."""
    habits = random.Random(f"person|{seed}")
    city = _CITIES.get(zone, _CITIES["America/New_York"])
    home, work = near(city, habits, 0.03), near(city, habits, 0.04)
    wake, leave, bed = habits.uniform(6, 7.5), habits.uniform(8, 9), habits.uniform(22, 23.5)

    dice = random.Random(f"day|{seed}|{day.isoformat()}")
    wake, leave, bed = (hour + dice.uniform(-0.3, 0.3) for hour in (wake, leave, bed))
    stops = [(wake, "asleep", home, home)]
    if day.weekday() < 5 and dice.random() > 0.08:
        back = leave + dice.uniform(8, 9.5)
        stops += [
            (leave, "home", home, home),
            (leave + 0.5, "commute", home, work),
            (12.3, "work", work, work),
            (12.9, "walk", work, work),
            (back, "work", work, work),
            (back + 0.6, "commute", work, home),
        ]
    else:
        park = near(home, dice, 0.01)
        start = dice.uniform(10, 14)
        stops += [
            (start, "home", home, home),
            (start + 0.4, "walk", home, park),
            (start + 2, "out", park, park),
            (start + 2.4, "walk", park, home),
        ]
    if dice.random() < 0.4:
        friend = near(home, dice, 0.015)
        stops += [
            (19.2, "home", home, home),
            (19.5, "commute", home, friend),
            (21.0, "out", friend, friend),
            (21.4, "commute", friend, home),
        ]
    stops += [(bed, "home", home, home), (24.0, "asleep", home, home)]
    legs, begin = [], 0.0
    for end, activity, origin, destination in stops:
        legs.append(Leg(begin, end, activity, origin, destination))
        begin = end
    return tuple(legs)


def moment(seed: str, zone: str, at_ms: int) -> Moment:
    """Where the person is at a Unix time in milliseconds, and how much they move."""
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(zone))
    hour = local.hour + local.minute / 60 + (local.second + local.microsecond / 1e6) / 3600
    legs = day_plan(seed, zone, local.date())
    leg = next((leg for leg in legs if leg.start_hour <= hour < leg.end_hour), legs[-1])
    share = (hour - leg.start_hour) / max(leg.end_hour - leg.start_hour, 1e-9)
    latitude = leg.origin[0] + share * (leg.destination[0] - leg.origin[0])
    longitude = leg.origin[1] + share * (leg.destination[1] - leg.origin[1])
    if leg.activity == "walk" and leg.origin == leg.destination:
        # A walk that comes back to where it began is a circle of some two hundred metres.
        latitude += 0.002 * math.sin(2 * math.pi * share)
        longitude += 0.002 * (1 - math.cos(2 * math.pi * share))
    return Moment(latitude, longitude, leg.activity, _MOVEMENT[leg.activity])
