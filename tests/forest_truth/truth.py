"""True measures of a day in a zone, each with the tolerance that holds for it."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.forest_truth.life import CALLS, IN, METRES_APART, MISSED, OUT, STEPS_PER_S, SURVEYS, TEXTS, Life

Truth = dict[str, tuple[float | None, float]]
"""By our field: the true value (None: there is none) and how far a measured one may be from it."""


def truth_of_oak(life: Life, day: date, zone: ZoneInfo) -> Truth:
    """Steps and seconds of walking within 5 %, cadence within a twentieth of a step per second."""
    begin, end = life.bounds(day, zone)
    seconds = sum(max((min(e, end) - max(b, begin)).total_seconds(), 0) for b, e in life.walks)
    return {
        "oak_steps": (seconds * STEPS_PER_S, 0.05 * seconds * STEPS_PER_S),
        "oak_walking_time": (seconds, 0.05 * seconds),
        "oak_cadence": (STEPS_PER_S if seconds else None, 0.05),
    }


def truth_of_willow(life: Life, day: date, zone: ZoneInfo) -> Truth:
    """All exact."""
    begin, end = life.bounds(day, zone)
    calls = {
        kind: [
            (who, seconds) for at, clock, k, who, seconds in CALLS if k == kind and begin <= life.at(at, clock) < end
        ]
        for kind in (IN, OUT, MISSED)
    }
    texts = {
        kind: [(who, size) for at, clock, k, who, size in TEXTS if k == kind and begin <= life.at(at, clock) < end]
        for kind in ("sent SMS", "received SMS")
    }
    people = {who for some in (*calls.values(), *texts.values()) for who, _ in some}
    values: dict[str, float] = {"willow_uniq_individual_call_or_text_count": len(people)}
    for kind, name in ((IN, "incoming"), (OUT, "outgoing")):
        values[f"willow_{name}_call_count"] = len(calls[kind])
        values[f"willow_{name}_call_degree"] = len({who for who, _ in calls[kind]})
        values[f"willow_{name}_call_duration"] = sum(seconds for _, seconds in calls[kind]) / 60
    values |= {
        "willow_missed_call_count": len(calls[MISSED]),
        "willow_missed_callers": len({who for who, _ in calls[MISSED]}),
    }
    for kind, name in (("received SMS", "incoming"), ("sent SMS", "outgoing")):
        values[f"willow_{name}_text_count"] = len(texts[kind])
        values[f"willow_{name}_text_degree"] = len({who for who, _ in texts[kind]})
        values[f"willow_{name}_text_length"] = sum(size for _, size in texts[kind])
    return {name: (value, 1e-9) for name, value in values.items()}


def truth_of_sycamore(life: Life, day: date, zone: ZoneInfo) -> Truth:
    """Of the surveys sent on the day. All exact; means in seconds, of those opened and of those completed."""
    begin, end = life.bounds(day, zone)
    sent = [(opened, lasted) for _, at, clock, opened, lasted in SURVEYS if begin <= life.at(at, clock) < end]
    opened = [(first, lasted) for first, lasted in sent if first is not None]
    completed = [(first, lasted) for first, lasted in opened if lasted is not None]
    counts = {
        "total_surveys": len(sent),
        "total_opened_surveys": len(opened),
        "total_completed_surveys": len(completed),
    }
    means = {
        "average_time_to_open": _mean([first for first, _ in opened]),
        "average_time_to_submit": _mean([first + lasted for first, lasted in completed]),
        "average_duration": _mean([lasted for _, lasted in completed]),
    }
    return {f"sycamore_{name}": (value, 1e-6) for name, value in (counts | means).items()}


def truth_of_jasmine(life: Life, day: date, zone: ZoneInfo) -> Truth:
    """Hours and kilometres. GPS is on a tenth of the time; where the participant moves between is filled in."""
    begin, end = life.bounds(day, zone)
    hours = (end - begin) / timedelta(hours=1)
    away = [(max(leaves, begin), min(back, end)) for leaves, _, _, back in life.away if begin <= leaves < end]
    at_home = hours - sum(_hours(*one) for one in away)
    km = METRES_APART / 1000
    return {
        "jasmine_home_duration": (at_home, 0.5),
        "jasmine_distance_from_home": (km, 0.05),
        "jasmine_distance_diameter": (km, 0.05),
        "jasmine_distance_traveled": (2 * km, 0.5),
        "jasmine_significant_location_count": (2, 0),
        "jasmine_total_flight_time": (1.0, 0.35),
        "jasmine_pause_time": (hours - 1, 0.35),
        "jasmine_obs_duration": (hours / 10, 0.2),
    }


TRUTH = {
    "jasmine": truth_of_jasmine,
    "willow": truth_of_willow,
    "sycamore": truth_of_sycamore,
    "oak": truth_of_oak,
}


def _mean(values: list[int]) -> float | None:
    return sum(values) / len(values) if values else None


def _hours(begin: datetime, end: datetime) -> float:
    return (end - begin) / timedelta(hours=1)
