"""The four trees: which streams each reads, and which of our fields each column of its output is (FOREST-40)."""

from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from math import inf

from core.streams import DataStream

LIBRARY = "beiwe-forest"


class Tree(StrEnum):
    """A tree of Forest, in the order of exports."""

    JASMINE = "jasmine"
    WILLOW = "willow"
    SYCAMORE = "sycamore"
    OAK = "oak"


STREAMS: dict[Tree, tuple[DataStream, ...]] = {
    Tree.JASMINE: (DataStream.GPS,),
    Tree.WILLOW: (DataStream.CALLS, DataStream.TEXTS),
    Tree.SYCAMORE: (DataStream.SURVEY_ANSWERS, DataStream.SURVEY_TIMINGS),
    Tree.OAK: (DataStream.ACCELEROMETER,),
}


@dataclass(frozen=True)
class Numbers:
    """A column of a chunk that must hold numbers within limits, in every row unless it may be empty."""

    name: str
    least: float = -9e18
    most: float = 9e18  # what a whole number of 64 bits holds
    may_be_empty: bool = False


PHONE_NUMBER = "hashed phone number"
OPTIONS = "question answer options"
TIMESTAMP = Numbers("timestamp")

# What a tree needs of a chunk; else it fails, runs for hours or loses the day.
NUMBERS: dict[DataStream, tuple[Numbers, ...]] = {
    DataStream.GPS: (
        TIMESTAMP,
        Numbers("latitude", -90, 90),
        Numbers("longitude", -180, 180),
        Numbers("altitude", -inf, inf, may_be_empty=True),
        Numbers("accuracy", -inf, inf, may_be_empty=True),
    ),
    DataStream.CALLS: (TIMESTAMP, Numbers("duration in seconds", may_be_empty=True)),
    DataStream.TEXTS: (TIMESTAMP,),
    DataStream.ACCELEROMETER: (TIMESTAMP, Numbers("x"), Numbers("y"), Numbers("z")),
    DataStream.SURVEY_ANSWERS: (),
    DataStream.SURVEY_TIMINGS: (TIMESTAMP,),
}
# Columns that are empty in no row.
FILLED: dict[DataStream, tuple[str, ...]] = {
    DataStream.CALLS: (PHONE_NUMBER,),
    DataStream.TEXTS: (PHONE_NUMBER,),
    DataStream.SURVEY_TIMINGS: ("UTC time", "survey id"),
}
# Other columns that must be there.
OTHERS: dict[DataStream, tuple[str, ...]] = {
    DataStream.CALLS: ("call type",),
    DataStream.TEXTS: ("sent vs received", "message length"),
    DataStream.SURVEY_ANSWERS: ("question id", "question type", OPTIONS, "answer"),
    DataStream.SURVEY_TIMINGS: ("question id", "question type", OPTIONS, "answer"),
}


@dataclass(frozen=True)
class Measure:
    """A daily measure: the tree's column, our field, and whether it is a whole number."""

    column: str
    field: str
    is_count: bool = False


def _measures(tree: Tree, floats: str = "", counts: str = "") -> tuple[Measure, ...]:
    pairs = [(pair, is_count) for text, is_count in ((floats, False), (counts, True)) for pair in text.split()]
    return tuple(
        Measure(column, f"{tree}_{name}", is_count)
        for (column, _, name), is_count in ((pair.partition(":"), is_count) for pair, is_count in pairs)
    )


MEASURES: dict[Tree, tuple[Measure, ...]] = {
    Tree.JASMINE: _measures(
        Tree.JASMINE,
        "diameter:distance_diameter max_dist_home:distance_from_home dist_traveled:distance_traveled "
        "av_flight_length:flight_distance_average sd_flight_length:flight_distance_stddev "
        "av_flight_duration:flight_duration_average sd_flight_duration:flight_duration_stddev "
        "home_time:home_duration radius:gyration_radius entropy:significant_location_entropy "
        "total_pause_time:pause_time obs_duration:obs_duration obs_day:obs_day obs_night:obs_night "
        "total_flight_time:total_flight_time av_pause_duration:av_pause_duration sd_pause_duration:sd_pause_duration",
        "num_sig_places:significant_location_count",
    ),
    Tree.WILLOW: _measures(
        Tree.WILLOW,
        "total_mins_in_call:incoming_call_duration total_mins_out_call:outgoing_call_duration",
        "num_r:incoming_text_count num_r_tel:incoming_text_degree total_char_r:incoming_text_length "
        "num_s:outgoing_text_count num_s_tel:outgoing_text_degree total_char_s:outgoing_text_length "
        "text_reciprocity_incoming:incoming_text_reciprocity text_reciprocity_outgoing:outgoing_text_reciprocity "
        "num_mms_s:outgoing_MMS_count num_mms_r:incoming_MMS_count num_in_call:incoming_call_count "
        "num_in_caller:incoming_call_degree num_out_call:outgoing_call_count num_out_caller:outgoing_call_degree "
        "num_mis_call:missed_call_count num_mis_caller:missed_callers "
        "num_uniq_individuals_call_or_text:uniq_individual_call_or_text_count",
    ),
    Tree.SYCAMORE: _measures(
        Tree.SYCAMORE,
        "avg_time_to_submit:average_time_to_submit avg_time_to_open:average_time_to_open avg_duration:average_duration",
        "num_surveys:total_surveys num_complete_surveys:total_completed_surveys "
        "num_opened_surveys:total_opened_surveys",
    ),
    Tree.OAK: _measures(Tree.OAK, "walking_time:walking_time steps:steps cadence:cadence"),
}


def library_version() -> str | None:
    """The installed version of the library; None where it is not installed."""
    try:
        return version(LIBRARY)
    except PackageNotFoundError:
        return None
