"""Daily measures of participants and of a study (CLAR-82, FOREST-40)."""

from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.access import SiteLimit
from core.database import db
from core.downloads.statistics import MEASURES as EXPORTED
from core.forest.results import save_rows
from core.limits import limit_session
from core.measures.catalogue import FIRST_SHOWN, MEASURES
from core.measures.of_people import daily_measures
from core.measures.of_study import has_measures, measured_people, newest_day, study_measures
from core.measures.origins import origins
from core.models import ForestDay, ForestTask, Participant, Study
from tests.support.factories import Factory
from tests.support.measured import FIRST, measured_days
from tests.support.sites import TwoSites

LAST = FIRST + timedelta(days=11)
KILOMETRES, STEPS = MEASURES["jasmine_distance_traveled"], MEASURES["oak_steps"]
HOURS, ALL = MEASURES["jasmine_obs_duration"], list(MEASURES.values())


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    return factory.study(timezone_name="UTC")


@pytest.fixture
def people(factory: Factory, study: Study) -> list[Participant]:
    """Four, the last of whom is a phone of the study team."""
    people = [factory.participant(study, is_test=number == 3) for number in range(4)]
    for number, person in enumerate(people):
        measured_days(person, shift=float(number * (1000 if number == 3 else 1)))
    return people


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def test_every_exported_measure_can_be_shown():
    """FOREST-40: none is forgotten, and what is shown first exists."""
    assert set(EXPORTED) <= set(MEASURES) and set(FIRST_SHOWN) <= set(MEASURES)
    assert [name for name, measure in MEASURES.items() if not name.startswith(measure.tree)] == []


def test_days_of_a_participant_say_what_was_observed(study: Study, people: list[Participant]):
    """CLAR-82: fewer hours than the setting: imputed. Gaps stay gaps, and other trees are never imputed."""
    found = daily_measures(db.session(), study, people[:2], [KILOMETRES, STEPS, HOURS], FIRST, LAST, least_hours=6)
    one = found[people[0].id]
    kilometres, steps = one[KILOMETRES.name], one[STEPS.name]
    assert [at for at, value in kilometres.items() if value.is_imputed] == [day(2)]
    assert kilometres[day(2)].value == 12.0 and kilometres[day(2)].observed_hours == 2.5
    assert day(4) not in kilometres and len(kilometres) == 11
    assert steps[day(1)].value is None and not any(value.is_imputed for value in steps.values())
    assert (steps[day(0)].observed_hours, steps[day(3)].observed_hours) == (3, 0)
    assert not one[HOURS.name][day(2)].is_imputed
    assert found[people[1].id][KILOMETRES.name][day(0)].value == 11.0
    strict = daily_measures(db.session(), study, people[:1], [KILOMETRES], FIRST, LAST, least_hours=24)
    assert all(value.is_imputed for value in strict[people[0].id][KILOMETRES.name].values())


def test_hours_that_are_not_known_make_a_value_imputed_and_nan_is_no_value(study: Study, people: list[Participant]):
    db.session.execute(sa.update(ForestDay).values(jasmine_obs_duration=None, jasmine_home_duration=float("nan")))
    chosen = [KILOMETRES, MEASURES["jasmine_home_duration"]]
    found = daily_measures(db.session(), study, people[:1], chosen, FIRST, FIRST, least_hours=6)[people[0].id]
    assert found[KILOMETRES.name][FIRST].is_imputed and found["jasmine_home_duration"][FIRST].value is None


def test_medians_leave_out_imputed_values_and_test_participants(study: Study, people: list[Participant]):
    """CLAR-82: on the day whose mobility is imputed, nothing is counted; steps of that day are."""
    found = study_measures(db.session(), study, [KILOMETRES, STEPS], FIRST, LAST, least_hours=6)
    by_day = {row.day: row for row in found[KILOMETRES.name]}
    first, imputed = by_day[day(0)], by_day[day(2)]
    assert (first.lower, first.median, first.upper, first.counted, first.imputed) == (10.5, 11, 11.5, 3, 0)
    assert (imputed.median, imputed.counted, imputed.imputed) == (None, 0, 3)
    assert day(4) not in by_day and day(1) not in {row.day for row in found[STEPS.name]}
    assert {row.day: row.counted for row in found[STEPS.name]}[day(2)] == 3
    with_test = study_measures(db.session(), study, [KILOMETRES], FIRST, FIRST, least_hours=6, with_test=True)
    assert with_test[KILOMETRES.name][0].counted == 4


def test_all_measures_are_computed_at_once(study: Study, people: list[Participant]):
    """Each expression is valid SQL, and dividing by no survey is no value."""
    days = {"sycamore_total_surveys": 4, "sycamore_total_completed_surveys": 1, "sycamore_average_time_to_open": 90.0}
    calls = {"willow_incoming_call_count": 2, "willow_outgoing_call_count": 3}
    db.session.execute(sa.update(ForestDay).where(ForestDay.day == FIRST).values(**days, **calls))
    db.session.execute(sa.update(ForestDay).where(ForestDay.day == day(1)).values(sycamore_total_surveys=0))
    found = daily_measures(db.session(), study, people[:1], ALL, FIRST, LAST, least_hours=6)[people[0].id]
    assert (found["sycamore_completion"][FIRST].value, found["sycamore_completion"][day(1)].value) == (25, None)
    assert found["sycamore_average_time_to_open"][FIRST].value == 1.5 and found["willow_calls"][FIRST].value == 5
    assert len(study_measures(db.session(), study, ALL, FIRST, LAST, least_hours=6)) == len(MEASURES)


def test_people_with_measures_and_where_these_come_from(study: Study, people: list[Participant]):
    found, total = measured_people(db.session(), study, FIRST, LAST, least_hours=6, limit=2)
    assert total == 3 and [(one.patient_id, one.days, one.imputed_days, one.newest) for one in found] == [
        (person.patient_id, 11, 1, LAST) for person in sorted(people[:3], key=lambda one: one.patient_id)[:2]
    ]
    assert measured_people(db.session(), study, LAST + timedelta(1), LAST + timedelta(9), least_hours=6, limit=2) == (
        [],
        0,
    )
    jasmine, oak = origins(db.session(), study)
    assert (jasmine.tree, jasmine.versions, jasmine.participants, jasmine.stale_days) == ("jasmine", ("1.0",), 4, 0)
    study.timezone_name = "America/New_York"
    stale = [origin.stale_days for origin in origins(db.session(), study, people[:1])]
    assert stale == [11, 11] and oak.tree == "oak"


def test_a_task_of_one_day_clears_the_mark_of_that_day_alone(study: Study, people: list[Participant]):
    """CLAR-81, FOREST-40: days say which task made them; the newest task says nothing of the others."""
    study.timezone_name = "Asia/Tokyo"
    of = {"study_id": study.id, "participant_id": people[0].id, "tree": "oak", "state": "success"}
    ended = datetime(2026, 4, 1, tzinfo=UTC)
    task = ForestTask(**of, start_on=FIRST, end_on=FIRST, zone="Asia/Tokyo", library_version="1.1", ended_at=ended)
    db.session.add(task)
    db.session.flush()
    rows = [{"date": FIRST.isoformat(), "oak_steps": 5.0, "oak_walking_time": 3.0, "oak_cadence": None}]
    save_rows(db.session(), task, rows, [FIRST])
    jasmine, oak = origins(db.session(), study, people[:1])
    assert (oak.stale_days, oak.versions, oak.newest_at) == (10, ("1.0", "1.1"), ended)
    assert (jasmine.stale_days, jasmine.versions) == (11, ("1.0",))
    assert [origin.stale_days for origin in origins(db.session(), study)] == [44, 43]


def test_a_limited_person_s_figures_are_of_the_site(app: Flask, factory: Factory):
    """PERM-95: medians, lists, and whether there are measures at all."""
    sites = TwoSites(factory)
    sites.fill_the_others()
    study, march = sites.study, date(2026, 3, 1)
    assert study_measures(db.session(), study, [STEPS], march, march, least_hours=6)[STEPS.name][0].counted == 16
    db.session.commit()
    limit_session(db.session(), {study.id: SiteLimit(sites.site.id, ("Northern clinic",))})
    (row,) = study_measures(db.session(), study, [STEPS], march, march, least_hours=6)[STEPS.name]
    assert (row.counted, row.median) == (3, 1_013)
    people, total = measured_people(db.session(), study, march, march, least_hours=6, limit=50)
    assert total == 3 and all(person.patient_id.startswith("north") for person in people)
    assert newest_day(db.session(), study.id) == march and has_measures(db.session(), study)
    assert [origin.participants for origin in origins(db.session(), study)] == [3]
