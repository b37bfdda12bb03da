"""Pages of daily measures over HTTP (CLAR-82, DATA-26)."""

import csv
import io
import json
import re
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.access import Role
from core.database import db
from core.measures.of_study import StudyDay
from core.models import DataAccessRecord, ForestTask, Participant, Study
from tests.support.factories import Factory
from tests.support.measured import measured_days
from tests.support.portal_visitor import Visitor
from tests.support.sites import TwoSites
from tests.support.tracked import tracked_day
from webapp.portal.measures.drawing import draw

pytestmark = pytest.mark.usefixtures("quick_passwords")
KILOMETRES = "measure=jasmine_distance_traveled"


@pytest.fixture
def study(factory: Factory) -> Study:
    study = factory.study("Mood", timezone_name="UTC")
    study.has_forest = True
    db.session.commit()
    return study


@pytest.fixture
def people(factory: Factory, study: Study) -> list[Participant]:
    people = [factory.participant(study) for _ in range(3)]
    for number, person in enumerate(people[:2]):
        measured_days(person, shift=float(number))
    return people


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("nurse", study=study))


def of_study(study: Study, rest: str = "") -> str:
    return f"/view_study/{study.id}/measures{rest}"


def of(person: Participant, rest: str = "") -> str:
    return f"/view_study/{person.study_id}/participant/{person.patient_id}/measures{rest}"


def drawn(page: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page)]


def test_a_participant_s_charts_keep_imputed_apart_and_gaps_as_gaps(visitor: Visitor, people: list[Participant]):
    """CLAR-82: what the script draws, and the same in the table, with the word."""
    page = visitor.get(of(people[0], f"?{KILOMETRES}&measure=oak_steps")).text
    kilometres, steps = drawn(page)
    (one,) = kilometres["people"]
    assert (kilometres["first"], len(one["observed"])) == ("2025-12-13", 90) and "NaN" not in page
    assert one["observed"][-12:] == [10, 11, None, 13, None, 15, 16, 17, 18, 19, 20, 21]
    assert one["imputed"][-12:] == [None, None, 12, *[None] * 9] and one["hours"][-10] == 2.5
    assert (steps["people"][0]["observed"][-11], steps["leastHours"], steps["hoursOf"]) == (
        None,
        None,
        "accelerometer data",
    )
    assert page.count('<span class="badge">imputed</span>') == 1
    assert "imputed: fewer than 6 h of GPS" in page and "Jasmine (beiwe-forest 1.0)" in page
    assert "No places are shown" in page and page.count("<tbody><tr>") == 2


def test_up_to_four_participants_are_compared(visitor: Visitor, factory: Factory, people: list[Participant]):
    one, other, none = people
    page = visitor.get(of(one, f"?{KILOMETRES}&with={other.patient_id}+{one.patient_id},{none.patient_id}")).text
    (chart,) = drawn(page)
    assert [person["id"] for person in chart["people"]] == [one.patient_id, other.patient_id, none.patient_id]
    assert f"Leave out {other.patient_id}" in page
    stranger = factory.participant()
    for typed, problem in (
        (stranger.patient_id, f"{stranger.patient_id} is not a participant of this study."),
        ("a b c d", "At most 3 others."),
    ):
        refused = visitor.get(of(one, f"?with={typed}"))
        assert refused.status_code == 422 and problem in refused.text and f'value="{typed}"' in refused.text


def test_a_study_s_medians_and_its_people(visitor: Visitor, study: Study, people: list[Participant]):
    page = visitor.get(of_study(study, f"?{KILOMETRES}")).text
    assert "median 21.5 km on 12 Mar 2026" in page and 'class="left-out"' in page
    assert people[0].patient_id in page and people[2].patient_id not in page
    row = re.search(r">3 Mar 2026</th>(.*?)</tr>", page)
    assert row and re.findall(r"<td[^>]*>(.*?)</td>", row[1]) == ["–", "–", "–", "0", "2"]


def test_mobility_at_a_glance_shows_no_places(
    visitor: Visitor, app: Flask, factory: Factory, study: Study, people: list[Participant]
):
    """CLAR-82, PERM-94: five measures, imputed ones apart, also for viewers; the track is offered to administrators."""
    tracked_day(factory, people[0], date(2026, 3, 12))
    viewer = Visitor(app, factory.researcher("reader", study=study, role=Role.STUDY_VIEWER))
    page = viewer.get(of(people[0], "/mobility")).text
    lanes = re.findall(r'<svg viewBox="0 0 1000 100".*?</svg>', page, re.S)
    assert [lane.count('class="counted"') for lane in lanes] == [11, 10, 10, 10, 8]
    assert [lane.count('class="left-out"') for lane in lanes] == [0, 1, 1, 1, 1]
    assert page.count('<span class="badge">imputed</span>') == 4 and "Track of a day" not in page
    assert all(degrees not in page for degrees in ("42.3", "71.1"))
    assert [each.get(of(people[0], "/mobility/track")).status_code for each in (viewer, visitor)] == [403, 403]
    assert "No daily measures yet" in viewer.get(of(people[2], "/mobility")).text
    assert viewer.get(of(people[0], "/mobility?first=soon")).status_code == 422


def test_a_track_has_kilometres_from_home_and_is_logged(
    app: Flask, factory: Factory, study: Study, people: list[Participant]
):
    """PERM-90, DATA-26: for people who may see locations, and like a download of that day's GPS."""
    tracked_day(factory, people[0], date(2026, 3, 12))
    head = Visitor(app, factory.researcher("head", study=study, role=Role.STUDY_ADMIN))
    assert "Track of a day" in head.get(of(people[0])).text
    page = head.get(of(people[0], "/mobility/track")).text
    assert "at most 5.0 km from home" in page and page.count("<tr>") == 1 + 13
    assert all(degrees not in page for degrees in ("42.3", "71.1"))
    assert "No GPS of 1 Mar 2026" in head.get(of(people[0], "/mobility/track?day=2026-03-01")).text
    assert head.get(of(people[0], "/mobility/track?day=x")).status_code == 422
    records = db.session.scalars(sa.select(DataAccessRecord).order_by(DataAccessRecord.id)).all()
    assert [(one.kind, one.streams, one.patient_ids, one.parameters["day"]) for one in records] == [
        ("data", ["gps"], [people[0].patient_id], "2026-03-12"),
        ("data", ["gps"], [people[0].patient_id], "2026-03-01"),
    ]
    assert all(one.ended_at for one in records)


def test_files_hold_the_tables_and_are_in_the_log(visitor: Visitor, study: Study, people: list[Participant]):
    """DATA-26: who read it, of whom, and how much."""
    answer = visitor.get(of(people[0], f".csv?{KILOMETRES}&with={people[1].patient_id}"))
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    of_jasmine = (ForestTask.participant_id == people[0].id, ForestTask.tree == "jasmine")
    assert len(rows) == 22 and [row["imputed"] for row in rows].count("yes") == 2
    assert rows[2] == {
        "day": "2026-03-03",
        "participant_id": people[0].patient_id,
        "measure": "jasmine_distance_traveled",
        "unit": "km",
        "value": "12.0",
        "observed_hours": "2.5",
        "imputed": "yes",
        "task": str(db.session.scalar(sa.select(ForestTask.external_id).where(*of_jasmine))),
        "library": "1.0",
        "computed_at": "2026-03-20T04:00:00Z",
    }
    of_all = list(csv.DictReader(io.StringIO(visitor.get(of_study(study, f".csv?{KILOMETRES}")).text)))
    assert [(row["median"], row["participants"], row["imputed_left_out"]) for row in of_all[1:3]] == [
        ("11.5", "2", "0"),
        ("", "0", "2"),
    ]
    query = sa.select(DataAccessRecord.kind, DataAccessRecord.participants, DataAccessRecord.size_bytes)
    first, second = db.session.execute(query.order_by(DataAccessRecord.id)).all()
    assert first == ("statistics", 2, len(answer.data)) and second.participants == 3


def test_pages_say_why_they_are_empty(visitor: Visitor, study: Study, people: list[Participant]):
    page = visitor.get(of_study(study)).text
    assert "Willow has not run for any participant, so there is nothing about calls and texts." in page
    page = visitor.get(of(people[0], "?first=2026-04-01&last=2026-04-02")).text
    assert "No values from 1 Apr 2026 to 2 Apr 2026." in page and "The newest measures are of 12 Mar 2026." in page
    assert "Sycamore has not run for this participant" in page
    assert "No daily measures yet" in visitor.get(of(people[2])).text
    db.session.execute(sa.update(ForestTask).values(zone="Asia/Tokyo"))
    db.session.commit()
    assert "Some measures are of another time zone" in visitor.get(of(people[0])).text
    for odd in ("?first=yesterday", "?first=2026-03-02&last=2026-03-01", "?first=2001-01-01&last=2026-01-01"):
        refused = visitor.get(of_study(study, odd))
        assert refused.status_code == 422 and 'role="alert"' in refused.text
    for odd in ("?days=x", "?measure=nothing", "?page=999999", "?page=x", "?first=2026-03-01", "?last=2026-03-01"):
        assert visitor.get(of_study(study, odd)).status_code == 200


def test_the_pages_are_offered_where_there_is_something(visitor: Visitor, app: Flask, factory: Factory):
    """With Forest on, or with rows of before; also to viewers, who download nothing (PERM-94)."""
    study = factory.study()
    person = factory.participant(study)
    nurse, viewer = factory.researcher(study=study), factory.researcher(study=study, role=Role.STUDY_VIEWER)
    visitor = Visitor(app, nurse)
    overview, detail = f"/view_study/{study.id}", f"/view_study/{study.id}/participant/{person.patient_id}"

    def offered(by: Visitor) -> list[bool]:
        return [
            ">Daily measures</a>" in by.get(overview).text.replace("</svg>\n", ""),
            ">Measures</a>" in by.get(detail).text,
        ]

    assert offered(visitor) == [False, False] and "Forest is switched off" in visitor.get(of_study(study)).text
    study.has_forest = True
    db.session.commit()
    assert offered(visitor) == [True, True] and offered(Visitor(app, viewer)) == [True, True]
    assert "No daily measures yet" in visitor.get(of_study(study)).text
    study.has_forest = False
    measured_days(person)
    assert offered(visitor) == [True, True] and "Jasmine" in visitor.get(of_study(study)).text
    reading = Visitor(app, viewer)
    assert "CSV" in visitor.get(of(person)).text and "CSV" not in reading.get(of(person)).text
    assert reading.get(of(person, ".csv")).status_code == 403


def test_a_limited_person_compares_with_nobody_of_another_site(app: Flask, factory: Factory):
    """PERM-95: the other site's participants are as if unknown."""
    sites = TwoSites(factory)
    sites.fill_the_others()
    visitor = Visitor(app, sites.limited(Role.STUDY_RESEARCHER))
    page = visitor.get(of_study(sites.study, "?measure=oak_steps&first=2026-03-01&last=2026-03-02"))
    assert "3 participants with measures" in page.text and "zs" not in re.sub(r"/static/\S+", "", page.text)
    north, south = sites.north[0], sites.south[0]
    refused = visitor.get(of(north, f"?with={south.patient_id}"))
    assert refused.status_code == 422 and "is not a participant of this study" in refused.text
    assert south.patient_id not in visitor.get(of(north, f".csv?measure=oak_steps&with={south.patient_id}")).text


def test_a_drawing_has_gaps_where_nothing_was_observed():
    """CLAR-82: band and line are broken, and those left out stand above those who count."""
    day = date(2026, 3, 1)
    rows = [StudyDay(day + timedelta(n), n, n + 1, n + 2, 4, 0) for n in (0, 1, 3)]
    rows.insert(2, StudyDay(day + timedelta(2), None, None, None, 0, 2))
    drawing = draw(rows, day, day + timedelta(9))
    assert drawing.line.count("M") == 2 and drawing.band.count("Z") == 2 and drawing.dots.count("h.01") == 3
    assert drawing.most == 5 and (drawing.bars[2].counted, drawing.bars[2].left_out) == (0, 50)
    assert draw([], day, day).line == ""
