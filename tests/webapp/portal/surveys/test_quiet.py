"""Times of a survey that lie in quiet hours are named on its page (CLAR-54)."""

from datetime import time

import pytest
from flask import Flask

from core.models import Study
from core.surveys.schedules import ScheduleKind, Weekly
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from webapp.portal.surveys.quiet import quiet_times
from webapp.portal.surveys.schedule_form import Row

NIGHT = Study(quiet_from=time(22), quiet_until=time(7))
NOON = Study(quiet_from=time(12), quiet_until=time(13))


@pytest.mark.parametrize(
    ("row", "study", "expected"),
    [
        (Row(ScheduleKind.WEEKLY, frozenset({1, 3}), "23:30"), NIGHT, ["23:30 Mon, Wed"]),
        (Row(ScheduleKind.WEEKLY, frozenset({1}), "06:59"), NIGHT, ["06:59 Mon"]),
        (Row(ScheduleKind.WEEKLY, frozenset({1}), "07:00"), NIGHT, []),
        (Row(ScheduleKind.ABSOLUTE, at="22:00", on="2026-03-01"), NIGHT, ["22:00 2026-03-01"]),
        (Row(ScheduleKind.RELATIVE, at="02:00", offset="3"), NIGHT, ["02:00"]),
        (Row(ScheduleKind.RANDOM, frozenset({1}), "20:00", "22:30"), NIGHT, ["random times from 20:00 to 22:30"]),
        (Row(ScheduleKind.RANDOM, frozenset({1}), "10:00", "18:00"), NOON, ["random times from 10:00 to 18:00"]),
        (Row(ScheduleKind.RANDOM, frozenset({1}), "13:00", "18:00"), NOON, []),
        (Row(ScheduleKind.WEEKLY, frozenset({1}), "soon"), NIGHT, []),
        (Row(ScheduleKind.WEEKLY, frozenset({1}), "23:30"), Study(), []),
    ],
)
def test_times_in_quiet_hours_are_named(row: Row, study: Study, expected: list[str]):
    """CLAR-54: the first minute is quiet, the last is not; a window counts with any of its minutes."""
    assert quiet_times([row], study) == expected


@pytest.mark.usefixtures("quick_passwords")
def test_the_page_names_them_and_says_that_androids_alarms_stay(app: Flask, factory: Factory):
    """CLAR-54: also as typed, before they are saved."""
    study = factory.study()
    study.quiet_from, study.quiet_until = time(22), time(7)
    survey = factory.survey(study, name="Evening")
    factory.schedule(survey, Weekly(1, time(23)))
    visitor = Visitor(app, factory.researcher("mlopez", study=study))
    address = f"/edit_survey/{study.id}/{survey.id}/schedule"
    page = visitor.get(address).text
    assert "In quiet hours (22:00 to 07:00" in page and "23:00 Mon" in page
    assert "Android phones show weekly times by themselves all the same" in page
    typed = {"row": "0", "kind-0": "weekly", "at-0": "21:00", "days-0": "1", "show": "show"}
    assert "In quiet hours" not in visitor.post(address, **typed).text
