"""How the cells of a table of data quantities are coloured and flagged (PORTAL-224)."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

LEVELS = 5
MOST_FLAGS = 10
MOST = 1e18
_NUMBER = re.compile(r"-?\d{1,19}(\.\d{1,6})?")


class BadMarking(ValueError):
    """Colours or flags that cannot be; the message says what is expected."""


class Operator(StrEnum):
    """How a flag compares a cell's bytes with its number."""

    MORE = ">"
    EQUAL = "="
    LESS = "<"


@dataclass(frozen=True)
class Flag:
    """Cells are outlined whose bytes are more than, equal to or less than this number."""

    operator: Operator
    number: float

    def holds(self, value: float) -> bool:
        """Whether a cell of this many bytes is flagged."""
        if self.operator is Operator.MORE:
            return value > self.number
        return value < self.number if self.operator is Operator.LESS else value == self.number


@dataclass(frozen=True)
class Marking:
    """A gradient from `low` to `high` bytes, both 0: from the page's smallest to its largest value; and flags."""

    has_colour: bool = False
    low: float = 0
    high: float = 0
    flags: tuple[Flag, ...] = ()

    def level(self, value: int | None, least: int, most: int) -> int:
        """The depth of a cell's colour, 1 to 5; 0 without colour. `least` and `most` are those of the page."""
        if not self.has_colour or value is None:
            return 0
        low, high = (least, most) if self.low == self.high == 0 else (self.low, self.high)
        strength = (value - low) / (high - low) if high > low else float(value > 0)
        return 0 if strength < 0 else min(LEVELS, max(1, math.ceil(strength * LEVELS)))

    def is_flagged(self, value: int | None) -> bool:
        """Whether any flag holds for a cell; a day without data counts as 0 bytes."""
        return any(flag.holds(value or 0) for flag in self.flags)


def share_level(hours: float | None, expected: float | None) -> int:
    """The depth of a cell's colour by the share of the expected hours that have data, 1 to 5.

    0 without data, and where nothing is expected.
    """
    if not hours or not expected:
        return 0
    return min(LEVELS, max(1, math.ceil(round(hours / expected * LEVELS, 6))))


def parse_number(text: str, name: str) -> float:
    """A number as typed. Raises BadMarking."""
    if not _NUMBER.fullmatch(text.strip()) or abs(float(text)) > MOST:
        raise BadMarking(f"{name}: a number is expected")
    return float(text.strip())


def number_text(number: float) -> str:
    """The number as `parse_number` reads it: without an exponent."""
    return format(Decimal(repr(number)).normalize() + 0, "f")


def parse_gradient(low: str, high: str) -> tuple[float, float]:
    """The two ends, 0 and 0 where both are empty. Raises BadMarking unless low < high, or both are 0."""
    ends = parse_number(low or "0", "The low end"), parse_number(high or "0", "The high end")
    if ends != (0, 0) and ends[0] >= ends[1]:
        raise BadMarking("The low end of the colours must be below the high end")
    return ends


def flags_of_pairs(pairs: Iterable[Sequence[object]]) -> tuple[Flag, ...]:
    """Flags from pairs of an operator and a number. Raises BadMarking for what is none, and for one given twice."""
    flags: list[Flag] = []
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2 or str(pair[0]) not in set(Operator):
            raise BadMarking("A flag is >, = or < and a number")
        flag = Flag(Operator(str(pair[0])), _number_of(pair[1]))
        if flag in flags:
            raise BadMarking(f"The flag {flag.operator} {flag.number:g} is given twice")
        flags.append(flag)
    if len(flags) > MOST_FLAGS:
        raise BadMarking(f"A page has up to {MOST_FLAGS} flags")
    return tuple(flags)


def _number_of(value: object) -> float:
    """A flag's number: stored or from JSON as a number, else as typed. Raises BadMarking."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and abs(value) <= MOST:  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    return parse_number(str(value), "A flag’s number")


def parse_flags(text: str) -> tuple[Flag, ...]:
    """Flags of the form `>,1000*<,5`. Raises BadMarking."""
    return flags_of_pairs([part.split(",") for part in text.split("*")] if text.strip() else [])


def parse_flag_list(text: str) -> tuple[Flag, ...]:
    """Flags as JSON, `[["<", 5]]`. Raises BadMarking."""
    try:
        pairs = json.loads(text or "[]")
    except (ValueError, RecursionError):
        pairs = None
    if not isinstance(pairs, list) or not all(isinstance(pair, list) for pair in pairs):
        raise BadMarking("all_flags_list: a JSON list of pairs is expected")
    return flags_of_pairs(pairs)


def flags_text(flags: Iterable[Flag]) -> str:
    """Flags as `parse_flags` reads them."""
    return "*".join(f"{flag.operator},{number_text(flag.number)}" for flag in flags)
