"""CSV files of fields and dates, and of new participants (CLAR-38, CLAR-32)."""

import io
import re

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from core.config import get_settings
from core.database import db
from core.models import CustomField, Participant, ParticipantBatch, Study
from core.participants.batches import make_next
from core.participants.editing import values_of
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from webapp.stores import object_store

pytestmark = pytest.mark.usefixtures("quick_passwords")


class Import:
    """A study with a field, an intervention and three participants, and files sent to it."""

    def __init__(self, app: Flask, factory: Factory) -> None:
        self.study: Study = factory.study()
        field = CustomField(study_id=self.study.id, name="Site")
        db.session.add(field)
        db.session.commit()
        self.site, self.start = f"field:{field.id}", f"intervention:{factory.intervention(self.study, 'start').id}"
        self.people = [factory.participant(self.study, f"person{n}1") for n in (1, 2, 3)]
        self.visitor = Visitor(app, factory.researcher(study=self.study))

    def send(self, text: str | bytes, page: str = "import_participants", **fields: str) -> TestResponse:
        data = text.encode() if isinstance(text, str) else text
        form = {"csrf_token": self.visitor.token(), "file": (io.BytesIO(data), "people.csv"), **fields}
        path = f"/view_study/{self.study.id}/{page}"
        return self.visitor.open(path, method="POST", data=form, content_type="multipart/form-data")

    def sends_twice(self, text: str, page: str = "import_participants", **fields: str) -> TestResponse:
        """Looks at the preview, and confirms it."""
        preview = self.send(text, page, **fields)
        digest = re.search(r'name="confirmed" value="([0-9a-f]{64})"', preview.text)
        assert preview.status_code == 200 and digest, preview.text
        return self.send(text, page, confirmed=digest[1], **fields)

    def values(self, number: int) -> dict[str, str]:
        db.session.rollback()
        return values_of(db.session(), self.people[number].id)


@pytest.fixture
def world(app: Flask, factory: Factory) -> Import:
    return Import(app, factory)


FILE = "Patient ID,Site,start,External ID\r\nperson11,Boston,2026-03-01,P-1\r\nPERSON21,'=x,,\r\n"


def test_everything_is_shown_before_anything_changes_and_then_imported(world: Import):
    preview = world.send(FILE)
    assert "2 participants would change" in preview.text and world.values(0) == {}
    assert world.sends_twice(FILE).status_code == 302
    assert world.values(0) == {world.site: "Boston", world.start: "2026-03-01"}
    assert world.values(1) == {world.site: "=x"}
    assert db.session.get_one(Participant, world.people[0].id).external_id == "P-1"
    assert "Imported a file of 2 lines" in world.visitor.get(f"/view_study/{world.study.id}/participants").text


def test_an_empty_cell_changes_nothing_unless_it_is_ticked(world: Import):
    world.sends_twice(FILE)
    empty = "Patient ID,Site,start\nperson11,,\n"
    assert "All of it is there already" in world.send(empty).text
    world.sends_twice(empty, clears="true")
    assert world.values(0) == {}


def test_the_exported_table_is_imported_again_without_a_change(world: Import):
    """PORTAL-115: its other columns are passed over."""
    world.sends_twice(FILE)
    exported = world.visitor.get(f"/view_study/{world.study.id}/participants.csv").text
    page = world.send(exported).text
    assert "All of it is there already" in page and "Passed over: Created On" in page


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Patient ID,Site\nnobody11,x\n", "“nobody11” is not the id of a participant of this study"),
        ("Patient ID,start\nperson11,1/3/2026\n", "is not a date like 2030-01-31"),
        ("Patient ID,Site\nperson11,x\nperson11,y\n", "person11 is in line 2 already"),
        ("Patient ID,Site\nperson11\n", "2 cells are expected"),
        ("Patient ID,External ID\nperson11,A\nperson21,a\n", "is in line 2 already"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_imported(world: Import, text: str, message: str):
    """CLAR-38: all or nothing."""
    answer = world.send(text + "person31" + "," * text.partition("\n")[0].count(",") + "\n", confirmed="x")
    assert answer.status_code == 422 and message in answer.text and "Nothing was imported" in answer.text
    assert not any(world.values(number) for number in range(3))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "one column “Patient ID”"),
        (b"Patient ID,Town\nperson11,x\n", "“Town” is neither a custom field nor an intervention"),
        (b"Patient ID,Site,site\nperson11,x,y\n", "is there twice"),
        (b"Patient ID,Site\n", "no line below the header"),
        (b"Patient ID,Site\nperson11,\xff\n", "not UTF-8 (byte 26)"),
        (b"Patient ID\x00,Site\n", "NUL"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(world: Import, data: bytes, message: str):
    answer = world.send(data)
    assert answer.status_code == 422 and message in answer.text


def test_another_file_than_the_previewed_one_is_previewed_first(world: Import):
    first = world.send(FILE).text
    digest = re.search(r'value="([0-9a-f]{64})"', first)
    assert digest
    assert world.send(FILE.replace("Boston", "Rome"), confirmed=digest[1]).status_code == 200
    assert world.values(0) == {}


def test_semicolons_and_a_byte_order_mark_are_understood(world: Import):
    world.sends_twice("\ufeffPatient ID;Site\nperson11;Köln, Süd\n")
    assert world.values(0) == {world.site: "Köln, Süd"}


def test_two_participants_exchange_their_external_ids(world: Import):
    world.sends_twice("Patient ID,External ID\nperson11,A\nperson21,B\n")
    world.sends_twice("Patient ID,External ID\nperson11,B\nperson21,A\n")
    db.session.expire_all()
    assert [db.session.get_one(Participant, p.id).external_id for p in world.people] == ["B", "A", None]


@pytest.mark.parametrize("taken", ["A", "Étude İ"])
def test_an_external_id_stays_with_a_participant_whose_cell_is_empty(world: Import, taken: str):
    """An empty cell changes nothing, so the id is not free; also for letters that two programs lower differently."""
    world.sends_twice(f"Patient ID,External ID\nperson11,{taken}\n")
    answer = world.send(f"Patient ID,External ID,Site\nperson11,,Rome\nperson21,{taken},Rome\n")
    assert answer.status_code == 422 and "belongs to person11" in answer.text


def test_new_participants_come_from_a_file_with_fields_dates_and_external_ids(world: Import):
    """CLAR-32: made in the background, in the file's order."""
    text = "External ID,Site,start\n" + "".join(f"N-{n},Site {n},2026-01-{n % 28 + 1:02}\n" for n in range(60))
    answer = world.sends_twice(text, "add_participants_from_file", name="second wave")
    assert "/batches/" in answer.location
    batch = db.session.scalars(sa.select(ParticipantBatch)).one()
    assert (batch.name, batch.wanted) == ("second wave", 60)
    db.session.commit()
    while make_next(db.engine, object_store(), get_settings()):
        pass
    made = db.session.scalars(sa.select(Participant).where(Participant.batch_id == batch.id)).all()
    assert sorted(p.external_id or "" for p in made) == sorted(f"N-{n}" for n in range(60))
    person = next(p for p in made if p.external_id == "N-55")
    assert values_of(db.session(), person.id) == {world.site: "Site 55", world.start: "2026-01-28"}


def test_external_ids_of_new_participants_are_free(world: Import):
    world.sends_twice("Patient ID,External ID\nperson11,A\n")
    answer = world.send("External ID\nb\na\n", "add_participants_from_file")
    assert answer.status_code == 422 and "External id: a belongs to person11" in answer.text
