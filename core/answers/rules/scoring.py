"""What a score is and how it is computed (CLAR-57). Pure.

A score is the sum or the mean of its items. An item's value is its option's code, by default the index from 0, or the
number of a slider or typed answer; a reversed one counts as least + greatest - value. With items missing, the sum is
prorated (mean of the answered ones times their number) if enough are answered; else there is no value.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from core.answers.rules.wording import Wording

MOST_ITEMS = 200
SCORABLE = ("radio_button", "checkbox", "slider", "free_response")


class ScoreRefused(ValueError):
    """A definition that cannot be; the message says why. `field` names what it is about, empty for the whole."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class Combination(StrEnum):
    """How the values of items make a score."""

    SUM = "sum"
    MEAN = "mean"


@dataclass(frozen=True)
class ScoreItem:
    """A question of a score. `values` are the codes of its options in order, None for their indices.

    `least` and `most` are the ends of its values for reversing, None for those of codes, options or slider.
    """

    question_id: str
    is_reversed: bool = False
    values: tuple[float, ...] | None = None
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class ScoreDefinition:
    """A score. `least_answered` is how many items must be answered at least."""

    combination: Combination
    items: tuple[ScoreItem, ...]
    least_answered: int

    @property
    def question_ids(self) -> set[str]:
        return {item.question_id for item in self.items}

    def as_json(self) -> dict[str, Any]:
        """The definition as it is stored, and read by `definition_from`."""
        items = [_without_empty(item) for item in self.items]
        return {"combination": self.combination.value, "items": items, "least_answered": self.least_answered}


def _without_empty(item: ScoreItem) -> dict[str, Any]:
    """The item as JSON gives it back: a list of codes, so that an equal definition is found equal."""
    filled = {key: value for key, value in asdict(item).items() if value is not None}
    return filled | {"values": list(item.values)} if item.values is not None else filled


@dataclass(frozen=True)
class GivenAnswer:
    """An answer to an item as a submission has it. `options` is how many there were to choose from."""

    kind: str
    options: int
    least: float | None
    most: float | None
    number: float | None
    choices: Sequence[int] | None


@dataclass(frozen=True)
class Scored:
    """A score's value, None where too few items were answered, and how many entered it."""

    value: float | None
    items_answered: int


def definition_from(given: Any) -> ScoreDefinition:
    """The definition that this JSON value says. Raises ScoreRefused."""
    if not isinstance(given, Mapping) or not isinstance(given.get("items"), list):
        raise ScoreRefused("A score is an object with a list of items.")
    if given.get("combination") not in set(Combination):
        raise ScoreRefused("A score is a sum or a mean.", "combination")
    items = tuple(_item(place, item) for place, item in enumerate(given["items"], 1))
    if not 1 <= len(items) <= MOST_ITEMS:
        raise ScoreRefused(f"A score has 1 to {MOST_ITEMS} items.", "items")
    if len({item.question_id for item in items}) < len(items):
        raise ScoreRefused("Each question is an item once.")
    least = given.get("least_answered", len(items))
    if isinstance(least, bool) or not isinstance(least, int) or not 1 <= least <= len(items):
        raise ScoreRefused(f"At least 1 and at most all {len(items)} items have to be answered.", "least_answered")
    return ScoreDefinition(Combination(given["combination"]), items, least)


def _item(place: int, given: Any) -> ScoreItem:
    if not isinstance(given, Mapping) or not isinstance(given.get("question_id"), str) or not given["question_id"]:
        raise ScoreRefused(f"Item {place}: it has the id of a question.")
    if unknown := set(given) - {"question_id", "is_reversed", "values", "least", "most"}:
        raise ScoreRefused(f"Item {place}: {', '.join(sorted(map(str, unknown)))} is not known.")
    values = given.get("values")
    if values is not None and not (isinstance(values, list) and values and all(map(_is_number, values))):
        raise ScoreRefused(f"Item {place}: the codes of its answers are numbers.")
    least, most = given.get("least"), given.get("most")
    if any(end is not None and not _is_number(end) for end in (least, most)) or (least is None) != (most is None):
        raise ScoreRefused(f"Item {place}: its least and greatest value are two numbers, or none.")
    if least is not None and least >= most:
        raise ScoreRefused(f"Item {place}: its least value is below its greatest.")
    if not isinstance(given.get("is_reversed", False), bool):
        raise ScoreRefused(f"Item {place}: it is reversed or not.")
    return ScoreItem(
        given["question_id"],
        given.get("is_reversed", False),
        tuple(map(float, values)) if values is not None else None,
        least,
        most,
    )


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)


def score_of(definition: ScoreDefinition, given: Mapping[str, GivenAnswer]) -> Scored:
    """The score of these answers by question id; questions that were not answered are not among them."""
    of_items = (item_value(item, given.get(item.question_id)) for item in definition.items)
    values = [value for value in of_items if value is not None]
    if len(values) < definition.least_answered:
        return Scored(None, len(values))
    mean = math.fsum(values) / len(values)
    if definition.combination is Combination.MEAN:
        return Scored(mean, len(values))
    is_whole = len(values) == len(definition.items)
    return Scored(math.fsum(values) if is_whole else mean * len(definition.items), len(values))


def item_value(item: ScoreItem, given: GivenAnswer | None) -> float | None:
    """The value of an item; None where it was not answered, or its codes are of other options."""
    if given is None:
        return None
    value, ends = given.number, (given.least, given.most)
    if given.choices:
        codes = item.values if item.values is not None else tuple(map(float, range(given.options)))
        if len(codes) != given.options or max(given.choices) >= len(codes):
            return None
        value, ends = math.fsum(codes[index] for index in given.choices), (min(codes), max(codes))
    elif item.values is not None:
        return None
    if value is None or not item.is_reversed:
        return value
    least, most = ends if item.least is None else (item.least, item.most)
    return None if least is None or most is None else least + most - value


def misfits(definition: ScoreDefinition, wordings: Iterable[Wording]) -> list[str]:
    """Why the score cannot be computed from a version of a survey that has these questions; empty if it can."""
    known = {wording.question_id: wording for wording in wordings}
    found = []
    for item in definition.items:
        wording = known.get(item.question_id)
        if wording is None:
            found.append(f"{item.question_id}: the survey does not ask it.")
        elif reason := _misfit(item, wording):
            found.append(f"{wording.text or item.question_id}: {reason}")
    return found


def _misfit(item: ScoreItem, wording: Wording) -> str:
    if wording.kind not in SCORABLE or (wording.kind == "free_response" and wording.field_type != "NUMERIC"):
        return "its answers are no numbers."
    if item.values is not None and len(item.values) != len(wording.options):
        return f"it has {len(wording.options)} answers, and {len(item.values)} codes."
    if item.is_reversed and wording.kind == "checkbox":
        return "several answers cannot be reversed."
    if item.is_reversed and wording.kind == "free_response" and item.least is None:
        return "to be reversed, it needs a least and a greatest value."
    return ""
