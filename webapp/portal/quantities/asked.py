"""What a page of data quantities was asked for: days, colours, flags, order, unit (PORTAL-222, PORTAL-224)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from core.quantities.days import BadDay, Days, parse_day, shown_days
from core.quantities.marking import (
    BadMarking,
    Flag,
    Marking,
    flags_of_pairs,
    flags_text,
    number_text,
    parse_flag_list,
    parse_flags,
    parse_gradient,
)
from core.quantities.tables import Sort, StreamQuery

MARKS = ("color_low", "color_high", "show_color", "flags", "flag")


class Unit(StrEnum):
    """What cells show: bytes, bytes as people write sizes, or hours with data."""

    BYTES = "bytes"
    SIZES = "sizes"
    HOURS = "hours"


class Colours(StrEnum):
    """What the colours of cells show: bytes, or the share of the expected hours that have data."""

    AMOUNT = "amount"
    EXPECTED = "expected"


def asked_unit(values: Mapping[str, str]) -> Unit:
    """The unit; bytes for what is odd."""
    return Unit(values["unit"]) if values.get("unit") in set(Unit) else Unit.BYTES


def asked_colours(values: Mapping[str, str]) -> Colours:
    """What colours show. Unless it is said, the share where cells show hours, else the amount."""
    if values.get("colours") in set(Colours):
        return Colours(values["colours"])
    return Colours.EXPECTED if asked_unit(values) is Unit.HOURS else Colours.AMOUNT


def asked_days(values: Mapping[str, str], has_data: tuple[date, date]) -> Days:
    """The days to show. Raises BadDay."""
    return shown_days(*has_data, parse_day(values.get("start", "")), parse_day(values.get("end", "")))


def check_days(values: Mapping[str, str]) -> None:
    """Raises BadDay for days that cannot be read, also where there is nothing to show."""
    for name in ("start", "end"):
        parse_day(values.get(name, ""))


def asked_marking(values: Mapping[str, str], flags: list[str], defaults: Marking) -> Marking:
    """Colours and flags: those of the query, else the study's defaults. `flags` are as typed, such as `> 1000`.

    Raises BadMarking.
    """
    if not any(name in values for name in MARKS):
        return defaults
    low, high = parse_gradient(values.get("color_low", ""), values.get("color_high", ""))
    typed = flags_of_pairs([(flag.strip()[0], flag.strip()[1:]) for flag in flags if flag.strip()])
    return Marking(values.get("show_color") == "true", low, high, typed or parse_flags(values.get("flags", "")))


def saved_marking(values: Mapping[str, str]) -> Marking:
    """Colours and flags that a form saves as defaults (PORTAL-225). Raises BadMarking."""
    low, high = parse_gradient(values.get("color_low_range", ""), values.get("color_high_range", ""))
    has_colour = (low, high) != (0, 0) or values.get("show_color") == "true"
    return Marking(has_colour, low, high, parse_flag_list(values.get("all_flags_list", "")))


def asked_rows(values: Mapping[str, str]) -> StreamQuery:
    """Search, order and page of a stream's table; what is odd falls back to the default."""
    sort, page = values.get("sort", ""), values.get("page", "")
    return StreamQuery(
        search=values.get("search", "")[:60],
        sort=Sort(sort) if sort in set(Sort) else Sort.PATIENT_ID,
        is_descending=values.get("order") == "descending",
        page=int(page) if page.isascii() and page.isdecimal() and 0 < int(page[:6]) == int(page) else 1,
    )


@dataclass(frozen=True)
class Link:
    """The arguments of a page's links: what is chosen stays, unless a link changes it."""

    days: Days
    marking: Marking
    unit: Unit
    colours: Colours = Colours.AMOUNT
    rows: StreamQuery | None = None
    defaults: Marking = field(default_factory=Marking)

    def arguments(self, **changed: object) -> dict[str, str]:
        """The query of a link; `changed` replaces `start`, `end`, `sort`, `order`, `page`, `search`, `unit`,
        `colours`."""
        values: dict[str, object] = {"start": self.days.start, "end": self.days.end}
        if self.unit is not Unit.BYTES:
            values["unit"] = self.unit
        if (self.colours is Colours.EXPECTED) != (self.unit is Unit.HOURS):
            values["colours"] = self.colours
        if self.marking != self.defaults:
            values |= {
                "show_color": "true" if self.marking.has_colour else "false",
                "color_low": number_text(self.marking.low),
                "color_high": number_text(self.marking.high),
                "flags": flags_text(self.marking.flags),
            }
        if self.rows is not None:
            values |= {
                "search": self.rows.search,
                "sort": "" if self.rows.sort is Sort.PATIENT_ID else self.rows.sort,
                "order": "descending" if self.rows.is_descending else "",
            }
        return {name: str(value) for name, value in {**values, **changed}.items() if value not in (None, "")}


__all__ = [
    "BadDay",
    "BadMarking",
    "Colours",
    "Flag",
    "Link",
    "Unit",
    "asked_colours",
    "asked_days",
    "asked_marking",
    "asked_rows",
    "asked_unit",
    "check_days",
    "saved_marking",
]
