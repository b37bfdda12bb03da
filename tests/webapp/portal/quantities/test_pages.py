"""The dashboard of data quantities over HTTP (PORTAL-220 to PORTAL-226)."""

import csv
import io
import random
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask

from core.access import Role
from core.database import db
from core.downloads.lists import data_quantities
from core.models import AuditRecord, Chunk, DailyStatistics, DataAccessRecord, Participant, Study
from core.models.daily_statistics import BYTES_OF
from core.processing.daily_quantities import recompute_days
from core.quantities.days import shown_days
from core.quantities.tables import StreamQuery, days_with_data, participant_table, stream_table, study_table
from core.streams import SPECS, DataStream
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.support.sites import TwoSites

LAST = date(2024, 3, 20)


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Sleep and movement", timezone_name="America/New_York")


@pytest.fixture
def people(factory: Factory, study: Study) -> list[Participant]:
    return [factory.participant(study) for _ in range(3)]


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher(study=study))


def add(person: Participant, day: date, **sizes: int) -> None:
    named = {f"{stream}_bytes": size for stream, size in sizes.items()}
    db.session.add(DailyStatistics(participant_id=person.id, study_id=person.study_id, day=day, **named))
    db.session.commit()


def test_tables_are_the_daily_summaries(factory: Factory, study: Study, people: list[Participant]):
    """PORTAL-220, CLAR-82: equal to them and to `get-participant-data-quantities`, over random data."""
    chance = random.Random(7)
    first = LAST - timedelta(days=40)
    written: dict[tuple[str, DataStream, date], int] = {}
    for person in people:
        for number in chance.sample(range(41), 25):
            sizes = {stream: chance.randrange(10**9) for stream in BYTES_OF if chance.random() < 0.4}
            day = first + timedelta(days=number)
            add(person, day, **{stream.value: size for stream, size in sizes.items()})
            written |= {(person.patient_id, stream, day): size for stream, size in sizes.items()}
    add(people[0], date(2010, 1, 1), gps=5)
    days = shown_days(first, LAST, first, LAST)
    session = db.session()
    for stream in BYTES_OF:
        found = stream_table(session, study, stream, days, StreamQuery(page=None))
        assert found.count == 3
        assert {
            (row.name, stream, day): cell
            for row in found.rows
            for day, cell in zip(days.all, row.cells, strict=True)
            if cell is not None
        } == {key: size for key, size in written.items() if key[1] is stream}
    for person in people:
        rows = participant_table(session, person, days)
        assert [row.name for row in rows] == [stream.value for stream in BYTES_OF]
        sums = {f"{row.name}_bytes": row.total for row in rows}
        if person is people[0]:
            sums["gps_bytes"] += 5  # of a day before any study
        assert sums == data_quantities(session, study)[person.patient_id]
    for total in study_table(session, study, days):
        own = {key: size for key, size in written.items() if key[1] is total.stream}
        assert total.row.total == sum(own.values())
        assert total.participants == len({key[0] for key in own})
    gps = [day for _, stream, day in written if stream is DataStream.GPS]
    assert days_with_data(session, study, stream=DataStream.GPS) == (min(gps), max(gps))


def test_the_page_of_a_stream(visitor: Visitor, study: Study, people: list[Participant]):
    """PORTAL-220 to PORTAL-224."""
    path = f"/dashboard/{study.id}/data_stream/gps"
    assert "No data of this stream" in visitor.get(path).text
    add(people[0], LAST, gps=1_234_567)
    add(people[1], LAST - timedelta(days=1), gps=0)
    page = visitor.get(path).text
    assert "1,234,567" in page
    assert page.count('title="No data"') == 2 * 3 - 2  # two days of three people, and two cells with data
    flagged = visitor.get(f"{path}?flags=%3C,1&show_color=true").text
    assert flagged.count('flagged">') == 5
    assert 'class="num q5' in flagged
    assert "1.2 MB" in visitor.get(f"{path}?unit=sizes").text
    assert "such as 2026-03-01" in visitor.get(f"{path}?start=soon").text
    assert visitor.get(f"{path}?start=soon").status_code == 400
    assert visitor.get(f"{path}?flag=%3C+1&flag=%3E5&flag=").text.count('flagged">') == 6
    assert "A flag is" in visitor.get(f"{path}?flag=many").text
    assert "is given twice" in visitor.get(f"{path}?flags=%3C,1*%3C,1").text
    assert visitor.get(f"/dashboard/{study.id}/data_stream/nothing").status_code == 404
    order = re.findall(r'class="id" href="[^"]*">(\w+)</a>', visitor.get(f"{path}?sort=total&order=descending").text)
    assert order[0] == people[0].patient_id
    found = visitor.get(f"{path}?search={people[1].patient_id}").text
    assert people[0].patient_id not in found


def test_defaults_are_saved_for_everybody(
    app: Flask, factory: Factory, visitor: Visitor, study: Study, people: list[Participant]
):
    """PORTAL-225: from the first time on."""
    add(people[0], LAST, gps=900)
    path = f"/dashboard/{study.id}/data_stream/gps"
    saved = visitor.post(path, color_low_range="10", color_high_range="1000", all_flags_list='[["<", 5]]')
    assert saved.status_code == 302
    other = Visitor(app, factory.researcher("other", study=study, role=Role.STUDY_VIEWER))
    page = other.get(path).text
    assert 'class="num q5"' in page
    assert page.count('flagged">') == 2
    assert 'value="10"' in page
    assert 'class="num q' not in other.get(f"{path}?show_color=false").text
    assert "show_color=false" in other.get(f"{path}?show_color=false").text  # the page's links keep it (PORTAL-223)
    assert 'name="flags" value="&lt;,5"' in page  # choosing other days keeps the study's flags
    assert visitor.post(path, color_low_range="9", color_high_range="1", all_flags_list="[]").status_code == 400
    assert visitor.post(path, color_low_range="0", color_high_range="0", all_flags_list="[]").status_code == 302
    assert "flagged" not in other.get(path).text
    actions = list(db.session.scalars(db.select(AuditRecord.action).where(AuditRecord.action == "quantity.defaults")))
    assert len(actions) == 2


def test_a_participant_and_the_study(visitor: Visitor, factory: Factory, study: Study, people: list[Participant]):
    """PORTAL-221: a foreign participant is not there; purged ones are in no list."""
    assert "No data yet" in visitor.get(f"/dashboard/{study.id}").text
    add(people[0], LAST, gps=12, wifi=30)
    page = visitor.get(f"/dashboard/{study.id}/patient/{people[0].patient_id}").text
    heads = re.findall(r'<th scope="row"><a[^>]*>([^<]+)</a>', page)
    assert len(heads) == 19
    assert heads[6] == "GPS"
    assert people[1].patient_id in page  # the next one
    assert "12" in visitor.get(f"/dashboard/{study.id}").text
    foreign = factory.participant(factory.study("Other"))
    assert visitor.get(f"/dashboard/{study.id}/patient/{foreign.patient_id}").status_code == 404
    people[0].purged_at = db.func.now()
    db.session.commit()
    assert visitor.get(f"/dashboard/{study.id}/patient/{people[0].patient_id}").status_code == 404
    assert "No data yet" in visitor.get(f"/dashboard/{study.id}").text


def test_tables_as_files(visitor: Visitor, study: Study, people: list[Participant]):
    """PORTAL-226: bytes, empty where there are no data; in the log of data access."""
    add(people[0], LAST, gps=1_234_567)
    add(people[1], LAST - timedelta(days=1), gps=5)
    answer = visitor.get(f"/dashboard/{study.id}/data_stream/gps/table.csv")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["Patient ID", "2024-03-19", "2024-03-20", "Sum (bytes)"]
    assert rows[1:] == [
        [people[0].patient_id, "", "1234567", "1234567"],
        [people[1].patient_id, "5", "", "5"],
        [people[2].patient_id, "", "", "0"],
    ]
    own = visitor.get(f"/dashboard/{study.id}/patient/{people[0].patient_id}/table.csv")
    assert ["gps", "1234567", "1234567"] in list(csv.reader(io.StringIO(own.text)))
    records = db.session.scalars(db.select(DataAccessRecord).order_by(DataAccessRecord.id)).all()
    assert [(record.kind, record.participants, record.patient_ids) for record in records] == [
        ("statistics", 3, None),
        ("statistics", 1, [people[0].patient_id]),
    ]


def test_hours_with_data_and_the_share_of_the_expected_ones(visitor: Visitor, study: Study, people: list[Participant]):
    """PORTAL-226: as cells, as colours beside bytes, and in the file."""
    of = {"participant_id": people[0].id, "study_id": study.id, "size_bytes": 700, "md5": b"m" * 16}
    for hour in range(12):
        at = datetime(2024, 3, 20, 12 + hour, tzinfo=UTC)
        db.session.add(Chunk(stream=SPECS[DataStream.GPS].number, time_bin=at, **of))
    db.session.flush()
    recompute_days(db.session(), people[0])
    db.session.commit()
    path = f"/dashboard/{study.id}/data_stream/gps"
    page = visitor.get(f"{path}?unit=hours").text
    assert 'class="num q3" title="50 % of 24 expected hours">12 h<span' in page
    assert "8,400<span" in visitor.get(f"{path}?colours=expected").text
    assert 'class="num q' not in visitor.get(path).text + visitor.get(f"{path}?unit=hours&colours=amount").text
    assert "unit=hours" in page and f"{path}/table.csv?start=2024-03-20&amp;end=2024-03-20&amp;unit=hours" in page
    for of_one in (f"/dashboard/{study.id}/patient/{people[0].patient_id}", f"/dashboard/{study.id}"):
        assert "50 % of what is expected" in visitor.get(f"{of_one}?unit=hours").text
    rows = list(csv.reader(io.StringIO(visitor.get(f"{path}/table.csv?unit=hours").text)))
    assert rows[:2] == [["Patient ID", "2024-03-20", "Sum (hours)"], [people[0].patient_id, "12", "12"]]


def test_hours_are_shown_for_a_month_at_most(visitor: Visitor, study: Study, people: list[Participant]):
    """PORTAL-226: counted from the chunks. The form says so and keeps the choice; tables and files of bytes go on."""
    add(people[0], LAST, gps=1)
    add(people[0], LAST - timedelta(days=365), gps=1)
    month, longer = (f"start={LAST - timedelta(days=n)}&end={LAST}" for n in (30, 31))
    of_stream, of_person = f"/dashboard/{study.id}/data_stream/gps", f"/dashboard/{study.id}/patient/"
    of_person += people[0].patient_id
    for path in (f"/dashboard/{study.id}", of_stream, of_person):
        assert visitor.get(f"{path}?{month}&unit=hours").status_code == 200
        assert visitor.get(f"{path}?{longer}").status_code == 200
        for choice in ("unit=hours", "unit=hours&colours=amount", "colours=expected"):
            answer = visitor.get(f"{path}?{longer}&{choice}")
            assert answer.status_code == 422 and "at most 31 days" in answer.text
            assert 'value="2024-02-18"' in answer.text and "<table" not in answer.text
    for path in (f"{of_stream}/table.csv", f"{of_person}/table.csv"):
        answer = visitor.get(f"{path}?{longer}&unit=hours")
        assert (answer.status_code, answer.mimetype) == (422, "text/plain") and "at most 31 days" in answer.text
        assert visitor.get(f"{path}?{longer}&colours=expected").mimetype == "text/csv"


def test_a_limited_person_sees_their_site_alone(app: Flask, factory: Factory):
    """PERM-95."""
    world = TwoSites(factory)
    world.fill_the_others()
    people = db.session.scalars(db.select(Participant).where(Participant.study_id == world.study.id)).all()
    db.session.execute(db.delete(DailyStatistics))
    for person in people:
        add(person, LAST, gps=1_000)
    limited = Visitor(app, world.limited(Role.STUDY_RESEARCHER))
    page = limited.get(f"/dashboard/{world.study.id}/data_stream/gps").text
    shown = set(re.findall(r'class="id" href="[^"]*">(\w+)</a>', page))
    assert 0 < len(shown) < len(people)
    assert f"{len(shown) * 1_000:,}" in limited.get(f"/dashboard/{world.study.id}").text
