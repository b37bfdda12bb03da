"""Which answers a page shows: days of the study's calendar, and whether phones of the study team are among them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from core.surveys.schedules import local_date, wall_clock

FIRST_YEAR, LAST_YEAR = 2000, 2999
SPANS = (7, 30, 90)
"""Numbers of days, up to today, that a link chooses."""
NO_DAY = "A date like 2030-01-31."


@dataclass(frozen=True)
class Choice:
    """Days, both included; None means without an end. `first_typed` and `last_typed` are what the fields show.

    `problems` says by field what cannot be read; then no day is chosen.
    """

    zone: ZoneInfo
    first: date | None = None
    last: date | None = None
    span: int | None = None
    with_test: bool = False
    first_typed: str = ""
    last_typed: str = ""
    problems: Mapping[str, str] | None = None

    @property
    def since(self) -> datetime | None:
        """The beginning of the first day."""
        return wall_clock(self.first, time(), self.zone) if self.first else None

    @property
    def until(self) -> datetime | None:
        """The end of the last day, which is not included."""
        return wall_clock(self.last + timedelta(days=1), time(), self.zone) if self.last else None

    @property
    def has_days(self) -> bool:
        """Whether days are chosen."""
        return self.first is not None or self.last is not None

    def arguments(self, **changes: Any) -> dict[str, Any]:
        """The arguments of an address with this choice after `changes`; `span` replaces days, and 0 chooses all."""
        wanted = replace(self, **changes)
        found: dict[str, Any] = {}
        if wanted.span:
            found["days"] = wanted.span
        elif wanted.span is None:
            found |= {name: day.isoformat() for name in ("first", "last") if (day := getattr(wanted, name))}
        return found | ({"tests": "shown"} if wanted.with_test else {})


def read_choice(arguments: Mapping[str, str], zone: ZoneInfo, now: datetime) -> Choice:
    """What the arguments of an address choose: `days`, or `first` and `last`, and `tests`."""
    with_test = arguments.get("tests") == "shown"
    days = arguments.get("days", "")
    if days.isascii() and days.isdecimal() and int(days[:4]) in SPANS:
        today = local_date(now, zone)
        return Choice(zone, today - timedelta(days=int(days) - 1), None, int(days), with_test)
    typed = {name: arguments.get(name, "").strip()[:20] for name in ("first", "last")}
    found: dict[str, date] = {}
    problems: dict[str, str] = {}
    for name, text in typed.items():
        if text:
            day = _day(text)
            if day is None:
                problems[name] = NO_DAY
            else:
                found[name] = day
    if len(found) == 2 and found["last"] < found["first"]:
        problems["last"] = "Not before the first day."
    chosen = {} if problems else found
    return Choice(
        zone, chosen.get("first"), chosen.get("last"), None, with_test, typed["first"], typed["last"], problems or None
    )


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if FIRST_YEAR <= day.year <= LAST_YEAR else None
