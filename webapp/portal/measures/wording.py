"""Words and figures of the pages of measures."""

from core.forest.trees import Tree
from core.measures.catalogue import Measure

TREES = {Tree.JASMINE: "Jasmine", Tree.WILLOW: "Willow", Tree.SYCAMORE: "Sycamore", Tree.OAK: "Oak"}
SUBJECTS = {
    Tree.JASMINE: "mobility, from GPS",
    Tree.WILLOW: "calls and texts",
    Tree.SYCAMORE: "surveys",
    Tree.OAK: "walking, from the accelerometer",
}
HOURS_OF = {Tree.JASMINE: "GPS", Tree.OAK: "accelerometer data"}
"""Of what the hours of a day are, by tree; other trees have none."""


def figure(value: float | None, measure: Measure) -> str:
    """The value with the digits of its measure, without the unit: `12.4`, `4,210`, or a dash."""
    return "–" if value is None else f"{value:,.{measure.digits}f}"


def hours(value: float | None) -> str:
    """Hours without the unit: `14.2`, or a dash."""
    return "–" if value is None else f"{value:.1f}"


def plain(value: float) -> str:
    """A number as short as it is: `6`, `6.5`."""
    return f"{value:g}"
