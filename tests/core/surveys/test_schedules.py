"""From schedules to moments, and the command that shows it; the rows of schedules in the database."""

import json
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from core.database import db
from core.models import Intervention, InterventionDate, Schedule
from core.surveys.schedules import Absolute, Relative, ScheduleKind, Weekly, counts_as, is_due, wall_clock, wanted_times
from core.surveys.timing_lists import TimingRefused, read_timings
from tests.support.factories import Factory
from tests.support.paths import VECTORS
from webapp.commands.schedules import answer_to, schedules_commands

CASES = json.loads((VECTORS / "schedules" / "schedules.json").read_text())["cases"]
ANSWERS = ("wanted", "created_if_none", "counts_as", "due")
NEW_YORK, TOKYO = ZoneInfo("America/New_York"), ZoneInfo("Asia/Tokyo")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_every_vector_holds(case: dict[str, Any]):
    """NOTIF-2, NOTIF-4, NOTIF-5, NOTIF-6, NOTIF-21."""
    asked = {name: value for name, value in case.items() if name not in ANSWERS}
    assert answer_to(asked) == {name: case[name] for name in ANSWERS if name in case}


def test_a_skipped_time_counts_with_the_offset_before_the_gap_and_a_double_one_is_the_first():
    """NOTIF-4."""
    assert wall_clock(date(2024, 3, 10), time(2, 30), NEW_YORK) == utc("2024-03-10T07:30:00")
    assert wall_clock(date(2024, 11, 3), time(1, 30), NEW_YORK) == utc("2024-11-03T05:30:00")


@pytest.mark.parametrize(
    ("now", "first", "last"),
    [
        ("2024-06-08T23:59:59", "2024-05-26", "2024-06-15"),  # Saturday
        ("2024-06-09T00:00:00", "2024-06-02", "2024-06-22"),  # Sunday
    ],
)
def test_weeks_turn_on_sunday_by_the_studys_clock(now: str, first: str, last: str):
    """NOTIF-5: last, this and next week."""
    zone = ZoneInfo("America/Los_Angeles")
    moment = datetime.fromisoformat(now).replace(tzinfo=zone)
    sundays = wanted_times(Weekly(0, time(0, 0)), zone, moment)
    saturdays = wanted_times(Weekly(6, time(23, 59)), zone, moment)
    assert sundays[0].astimezone(zone).isoformat().startswith(f"{first}T00:00")
    assert saturdays[-1].astimezone(zone).isoformat().startswith(f"{last}T23:59")
    assert (len(sundays), len(saturdays)) == (3, 3)


def test_the_time_that_counts_is_on_the_participants_clock():
    """NOTIF-21: 9:00 of a study in New York is 9:00 in Tokyo; the study's zone while theirs is unknown."""
    at = wall_clock(date(2024, 6, 3), time(9), NEW_YORK)
    in_tokyo = utc("2024-06-03T00:00:00")
    assert counts_as(at, NEW_YORK, TOKYO) == in_tokyo
    assert counts_as(at, NEW_YORK, None) == at
    assert is_due(at, NEW_YORK, TOKYO, in_tokyo)
    assert not is_due(at, NEW_YORK, TOKYO, utc("2024-06-02T23:59:59"))


@given(
    day=st.dates(date(1990, 1, 1), date(2090, 1, 1)),
    minute=st.integers(0, 1439),
    zone=st.sampled_from(["America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia"]),
)
def test_a_moment_shows_its_own_wall_clock_unless_that_was_skipped(day: date, minute: int, zone: str):
    """NOTIF-4."""
    of_day = time(minute // 60, minute % 60)
    moment = wall_clock(day, of_day, ZoneInfo(zone))
    shown = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert shown >= datetime.combine(day, of_day)  # later only where clocks jumped over it
    assert counts_as(moment, ZoneInfo(zone), None) == moment


def test_dates_beyond_the_calendar_want_nothing():
    """NOTIF-6: odd old rows stop nobody's events."""
    assert wanted_times(Relative(1, 30, time()), NEW_YORK, utc("2024-01-01"), date(9999, 12, 31)) == []
    assert wanted_times(Relative(1, 30, time()), NEW_YORK, utc("2024-01-01"), None) == []


def test_equal_timings_are_one_and_seconds_are_cut_to_minutes():
    """NOTIF-1, NOTIF-2."""
    assert read_timings(ScheduleKind.WEEKLY, [[5459, 5400], [], [], [], [], [], []]) == [Weekly(0, time(1, 30))]
    assert read_timings(ScheduleKind.ABSOLUTE, [[2024, 2, 29, 86399]]) == [Absolute(date(2024, 2, 29), time(23, 59))]
    assert read_timings(ScheduleKind.RELATIVE, [[7, -1, 0], ["A", 0, 60]]) == [
        Relative(7, -1, time()),
        Relative("A", 0, time(0, 1)),
    ]


@pytest.mark.parametrize(
    ("kind", "value", "named"),
    [
        ("weekly", [[]] * 6, "seven lists"),
        ("weekly", {}, "a list"),
        ("weekly", [[], [0, 86400], [], [], [], [], []], "day 1, entry 2"),
        ("weekly", [["9:00"], [], [], [], [], [], []], "day 0, entry 1"),
        ("weekly", [[True], [], [], [], [], [], []], "day 0, entry 1"),
        ("absolute", [[2024, 1, 1, 0], [2023, 2, 29, 0]], "entry 2: there is no such date"),
        ("absolute", [[2024, 1, 1]], "entry 1"),
        ("absolute", [[9999, 12, 31, 0]], "far away"),
        ("absolute", [[10**30, 1, 1, 0]], "no such date"),
        ("relative", [[1, 0, -1]], "entry 1"),
        ("relative", [[1, 10**9, 0]], "entry 1"),
        ("relative", [[None, 0, 0]], "entry 1"),
        ("relative", ["abc"], "entry 1"),
    ],
)
def test_a_timing_that_cannot_be_is_refused_with_its_place(kind: str, value: Any, named: str):
    """SURVEY-30, NOTIF-2."""
    with pytest.raises(TimingRefused, match=named):
        read_timings(ScheduleKind(kind), value)


# --- the command


def expand(file: Path, *more: str) -> Result:
    app = Flask("commands_alone")
    app.cli.add_command(schedules_commands)
    return app.test_cli_runner().invoke(args=["schedules", "expand", str(file), *more])


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_the_command_answers_in_json(tmp_path: Path, more: tuple[str, ...]):
    """NOTIF-4, NOTIF-21."""
    (tmp_path / "case.json").write_text(json.dumps(CASES[0]))
    result = expand(tmp_path / "case.json", *more)
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"counts_as": CASES[0]["counts_as"], "due": True})


WEEKLY = {"kind": "weekly", "study_zone": "UTC", "now": "2024-01-01T00:00:00Z", "timings": [[]] * 7}


@pytest.mark.parametrize(
    "case",
    [
        None,
        "{",
        b"\xff",
        "[" * 100_000,
        [],
        {},
        {**WEEKLY, "kind": "daily"},
        {**WEEKLY, "kind": []},
        {**WEEKLY, "study_zone": "Mars/Base"},
        {**WEEKLY, "study_zone": "America"},
        {**WEEKLY, "study_zone": "../x"},
        {**WEEKLY, "study_zone": 5},
        {**WEEKLY, "now": "2024-01-01T00:00:00"},
        {**WEEKLY, "now": "today"},
        {**WEEKLY, "now": "0001-01-01T00:00:00Z"},
        {**WEEKLY, "timings": [[]] * 8},
        {**WEEKLY, "timings": None},
        {**WEEKLY, "kind": "relative", "timings": [], "intervention_dates": {"A": "soon"}},
        {**WEEKLY, "kind": "relative", "timings": [], "intervention_dates": [1]},
        {**WEEKLY, "kind": "due", "participant_zone": "UTC"},
        {**WEEKLY, "kind": "due", "scheduled_time": "2024-01-01T00:00:00Z"},
    ],
    ids=repr,
)
def test_bad_input_is_one_line_and_status_1(tmp_path: Path, case: Any):
    """The contract for commands; nothing is answered."""
    file = tmp_path / "case.json"
    if isinstance(case, str | bytes):
        file.write_bytes(case.encode() if isinstance(case, str) else case)
    elif case is not None:
        file.write_text(json.dumps(case))
    result = expand(file)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert result.stderr.startswith("Error: ")


# --- rows


def refused(statement: sa.Executable) -> bool:
    try:
        db.session.execute(statement)
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return True
    return False


def test_a_schedule_has_exactly_the_columns_of_its_kind_once(app: Flask, factory: Factory):
    """NOTIF-1, MODEL-109: kept by the database, PostgreSQL 14 included."""
    study = factory.study()
    survey, intervention = factory.survey(study), factory.intervention(study)
    common = {"survey_id": survey.id, "time_of_day": time(9)}
    of_kind: dict[str, dict[str, Any]] = {
        "weekly": {"weekday": 0},
        "absolute": {"falls_on": date(2024, 1, 1)},
        "relative": {"intervention_id": intervention.id, "days_after": 0},
    }
    for kind, columns in of_kind.items():
        assert not refused(sa.insert(Schedule).values(**common, kind=kind, **columns))
        assert refused(sa.insert(Schedule).values(**common, kind=kind, **columns))
        assert refused(sa.insert(Schedule).values(**common, kind=kind))
        for other in of_kind.values():
            if other is not columns:
                assert refused(sa.insert(Schedule).values(**common, kind=kind, **columns, **other))
    for wrong in ({"weekday": 7}, {"weekday": 1, "time_of_day": time(9, 0, 1)}):
        assert refused(sa.insert(Schedule).values(**{**common, "kind": "weekly", **wrong}))


def test_interventions_are_unique_by_name_and_stay_while_a_schedule_uses_them(app: Flask, factory: Factory):
    """MODEL-101."""
    participant = factory.participant()
    study = participant.study
    used, unused = factory.intervention(study, "Surgery"), factory.intervention(study, "Discharge")
    factory.schedule(factory.survey(study), Relative(used.id, 1, time(9)))
    factory.intervention_date(participant, unused, date(2024, 1, 1))
    factory.intervention_date(participant, unused, date(2024, 1, 2))
    assert refused(sa.insert(Intervention).values(study_id=study.id, name="SURGERY"))
    assert not refused(sa.insert(Intervention).values(study_id=factory.study().id, name="SURGERY"))
    assert refused(sa.delete(Intervention).where(Intervention.id == used.id))
    assert db.session.scalars(db.select(InterventionDate.happens_on)).all() == [date(2024, 1, 2)]
    assert not refused(sa.delete(Intervention).where(Intervention.id == unused.id))
    assert db.session.scalars(db.select(InterventionDate)).all() == []
