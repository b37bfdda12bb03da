"""Adding participants (PORTAL-120, PORTAL-121, PERM-76)."""

import csv
import io
import re

import pytest
from flask import Flask

from core.crypto.passwords import device_hash, verify_password
from core.database import db
from core.models import Participant, Study
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from webapp.portal.participants.forms import csv_name

pytestmark = pytest.mark.usefixtures("quick_passwords")

COPIED = re.compile(r'data-copy="([^"]+)"')


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study()


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher(study=study))


def password_opens(patient_id: str, password: str) -> bool:
    participant = db.session.scalars(db.select(Participant).filter_by(patient_id=patient_id)).one()
    return verify_password(device_hash(password), participant.password_hash)


def test_one_participant_is_shown_with_its_password_once(visitor: Visitor, study: Study):
    """PERM-76, PERM-80: in the answer itself, which no cache keeps, and never again."""
    answer = visitor.post("/create_new_participant", study_id=str(study.id))
    patient_id, password, _server = COPIED.findall(answer.text)
    assert password_opens(patient_id, password)
    assert answer.headers["Cache-Control"] == "no-store"
    for path in (f"/view_study/{study.id}", f"/view_study/{study.id}/participant/{patient_id}"):
        assert password not in visitor.get(path).text


def test_htmx_gets_only_the_new_one(visitor: Visitor, study: Study):
    answer = visitor.post("/create_new_participant", study_id=str(study.id), headers={"HX-Request": "true"})
    assert "<html" not in answer.text and len(COPIED.findall(answer.text)) == 3


def test_many_come_as_a_file(visitor: Visitor, study: Study):
    """PORTAL-121: header, one line each, CRLF, nothing quoted."""
    answer = visitor.post(
        f"/create_many_patients/{study.id}", number_of_new_patients="3", desired_filename="ward 3-a=b.csv"
    )
    assert answer.headers["Content-Disposition"] == "attachment; filename=ward_3a_b.csv"
    assert answer.mimetype == "text/csv" and answer.headers["Cache-Control"] == "no-store"
    assert answer.text.count("\r\n") == answer.text.count("\n") == 4 and '"' not in answer.text
    header, *lines = csv.reader(io.StringIO(answer.text))
    assert header == ["Patient ID", "Registration password"]
    assert all(password_opens(*line) for line in lines) and len({line[0] for line in lines}) == 3


def test_many_come_as_sheets_to_print(visitor: Visitor, study: Study):
    """CLAR-33: one for each, in the answer itself, which no cache keeps."""
    answer = visitor.post(f"/create_many_patients/{study.id}", number_of_new_patients="3", output="sheets")
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    ids = db.session.scalars(db.select(Participant.patient_id).filter_by(study_id=study.id)).all()
    assert len(ids) == 3 and all(patient_id in answer.text for patient_id in ids)
    assert answer.text.count("print-sheet") == 3


@pytest.mark.parametrize("number", ["0", "5001", "-1", "many", "", "1.5"])
def test_a_number_that_is_refused_is_explained_at_the_field(visitor: Visitor, study: Study, number: str):
    """PORTAL-121, PORTAL-5: nothing is made, what was typed stays."""
    answer = visitor.post(
        f"/create_many_patients/{study.id}", number_of_new_patients=number, desired_filename="kept.csv"
    )
    assert answer.status_code == 422 and "A number from 1 to 5,000." in answer.text and "kept.csv" in answer.text
    assert db.session.scalar(db.select(db.func.count()).select_from(Participant)) == 0


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("new_participant_ids.csv", "new_participant_ids.csv"),
        ("a b=c-d/é", "a_b_cd.csv"),
        ('x"\r\nSet-Cookie: a', "xSetCookie_a.csv"),
        ("…", "new_participant_ids.csv"),
    ],
)
def test_file_names_are_plain(wanted: str, name: str):
    """PORTAL-121."""
    assert csv_name(wanted) == name
