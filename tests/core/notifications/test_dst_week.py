"""Weeks with a change of clocks, replayed for phones in six zones (NOTIF-21, NOTIF-4)."""

from datetime import date
from pathlib import Path

import pytest

from core.config import REPOSITORY
from tests.support.dst_week import SUNDAYS, ZONES, Week, replayed
from tests.support.pushing import Pushing

DOCUMENT = REPOSITORY / "docs" / "notifications.md"


def test_a_change_of_clocks_moves_no_message(pushing: Pushing):
    """NOTIF-21: the Sunday of New York's change, in six zones."""
    day = replayed(pushing, SUNDAYS[0], days=1)
    assert {zone: day.received[zone][SUNDAYS[0]] for zone in ZONES} == {zone: ["16:00"] for zone in ZONES}


@pytest.mark.long
@pytest.mark.parametrize("sunday", SUNDAYS)
def test_sixteen_hours_is_sixteen_hours_once_a_day_in_every_zone(pushing: Pushing, sunday: date):
    """NOTIF-21: as the stand-in received them, and as the document shows."""
    week = replayed(pushing, sunday)
    assert {zone: week.received[zone] for zone in ZONES} == {
        zone: {day: ["16:00"] for day in week.received[zone]} for zone in ZONES
    }
    assert all(set(week.days) <= set(week.received[zone]) for zone in ZONES)
    assert week.table() in _documented(DOCUMENT)
    assert _changes(week), "no clock changes in this week"


def _documented(path: Path) -> str:
    return path.read_text()


def _changes(week: Week) -> list[str]:
    """Zones whose offset changes in the week."""
    return [zone for zone in ZONES if len({week.offsets[zone][day] for day in week.days}) > 1]
