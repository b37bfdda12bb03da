"""Measures of a participant whose days are known, through stored chunks, tasks and the database."""

from datetime import UTC, date, datetime

import pytest
from flask import Flask

from core.audit import COMMAND_LINE
from core.database import db
from core.measures.origins import origins
from core.models import Study
from core.streams import DataStream
from core.studies.changing import set_timezone
from tests.forest_truth.life import AUTUMN, SPRING, Life
from tests.forest_truth.server import ALL_TREES, compared, measure, settle
from tests.support.factories import Factory

CALLS_AND_TEXTS = (DataStream.CALLS, DataStream.TEXTS)


def test_calls_and_surveys_of_a_day_of_25_hours(app: Flask, factory: Factory) -> None:
    """FOREST-2, FOREST-3, CLAR-81: first and last hours of days, a range across a Sunday, random times and arms."""
    life = Life(AUTUMN)
    participant = settle(life, factory, CALLS_AND_TEXTS)
    trees = ("willow", "sycamore")
    assert [one.state for one in measure(participant, trees, life.days)] == ["success", "success"]
    assert [line for line in compared(life, participant, trees, life.days) if not line.is_right] == []


def test_a_day_alone_has_the_same_measures(app: Flask, factory: Factory) -> None:
    """FOREST-2: the last hour of a range counts where the participant has later data; nights take single days."""
    life = Life(SPRING)
    participant = settle(life, factory, CALLS_AND_TEXTS)
    for day in life.days[:2]:
        measure(participant, ("willow",), [day])
    assert [line for line in compared(life, participant, ("willow",), life.days[:2]) if not line.is_right] == []


@pytest.mark.long
@pytest.mark.parametrize("first", [SPRING, AUTUMN])
def test_all_measures_are_true_within_their_tolerances(app: Flask, factory: Factory, first: date) -> None:
    """FOREST-40, CLAR-81: four trees, days of 23 and 25 hours; then the study moves to a zone of half hours."""
    life = Life(first)
    participant = settle(life, factory)
    assert {one.state for one in measure(participant, ALL_TREES, life.days)} == {"success"}
    assert [line for line in compared(life, participant, ALL_TREES, life.days) if not line.is_right] == []
    study = db.session.get_one(Study, participant.study_id)
    set_timezone(db.session(), study, "Asia/Kolkata", datetime.now(UTC), actor=COMMAND_LINE)
    db.session.commit()
    assert [one.stale_days for one in origins(db.session(), study, [participant])] == [3] * 4
    measure(participant, ("oak", "willow"), life.days)
    assert [line for line in compared(life, participant, ("oak", "willow"), life.days) if not line.is_right] == []
    stale = [one.tree for one in origins(db.session(), study, [participant]) if one.stale_days]
    assert stale == ["jasmine", "sycamore"]
