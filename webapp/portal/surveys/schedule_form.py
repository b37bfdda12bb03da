"""The form of a survey's schedules: rows of text, as typed, and the schedules that they mean (SURVEY-30).

Weekly times that differ in the day alone are one row with ticks for its days.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, time

from werkzeug.datastructures import MultiDict

from core.surveys.schedules import KIND_OF, Absolute, Arm, Planned, Random, Relative, ScheduleKind, Timing, Weekly
from core.surveys.timing_lists import MOST_DAYS_AFTER, YEARS, problem_of

UNITS = {"minutes": 1, "hours": 60, "days": 1440}
EVERY_DAY = frozenset(range(7))
MOST_ROWS = 2_000
LONGEST_NUMBER = 18


class RowsRefused(Exception):
    """Rows that mean no schedule; `rows` are all of them, each with its `problem`."""

    def __init__(self, rows: list["Row"]) -> None:
        super().__init__("; ".join(row.problem for row in rows if row.problem))
        self.rows = rows


@dataclass(frozen=True)
class Row:
    """One row as typed. Which texts count depends on `kind`; `arm` is `field number:value`, or empty for everybody."""

    kind: ScheduleKind
    days: frozenset[int] = frozenset()
    at: str = ""
    until: str = ""
    on: str = ""
    intervention: str = ""
    offset: str = ""
    direction: str = "after"
    prompts: str = ""
    distance: str = ""
    arm: str = ""
    problem: str = ""

    @property
    def is_blank(self) -> bool:
        """Whether nothing was typed, so that the row means nothing."""
        return not (self.days or self.at or self.until or self.on or self.offset or self.prompts)


NEW_ROWS = {
    ScheduleKind.WEEKLY: Row(ScheduleKind.WEEKLY, days=EVERY_DAY),
    ScheduleKind.ABSOLUTE: Row(ScheduleKind.ABSOLUTE),
    ScheduleKind.RELATIVE: Row(ScheduleKind.RELATIVE, offset="1"),
    ScheduleKind.RANDOM: Row(ScheduleKind.RANDOM, EVERY_DAY, "09:00", "21:00", prompts="3", distance="60"),
}


def rows_of(planned: Sequence[Planned]) -> list[Row]:
    """The rows that mean these schedules, in the order of kinds and times."""
    weekly: dict[tuple[time, str], set[int]] = {}
    rows = []
    for each in planned:
        if isinstance(each.timing, Weekly):
            weekly.setdefault((each.timing.time_of_day, _arm_text(each.arm)), set()).add(each.timing.weekday)
        else:
            rows.append(_row_of(each.timing, _arm_text(each.arm)))
    rows += [
        Row(ScheduleKind.WEEKLY, frozenset(days), f"{at:%H:%M}", arm=arm) for (at, arm), days in sorted(weekly.items())
    ]
    order = list(ScheduleKind)
    return sorted(rows, key=lambda row: (order.index(row.kind), row.on, row.at, row.arm))


def _row_of(timing: Absolute | Relative | Random, arm: str) -> Row:
    kind = KIND_OF[type(timing)]
    match timing:
        case Absolute(day, at):
            return Row(kind, on=day.isoformat(), at=f"{at:%H:%M}", arm=arm)
        case Relative(intervention, after, at):
            direction = "before" if after < 0 else "after"
            named = str(intervention)
            return Row(kind, intervention=named, offset=str(abs(after)), direction=direction, at=f"{at:%H:%M}", arm=arm)
        case Random(days, first, last, prompts, distance):
            window = (f"{first:%H:%M}", f"{last:%H:%M}")
            return Row(kind, frozenset(days), *window, prompts=str(prompts), distance=str(distance), arm=arm)


def _arm_text(arm: Arm | None) -> str:
    return f"{arm.field}:{arm.value}" if arm else ""


def typed_rows(form: MultiDict[str, str], *, without: str | None = None) -> list[Row]:
    """The rows of a form that was sent, but the one that `without` names as the form does.

    Rows of kinds that do not exist, and days beside the seven, are left out.
    """
    rows = []
    for place in form.getlist("row"):
        kind = form.get(f"kind-{place}", "")
        if kind in set(ScheduleKind) and place != without:
            names = ("at", "until", "on", "intervention", "offset", "direction", "prompts", "distance", "arm")
            typed = {name: form.get(f"{name}-{place}", "").strip() for name in names}
            days = frozenset(int(day) for day in form.getlist(f"days-{place}") if day in set("0123456"))
            rows.append(Row(ScheduleKind(kind), days, **typed))
    return rows


def planned_of_rows(rows: Sequence[Row]) -> list[Planned]:
    """The schedules that the rows mean, each once; blank rows mean none. Raises RowsRefused, also for too many rows."""
    found: list[Planned] = []
    read = []
    for number, row in enumerate(rows, 1):
        try:
            if number > MOST_ROWS:
                raise ValueError(f"A survey has up to {MOST_ROWS:,} rows of times.")
            planned = [] if row.is_blank else list(_planned(row))
            read.append(replace(row, problem=""))
            found += planned
        except ValueError as wrong:
            read.append(replace(row, problem=str(wrong)))
    if any(row.problem for row in read):
        raise RowsRefused(read)
    return list(dict.fromkeys(found))


def _planned(row: Row) -> Iterator[Planned]:
    """Raises ValueError with a sentence for the row."""
    arm = arm_of(row.arm)
    return (Planned(timing, arm) for timing in _timings(row))


def arm_of(text: str) -> Arm | None:
    """The arm that `field number:value` names; None for an empty text. Raises ValueError."""
    if not text:
        return None
    field, _, value = text.partition(":")
    if not _is_number(field) or not value:
        raise ValueError("Choose for whom.")
    return Arm(int(field), value)


def _timings(row: Row) -> list[Timing]:
    match row.kind:
        case ScheduleKind.WEEKLY:
            if not row.days:
                raise ValueError("Tick at least one day.")
            at = _time(row.at)
            return [Weekly(day, at) for day in sorted(row.days)]
        case ScheduleKind.ABSOLUTE:
            return [Absolute(_date(row.on), _time(row.at))]
        case ScheduleKind.RELATIVE:
            if not _is_number(row.intervention):
                raise ValueError("Choose an intervention.")
            days = _number(row.offset, "days", MOST_DAYS_AFTER)
            return [Relative(int(row.intervention), -days if row.direction == "before" else days, _time(row.at))]
        case ScheduleKind.RANDOM:
            prompts, distance = _number(row.prompts, "times a day", 1000), _number(row.distance, "minutes", 1439)
            timing = Random(tuple(sorted(row.days)), _time(row.at), _time(row.until), prompts, distance)
            if problem := problem_of(timing):
                raise ValueError(f"{problem[0].upper()}{problem[1:]}.")
            return [timing]


def _time(text: str) -> time:
    try:
        found = time.fromisoformat(text)
    except ValueError:
        raise ValueError("Give a time of the day, such as 09:30.") from None
    if found.tzinfo is not None:
        raise ValueError("Give a time of the day without a time zone: it is that of each phone.")
    return found.replace(second=0, microsecond=0)


def _date(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise ValueError("Give a date.") from None
    if found.year not in YEARS:
        raise ValueError("The year is far away.")
    return found


def _is_number(text: str) -> bool:
    """Whether the text can be the number of a row in the database."""
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER


def _number(text: str, what: str, most: int) -> int:
    if not text.isdecimal() or not text.isascii() or int(text[:9]) > most:
        raise ValueError(f"Give a whole number of {what}, up to {most:,}.")
    return int(text)


def expiry_of(form: MultiDict[str, str]) -> int:
    """For how many minutes the survey can be answered; 0 for the study's time. Raises ValueError."""
    return expiry_minutes(form) if form.get("expiry") == "own" else 0


def expiry_minutes(form: MultiDict[str, str]) -> int:
    """The minutes that number and unit of the form give. Raises ValueError."""
    return _number(form.get("expiry_count", "").strip(), "units", 100_000) * UNITS.get(form.get("expiry_unit", ""), 1)


def expiry_in_units(minutes: int) -> tuple[int, str]:
    """The number and the largest unit that give these minutes exactly."""
    unit = next(name for name in reversed(UNITS) if minutes % UNITS[name] == 0)
    return minutes // UNITS[unit], unit
