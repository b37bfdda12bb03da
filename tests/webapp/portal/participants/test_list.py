"""The list's columns, filters and file, and changes of many participants (PORTAL-110 to PORTAL-115, CLAR-25)."""

import csv
import io
import re
from datetime import UTC, date, datetime

import pytest
from flask import Flask

from core.audit import SERVER
from core.database import db
from core.models import CustomField, Participant, ParticipantActivity, Study
from core.participants.editing import edit_participant, values_of
from core.participants.listing import SORT_COLUMNS, ListQuery, list_participants
from core.participants.pausing import pause_participant
from core.participants.states import Show
from core.participants.table_file import harmless, without_harmless_mark
from core.streams import Platform
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.support.this_hour import this_hour

pytestmark = pytest.mark.usefixtures("quick_passwords")


class World:
    """A study with two sites, an intervention and four participants, one of them a test phone."""

    def __init__(self, app: Flask, factory: Factory) -> None:
        now = this_hour()
        self.study: Study = factory.study("Sleep & mood")
        self.site = CustomField(study_id=self.study.id, name="Site")
        db.session.add(self.site)
        db.session.commit()
        self.start = factory.intervention(self.study, "start")
        self.people = {
            "boston11": factory.participant(self.study, "boston11", Platform.IOS),
            "boston22": factory.participant(self.study, "boston22"),
            "paris333": factory.participant(self.study, "paris333", external_id="P-0042"),
            "tester99": factory.participant(self.study, "tester99", is_test=True),
        }
        for name, value in (("boston11", "Boston"), ("boston22", "boston"), ("paris333", "=Paris")):
            edit_participant(db.session(), self.people[name], {self.field: value}, now, actor=SERVER)
        edit_participant(db.session(), self.people["paris333"], {self.date: date(2026, 3, 1)}, now, actor=SERVER)
        db.session.commit()
        self.visitor = Visitor(app, factory.researcher(study=self.study))
        self.path = f"/view_study/{self.study.id}/participants"

    @property
    def field(self) -> str:
        return f"field:{self.site.id}"

    @property
    def date(self) -> str:
        return f"intervention:{self.start.id}"

    def ids(self, **query: object) -> list[str]:
        listed = list_participants(db.session(), self.study.id, ListQuery(**query), this_hour())  # type: ignore[arg-type]
        return [row.patient_id for row in listed.rows]

    def values(self, who: str) -> dict[str, str]:
        db.session.expire_all()
        return values_of(db.session(), self.people[who].id)


@pytest.fixture
def world(app: Flask, factory: Factory) -> World:
    return World(app, factory)


def test_test_participants_are_left_out_and_counted(world: World):
    """CLAR-37."""
    assert "tester99" not in world.ids()
    assert "1 test participant left out" in world.visitor.get(world.path).text
    assert "tester99" in world.visitor.get(f"{world.path}?tests=shown").text


def test_filters_by_platform_and_field_and_the_paused_ones(world: World):
    pause_participant(db.session(), world.people["boston22"], None, this_hour(), actor=SERVER)
    assert world.ids(platform="IOS") == ["boston11"]
    assert sorted(world.ids(field_id=world.site.id, value="BOSTON")) == ["boston11", "boston22"]
    assert world.ids(field_id=world.site.id) == []
    listed = list_participants(db.session(), world.study.id, ListQuery(show=Show.PAUSED), datetime.now(UTC))
    assert [row.patient_id for row in listed.rows] == ["boston22"] and listed.rows[0].is_paused


def test_the_search_finds_ids_external_ids_and_values(world: World):
    """PORTAL-111."""
    assert world.ids(search="paris") == ["paris333"]
    assert world.ids(search="0042") == ["paris333"]
    assert world.ids(search="=par") == ["paris333"]
    assert world.visitor.get(f"{world.path}?find=p-0042").location.endswith("/participant/paris333")


def test_it_is_ordered_by_fields_and_dates_with_empty_cells_last(world: World):
    """PORTAL-112."""
    assert world.ids(sort=world.field, is_ascending=True)[0] == "paris333"
    assert world.ids(sort=world.date, is_ascending=True)[0] == "paris333"
    assert world.ids(sort=world.date)[0] == "paris333"


def test_every_order_goes_with_every_filter_and_search(world: World):
    """PORTAL-111, PORTAL-112: also an order by the field that is filtered by."""
    for sort in (*SORT_COLUMNS, world.field, world.date):
        of_site = {"field_id": world.site.id, "value": "Boston", "sort": sort}
        assert sorted(world.ids(**of_site)) == ["boston11", "boston22"]
        assert world.ids(**of_site, search="boston11", platform="IOS", version="") == ["boston11"]
        assert world.ids(field_id=world.site.id, sort=sort) == []
        assert world.ids(search="=par", sort=sort) == ["paris333"]


def test_each_person_chooses_columns(world: World, app: Flask, factory: Factory):
    """PORTAL-110, PORTAL-113: own fields and interventions are shown at first."""
    page = world.visitor.get(world.path).text
    assert ">Site</a>" in page and ">start</a>" in page and ">Created</a>" not in page
    answer = world.visitor.open(
        f"{world.path}/columns",
        method="POST",
        data={"csrf_token": world.visitor.token(), "column": ["created", "field:999"], "show": "silent"},
    )
    assert answer.location == f"{world.path}?show=silent"
    page = world.visitor.get(world.path).text
    assert ">Site</a>" not in page and ">Created<svg" in page
    assert ">Site</a>" in Visitor(app, factory.researcher(study=world.study)).get(world.path).text


def test_the_file_has_the_columns_of_the_existing_platform(world: World):
    """PORTAL-115, DATA-44: cells that a spreadsheet would run as a formula are made harmless."""
    answer = world.visitor.get(f"{world.path}.csv?search=paris")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="participant info - Sleep & mood.csv"'
    (line,) = csv.DictReader(io.StringIO(answer.text))
    assert list(line)[:7] == [
        "Created On",
        "Patient ID",
        "Status",
        "OS Type",
        "start",
        "Site",
        "First Registration Date",
    ]
    assert (line["Patient ID"], line["start"], line["Site"]) == ("paris333", "2026-03-01", "'=Paris")
    assert (line["Status"], line["Last Upload"]) == ("Inactive", "None")
    assert answer.text.count("\r\n") == 2


def test_what_a_phone_reports_is_no_formula_in_the_file(world: World):
    """PORTAL-115: versions are texts of the phone, which somebody with a participant's password chooses."""
    participant = db.session.scalars(db.select(Participant).filter_by(patient_id="paris333")).one()
    activity = db.session.get_one(ParticipantActivity, participant.id)
    activity.last_os_version, activity.last_version_name = '=HYPERLINK("http://evil.example")', "\n@x"
    db.session.commit()
    (line,) = csv.DictReader(io.StringIO(world.visitor.get(f"{world.path}.csv?search=paris").text, newline=""))
    assert line["Last OS Version"].startswith("'=HYPERLINK") and line["App Version Name"] == "'\n@x"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\n=1", "plain", "'quoted", ""])
def test_marks_of_harmless_cells_are_taken_off_again(text: str):
    """CLAR-38."""
    assert without_harmless_mark(harmless(text)) == text


def undo_address(page: str) -> str:
    """Where the page's first button that undoes an edit leads."""
    found = re.search(r'action="([^"]*/undo/[0-9]+)"', page)
    assert found
    return found[1]


def choose(world: World, action: str, **fields: str | list[str]) -> tuple[int, str]:
    data = {"csrf_token": world.visitor.token(), **fields}
    answer = world.visitor.open(f"{world.path}/{action}", method="POST", data=data)
    return answer.status_code, answer.text


def test_what_a_value_of_many_changes_is_said_first_and_undone(world: World):
    """CLAR-25."""
    chosen = {"patient_id": ["boston11", "boston22", "paris333"]}
    assert "Field or intervention" in choose(world, "values", **chosen)[1]
    wanted = {**chosen, "column": world.field, "value": "Boston"}
    page = choose(world, "values", **wanted)[1]
    assert "2 participants had another one" in page and "1 participant have it already" in page
    assert world.values("paris333")[world.field] == "=Paris"
    assert choose(world, "values", **wanted, confirmed="true")[0] == 302
    assert [world.values(who)[world.field] for who in chosen["patient_id"]] == ["Boston"] * 3
    page = world.visitor.get(world.path).text
    assert "Site set to Boston for 3 participants" in page
    world.visitor.post(undo_address(page))
    assert world.values("paris333")[world.field] == "=Paris" and world.values("boston22")[world.field] == "boston"
    assert "Undone for 2 participants" in world.visitor.get(world.path).text


def test_a_wrong_date_is_said_beside_the_field_and_changes_nothing(world: World):
    wanted = {"patient_id": ["boston11"], "column": world.date, "value": "1.3.2026", "confirmed": "true"}
    status, page = choose(world, "values", **wanted)
    assert status == 422 and "is not a date like 2030-01-31" in page and 'value="1.3.2026"' in page
    assert world.date not in world.values("boston11")


def test_retiring_many_asks_for_their_number_and_can_be_undone_for_ten_minutes(world: World):
    """PORTAL-135."""
    chosen = {"everybody": "true", "show": "all"}
    status, page = choose(world, "retire", **chosen)
    assert status == 200 and "Type the number 3" in page
    assert choose(world, "retire", **chosen, count="2")[0] == 422
    assert choose(world, "retire", **chosen, count="3")[0] == 302
    db.session.expire_all()
    assert all(db.session.get_one(Participant, world.people[who].id).retired_at for who in ("boston11", "paris333"))
    assert not world.people["tester99"].retired_at
    page = world.visitor.get(world.path).text
    assert "Retired 3 participants" in page
    world.visitor.post(undo_address(page))
    db.session.expire_all()
    assert not any(person.retired_at for person in db.session.scalars(db.select(Participant)))


def test_phones_of_many_are_reset_once_confirmed(world: World):
    chosen = {"patient_id": ["boston11", "boston22"]}
    assert "2 phones will be forgotten" in choose(world, "reset_phones", **chosen)[1]
    assert world.people["boston11"].device_id
    choose(world, "reset_phones", **chosen, confirmed="true")
    db.session.expire_all()
    assert not world.people["boston11"].device_id and world.people["paris333"].device_id


def test_nobody_selected_is_said(world: World):
    assert choose(world, "values")[0] == 302
    assert "Nobody was selected" in world.visitor.get(world.path).text


def test_a_cell_is_edited_in_its_place(world: World):
    """PORTAL-133."""
    path = f"/view_study/{world.study.id}/participant/boston11/values"
    assert 'type="text"' in world.visitor.swap(f"{path}/{world.field}").text
    assert 'type="date"' in world.visitor.swap(f"{path}/{world.date}").text
    headers = {"HX-Request": "true", "X-CSRFToken": world.visitor.token()}
    saved = world.visitor.post(f"{path}/{world.date}", headers=headers, value="2026-05-01")
    assert saved.status_code == 200 and "2026-05-01" in saved.text
    assert world.values("boston11")[world.date] == "2026-05-01"
    refused = world.visitor.post(f"{path}/{world.date}", headers=headers, value="May")
    assert refused.status_code == 422 and "is not a date" in refused.text
    assert world.visitor.post(f"{path}/{world.date}", value="").location.endswith("/participant/boston11")
    assert world.date not in world.values("boston11")


def test_values_of_another_study_are_not_found(world: World, factory: Factory):
    """PERM-72."""
    other = factory.intervention(factory.study())
    path = f"/view_study/{world.study.id}/participant/boston11/values/intervention:{other.id}"
    assert world.visitor.get(path).status_code == 404
    assert world.visitor.post(path, value="2026-01-01").status_code == 404


def test_an_edit_of_somebody_else_is_not_undone(world: World, app: Flask, factory: Factory):
    choose(world, "values", patient_id="boston11", column=world.field, value="Rome", confirmed="true")
    page = world.visitor.get(world.path).text
    undo = undo_address(page)
    other = Visitor(app, factory.researcher(study=world.study))
    assert "/undo/" not in other.get(world.path).text and other.post(undo).status_code == 404
