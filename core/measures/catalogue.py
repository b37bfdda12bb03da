"""The daily measures: names for people, units, and how each is computed from the stored fields (FOREST-40).

Units as beiwe-forest 1.0 writes them: jasmine in kilometres and hours, willow's calls in minutes, sycamore's and oak's
times in seconds. Short times are shown in minutes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.forest.trees import Tree
from core.models import ForestDay
from core.models.forest import AMOUNTS

MINUTES_OF_HOUR, SECONDS_OF_MINUTE = 60.0, 60.0
_OBSERVATION = ("jasmine_obs_duration", "jasmine_obs_day", "jasmine_obs_night")


@dataclass(frozen=True)
class Measure:
    """A daily measure. `name` is how addresses and files call it; `unit` is empty for counts and for entropy.

    `column` gives the SQL expression of its value in that unit, null where there is none, never NaN.
    """

    name: str
    label: str
    unit: str
    tree: Tree
    digits: int
    column: Callable[[], sa.ColumnElement[Any]]
    about: str = ""

    @property
    def is_filled_in(self) -> bool:
        """Whether the tree fills in times without data, so that a value may be imputed (CLAR-82)."""
        return self.tree is Tree.JASMINE and self.name not in _OBSERVATION


def _field(name: str, factor: float = 1.0) -> Callable[[], sa.ColumnElement[Any]]:
    def column() -> sa.ColumnElement[Any]:
        stored: sa.ColumnElement[Any] = getattr(ForestDay, name)
        if name in AMOUNTS:
            stored = sa.func.nullif(stored, sa.literal(float("nan"), sa.Float))
        if factor != 1.0:
            stored = stored * sa.literal(factor, sa.Float)
        return stored

    return column


def _sum(first: str, second: str) -> Callable[[], sa.ColumnElement[Any]]:
    def column() -> sa.ColumnElement[Any]:
        total: sa.ColumnElement[Any] = getattr(ForestDay, first) + getattr(ForestDay, second)
        return total

    return column


def _completion() -> sa.ColumnElement[Any]:
    completed: sa.ColumnElement[Any] = ForestDay.sycamore_total_completed_surveys  # type: ignore[attr-defined]
    return completed * 100.0 / sa.func.nullif(ForestDay.sycamore_total_surveys, 0)  # type: ignore[attr-defined]


def _jasmine(name: str, label: str, unit: str, digits: int = 1, factor: float = 1.0, about: str = "") -> Measure:
    field = f"jasmine_{name}"
    return Measure(field, label, unit, Tree.JASMINE, digits, _field(field, factor), about)


def _willow(name: str, label: str, unit: str = "", digits: int = 0) -> Measure:
    field = f"willow_{name}"
    return Measure(field, label, unit, Tree.WILLOW, digits, _field(field.lower()))


def _sycamore(name: str, label: str, unit: str = "", digits: int = 0, factor: float = 1.0) -> Measure:
    field = f"sycamore_{name}"
    return Measure(field, label, unit, Tree.SYCAMORE, digits, _field(field, factor))


def _oak(name: str, label: str, unit: str, digits: int, factor: float = 1.0) -> Measure:
    field = f"oak_{name}"
    return Measure(field, label, unit, Tree.OAK, digits, _field(field, factor))


_ALL = (
    _jasmine("distance_traveled", "Distance travelled", "km"),
    _jasmine("home_duration", "Time at home", "h"),
    _jasmine("distance_from_home", "Farthest from home", "km"),
    _jasmine("distance_diameter", "Diameter", "km", about="between the two places farthest apart"),
    _jasmine("gyration_radius", "Radius of gyration", "km", 2),
    _jasmine("significant_location_count", "Significant places", "", 0),
    _jasmine("significant_location_entropy", "Entropy of places", "", 2, about="0 where all time is at one place"),
    _jasmine("total_flight_time", "Time moving", "h"),
    _jasmine("flight_distance_average", "Mean length of a flight", "km", 2, about="a flight is a straight movement"),
    _jasmine("flight_distance_stddev", "Spread of flight lengths", "km", 2, about="standard deviation"),
    _jasmine("flight_duration_average", "Mean time of a flight", "min", 1, MINUTES_OF_HOUR),
    _jasmine("flight_duration_stddev", "Spread of flight times", "min", 1, MINUTES_OF_HOUR, "standard deviation"),
    _jasmine("pause_time", "Time at rest", "h"),
    _jasmine("av_pause_duration", "Mean time of a pause", "min", 1, MINUTES_OF_HOUR),
    _jasmine("sd_pause_duration", "Spread of pause times", "min", 1, MINUTES_OF_HOUR, "standard deviation"),
    _jasmine("obs_duration", "GPS observed", "h"),
    _jasmine("obs_day", "GPS observed by day", "h"),
    _jasmine("obs_night", "GPS observed by night", "h"),
    Measure(
        "willow_calls",
        "Calls",
        "",
        Tree.WILLOW,
        0,
        _sum("willow_incoming_call_count", "willow_outgoing_call_count"),
        "incoming and outgoing; without missed ones",
    ),
    Measure(
        "willow_texts",
        "Texts",
        "",
        Tree.WILLOW,
        0,
        _sum("willow_incoming_text_count", "willow_outgoing_text_count"),
        "incoming and outgoing",
    ),
    _willow("incoming_call_count", "Incoming calls"),
    _willow("incoming_call_degree", "Callers"),
    _willow("incoming_call_duration", "Time of incoming calls", "min", 1),
    _willow("outgoing_call_count", "Outgoing calls"),
    _willow("outgoing_call_degree", "People called"),
    _willow("outgoing_call_duration", "Time of outgoing calls", "min", 1),
    _willow("missed_call_count", "Missed calls"),
    _willow("missed_callers", "Callers of missed calls"),
    _willow("incoming_text_count", "Incoming texts"),
    _willow("incoming_text_degree", "Senders of texts"),
    _willow("incoming_text_length", "Characters received"),
    _willow("outgoing_text_count", "Outgoing texts"),
    _willow("outgoing_text_degree", "Receivers of texts"),
    _willow("outgoing_text_length", "Characters sent"),
    _willow("incoming_text_reciprocity", "Texts received from people not written to"),
    _willow("outgoing_text_reciprocity", "Texts sent to people who wrote none"),
    _willow("outgoing_MMS_count", "Outgoing multimedia messages"),
    _willow("incoming_MMS_count", "Incoming multimedia messages"),
    _willow("uniq_individual_call_or_text_count", "People in touch with"),
    Measure(
        "sycamore_completion",
        "Survey completion",
        "%",
        Tree.SYCAMORE,
        0,
        _completion,
        "of those delivered on the day",
    ),
    _sycamore("total_surveys", "Surveys delivered"),
    _sycamore("total_completed_surveys", "Surveys completed"),
    _sycamore("total_opened_surveys", "Surveys opened"),
    _sycamore("average_time_to_open", "Mean time to open a survey", "min", 1, 1 / SECONDS_OF_MINUTE),
    _sycamore("average_time_to_submit", "Mean time to submit a survey", "min", 1, 1 / SECONDS_OF_MINUTE),
    _sycamore("average_duration", "Mean time to answer a survey", "min", 1, 1 / SECONDS_OF_MINUTE),
    _oak("steps", "Steps", "", 0),
    _oak("walking_time", "Time walking", "min", 0, 1 / SECONDS_OF_MINUTE),
    _oak("cadence", "Cadence", "steps/s", 2),
)
MEASURES: dict[str, Measure] = {measure.name: measure for measure in _ALL}
"""All measures by name, in the order of pages."""
FIRST_SHOWN = (
    "jasmine_distance_traveled",
    "jasmine_home_duration",
    "oak_steps",
    "willow_calls",
    "willow_texts",
    "sycamore_completion",
)
"""What pages show before anything else is chosen."""
