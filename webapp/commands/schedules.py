"""`schedules expand`: turns survey schedules into times, without a database or server."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from core.surveys.schedules import Random, Relative, ScheduleKind, counts_as, is_created, is_due, wanted_times
from core.surveys.timing_lists import TimingRefused, read_timings
from webapp.commands.output import CommandGroup, fail

schedules_commands = CommandGroup("schedules", help="Look at when surveys are asked.")
DUE = "due"
KINDS = (*(kind for kind in ScheduleKind if kind is not ScheduleKind.RANDOM), DUE)


class CaseRefused(Exception):
    """The file's content is invalid; the message says what is wrong."""


@schedules_commands.command("expand")
@click.option("--json", "_is_json", is_flag=True, help="No effect: the answer is always JSON.")
@click.argument("file", type=click.Path(path_type=Path))
def expand(file: Path, _is_json: bool) -> None:
    """Print the times (UTC) of the schedules in FILE, or the time at which one event counts and whether it is due.

    FILE is a JSON object with `study_zone`, `now` and `kind`. The kinds weekly, absolute and relative also need
    `timings`; relative also needs `intervention_dates`, an object of name to date or null. The kind due needs
    `scheduled_time`, and `participant_zone` or `participant_zone_unknown`.
    """
    try:
        case = json.loads(file.read_bytes())
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    except (ValueError, RecursionError):
        fail(f"{file}: not JSON")
    try:
        answer = answer_to(case)
    except (CaseRefused, TimingRefused) as error:
        fail(f"{file}: {error}")
    click.echo(json.dumps(answer))


def answer_to(case: Any) -> dict[str, Any]:
    """Returns `wanted` and `created_if_none` (NOTIF-4), or for kind due `counts_as` and `due` (NOTIF-21).

    Raises CaseRefused or TimingRefused for invalid content.
    """
    if not isinstance(case, dict):
        raise CaseRefused("an object is expected")
    if case.get("kind") not in KINDS:
        raise CaseRefused(f"kind: one of {', '.join(KINDS)}")
    zone, now = _zone(case, "study_zone"), _moment(case, "now")
    if case["kind"] == DUE:
        at = _moment(case, "scheduled_time")
        theirs = None if case.get("participant_zone_unknown") else _zone(case, "participant_zone")
        try:
            return {"counts_as": _text(counts_as(at, zone, theirs)), "due": is_due(at, zone, theirs, now)}
        except OverflowError:
            raise CaseRefused("scheduled_time: beyond the calendar") from None
    timings = read_timings(ScheduleKind(case["kind"]), case.get("timings"))
    dates = _dates(case.get("intervention_dates") or {})
    events = [
        (at, is_created(timing, at, now))
        for timing in timings
        if not isinstance(timing, Random)
        for at in wanted_times(timing, zone, now, _date_for(timing, dates))
    ]
    return {
        "wanted": [_text(at) for at in sorted({at for at, _ in events})],
        "created_if_none": [_text(at) for at in sorted({at for at, is_made in events if is_made})],
    }


def _date_for(timing: Any, dates: Mapping[str, date | None]) -> date | None:
    return dates.get(str(timing.intervention)) if isinstance(timing, Relative) else None


def _dates(value: Any) -> dict[str, date | None]:
    try:
        return {name: on and date.fromisoformat(on) for name, on in value.items()}
    except (AttributeError, TypeError, ValueError):
        raise CaseRefused("intervention_dates: dates such as 2024-03-10, or null, by name") from None


def _zone(case: Mapping[str, Any], key: str) -> ZoneInfo:
    try:
        return ZoneInfo(case[key])
    except (KeyError, TypeError, ValueError, OSError):  # a folder of the zone database is an OSError
        raise CaseRefused(f"{key}: a time zone is expected, such as America/New_York") from None


def _moment(case: Mapping[str, Any], key: str) -> datetime:
    """The time under `key`, in UTC. Only years 1900 to 2999: those can be converted to every zone."""
    try:
        moment = datetime.fromisoformat(case[key])
        if moment.tzinfo is None or not 1900 <= moment.year < 3000:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise CaseRefused(f"{key}: a moment is expected, such as 2024-03-10T07:30:00Z") from None
    return moment.astimezone(UTC)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
