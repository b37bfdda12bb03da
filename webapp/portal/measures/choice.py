"""What a page of measures shows: days of the study's calendar, measures, and whether test participants count."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from werkzeug.datastructures import MultiDict

from core.measures.catalogue import FIRST_SHOWN, MEASURES, Measure

SPANS = (30, 90, 365)
"""Numbers of days, up to the newest with measures, that a link chooses."""
USUAL_SPAN = 90
FIRST_YEAR, LAST_YEAR = 2000, 2999
NO_DAY = "A date like 2030-01-31."


@dataclass(frozen=True)
class Choice:
    """Days, both included. `span` is set where they are a number of days up to `newest`.

    `problems` says by field what cannot be read; then the usual days are shown. `first_typed` and `last_typed` are what
    the fields show.
    """

    first: date
    last: date
    span: int | None
    measures: tuple[Measure, ...]
    with_test: bool = False
    first_typed: str = ""
    last_typed: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)

    @property
    def days(self) -> list[date]:
        """All days, in their order."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    def arguments(self, **changes: Any) -> dict[str, Any]:
        """The arguments of an address with this choice after `changes`."""
        wanted = replace(self, **changes)
        days = {"first": wanted.first.isoformat(), "last": wanted.last.isoformat()}
        found: dict[str, Any] = {"days": wanted.span} if wanted.span else days
        names = [measure.name for measure in wanted.measures]
        found |= {"measure": names} if names != _usual_names() else {}
        return found | ({"tests": "shown"} if wanted.with_test else {})


def read_choice(arguments: MultiDict[str, str], newest: date, most_days: int) -> Choice:
    """What the arguments of an address choose: `days`, or `first` and `last`; `measure`, repeated; `tests`.

    `newest` is the newest day with measures, or today; at most `most_days` days are chosen.
    """
    asked = set(arguments.getlist("measure"))
    names = [name for name in MEASURES if name in asked] or _usual_names()
    measures = tuple(MEASURES[name] for name in names)
    with_test = arguments.get("tests") == "shown"
    typed = {name: arguments.get(name, "").strip()[:20] for name in ("first", "last")}
    span = next((span for span in SPANS if arguments.get("days") == str(span)), None)
    if span or not any(typed.values()):
        return _spanning(span or USUAL_SPAN, newest, measures, with_test)
    found = {name: read_day(text) for name, text in typed.items() if text}
    problems = {name: NO_DAY for name, day in found.items() if day is None}
    first, last = found.get("first"), found.get("last")
    if not problems:
        last = last or (min(max(newest, first), first + timedelta(days=most_days - 1)) if first else newest)
        first = first or last - timedelta(days=USUAL_SPAN - 1)
        if last < first:
            problems["last"] = "Not before the first day."
        elif (last - first).days >= most_days:
            problems["last"] = f"At most {most_days:,} days."
    if problems or first is None or last is None:
        usual = _spanning(USUAL_SPAN, newest, measures, with_test)
        return replace(usual, first_typed=typed["first"], last_typed=typed["last"], problems=problems)
    return Choice(first, last, None, measures, with_test)


def _spanning(span: int, newest: date, measures: tuple[Measure, ...], with_test: bool) -> Choice:
    return Choice(newest - timedelta(days=span - 1), newest, span, measures, with_test)


def _usual_names() -> list[str]:
    return [name for name in MEASURES if name in FIRST_SHOWN]


def read_day(text: str) -> date | None:
    """The day of a text such as `2026-03-01`; None for anything else, and for years that no study has."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if FIRST_YEAR <= day.year <= LAST_YEAR else None
