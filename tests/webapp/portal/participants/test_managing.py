"""What can be done to one participant on its pages (PORTAL-130 to PORTAL-136, CLAR-35, CLAR-36)."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.access import Role
from core.config import get_settings
from core.database import db
from core.models import (
    AuditRecord,
    ConsentSent,
    ConsentVersion,
    CustomField,
    Departure,
    Participant,
    ProblemUpload,
    QueuedUpload,
    Study,
)
from core.participants.batches import make_next
from core.participants.editing import values_of
from core.participants.purging import purge_next
from core.phones.key_cache import private_key_path
from tests.support.factories import PASSWORD, Factory, phone_fields
from tests.support.portal_visitor import Visitor
from tests.webapp.phone.test_uploads import GPS, PATIENT, send
from webapp.stores import object_store

pytestmark = pytest.mark.usefixtures("quick_passwords")


class Team:
    """A study with one participant, and a visitor of each role."""

    def __init__(self, app: Flask, factory: Factory) -> None:
        self.app, self.factory = app, factory
        self.study: Study = factory.study()
        self.participant = factory.participant(self.study, PATIENT)
        self.participant.created_at = datetime(2026, 1, 1, tzinfo=UTC)
        db.session.commit()
        self.researcher = Visitor(app, factory.researcher(study=self.study))
        self.admin = Visitor(app, factory.researcher(study=self.study, role=Role.STUDY_ADMIN))
        self.page = f"/view_study/{self.study.id}/participant/{PATIENT}"
        self.fields = {"study_id": str(self.study.id), "patient_id": PATIENT}

    def now(self) -> Participant:
        """The participant as it is in the database."""
        db.session.rollback()
        db.session.expire_all()
        return db.session.get_one(Participant, self.participant.id)

    def says(self, path: str = "/manage", visitor: Visitor | None = None) -> str:
        return (visitor or self.researcher).get(self.page + path).text


@pytest.fixture
def team(app: Flask, factory: Factory) -> Team:
    return Team(app, factory)


def test_every_tab_opens_and_says_what_it_is_for(team: Team):
    """PORTAL-130, PORTAL-143: with nothing there yet."""
    for path, words in {
        "/about": "neither custom fields nor interventions",
        "/problems": "Everything could be read",
        "/notes": "No notes yet",
        "/history": "Nothing so far",
        "/manage": "Prepare a new phone",
    }.items():
        assert words in team.says(path), path


def test_fields_and_dates_are_saved_together_or_not_at_all(team: Team):
    """PORTAL-133: a field that is not sent is left alone."""
    site, age = (CustomField(study_id=team.study.id, name=name) for name in ("Site", "Age"))
    db.session.add_all([site, age])
    db.session.commit()
    start = team.factory.intervention(team.study)
    good = {f"field{site.id}": "Boston", f"intervention{start.id}": "2026-04-01"}
    assert team.researcher.post(team.page, **good).status_code == 302
    assert values_of(db.session(), team.participant.id) == {
        f"field:{site.id}": "Boston",
        f"intervention:{start.id}": "2026-04-01",
    }
    answer = team.researcher.post(team.page, **{f"field{site.id}": "Rome", f"intervention{start.id}": "soon"})
    assert answer.status_code == 422 and 'value="Rome"' in answer.text and "“soon” is not a date" in answer.text
    db.session.rollback()
    assert values_of(db.session(), team.participant.id)[f"field:{site.id}"] == "Boston"


def test_a_new_password_is_shown_once_and_on_a_sheet(team: Team):
    """PORTAL-135, PERM-76, CLAR-33: the code holds the address of the app alone."""
    page = team.researcher.post("/reset_participant_password", **team.fields)
    assert page.status_code == 200 and page.headers["Cache-Control"] == "no-store"
    assert PATIENT in page.text and "<svg" in page.text and "Server address" in page.text
    shown = page.text.partition('<dt>Password</dt><dd class="id large">')[2].partition("<")[0]
    assert len(shown) == 8 and shown not in team.says("/history")
    form = phone_fields(team.now()) | {"password": PASSWORD}
    assert team.app.test_client().post("/set_password", data=form).status_code == 403


def test_a_new_phone_is_one_step_that_warns_when_the_platform_changes(team: Team):
    address = f"{team.page}/new_phone"
    assert "Choose what kind of phone" in team.researcher.post(address).text
    warned = team.researcher.post(address, platform="IOS").text
    assert "The platform changes" in warned and team.now().device_id
    sheet = team.researcher.post(address, platform="IOS", confirmed="true").text
    assert "App Store" in sheet and "Open the camera" not in sheet
    assert team.now().device_id == ""
    assert "Prepared for a new phone" in team.says("/history")


def test_uploads_of_both_phones_are_taken_while_one_replaces_the_other(team: Team):
    """PHONE-68: the old phone has files left when the new one is registered."""
    team.researcher.post(f"{team.page}/new_phone", platform="ANDROID")
    old, new = {"device_id": "old"}, {"device_id": "new"}
    for number, phone in enumerate((old, new, old, new)):
        name = f"{PATIENT}_gps_17172360{number:02}000.csv"
        assert send(team.app, team.now(), GPS, name, **phone).status_code == 200
    assert db.session.scalar(sa.select(sa.func.count()).select_from(QueuedUpload)) == 4


def test_retiring_is_undone_by_the_same_person_for_ten_minutes(team: Team):
    """PORTAL-135."""
    assert team.researcher.post("/retire_participant", **team.fields).status_code == 302
    assert team.now().retired_at and "Undo" in team.says()
    other = Visitor(team.app, team.factory.researcher(study=team.study))
    other.post(f"{team.page}/unretire")
    assert team.now().retired_at and "Undo" not in team.says(visitor=other)
    team.researcher.post(f"{team.page}/unretire")
    assert team.now().retired_at is None
    team.researcher.post("/retire_participant", **team.fields)
    team.now().retired_at = datetime.now(UTC) - timedelta(minutes=11)
    db.session.commit()
    team.researcher.post(f"{team.page}/unretire")
    assert team.now().retired_at
    site_admin = Visitor(team.app, team.factory.researcher(is_site_admin=True))
    site_admin.post(f"{team.page}/unretire")
    assert team.now().retired_at is None


def test_a_withdrawal_has_a_reason_and_a_day_and_can_be_taken_back(team: Team):
    """CLAR-35."""
    address = f"{team.page}/leave"
    assert "Choose whether" in team.researcher.post(address, left_on="2026-02-01").text
    assert "Choose the reason" in team.researcher.post(address, how="withdrawn", left_on="2026-02-01").text
    wrong = team.researcher.post(address, how="withdrawn", reason="own wish", left_on="2999-01-01")
    assert wrong.status_code == 422 and 'value="2999-01-01"' in wrong.text
    assert team.researcher.post(address, how="withdrawn", reason="own wish", left_on="2026-02-01").status_code == 302
    assert db.session.get_one(Departure, team.participant.id).reason == "own wish"
    assert "Withdrawn on 1 Feb 2026" in team.says("/about")
    team.researcher.post(f"{address}/take_back")
    db.session.rollback()
    assert db.session.get(Departure, team.participant.id) is None


def test_a_pause_ends_at_the_end_of_a_day_or_when_somebody_ends_it(team: Team):
    """CLAR-36."""
    refused = team.researcher.post(f"{team.page}/pause", until="2020-01-01")
    assert refused.status_code == 422 and "ends in the future" in refused.text
    team.researcher.post(f"{team.page}/pause", until="")
    assert "Paused until somebody ends it" in team.says("/about")
    team.researcher.post(f"{team.page}/resume")
    assert "Paused" not in team.says("/about")


def test_small_switches_and_the_external_id(team: Team):
    """CLAR-32, CLAR-37."""
    for _ in range(2):  # a second click changes nothing back
        team.researcher.post("/toggle_easy_enrollment", **team.fields, wanted="on")
        team.researcher.post(f"{team.page}/test", wanted="on")
    team.researcher.post(f"{team.page}/external_id", external_id=" P-1 ")
    team.researcher.post("/clear_device_id", **team.fields)
    person = team.now()
    assert (person.has_easy_enrollment, person.is_test, person.external_id, person.device_id) == (True, True, "P-1", "")
    team.factory.participant(team.study, external_id="P-2")
    taken = team.researcher.post(f"{team.page}/external_id", external_id="p-2")
    assert taken.status_code == 422 and "already" in taken.text and team.now().external_id == "P-1"
    team.factory.participant(team.study, external_id="İ-3")
    assert team.researcher.post(f"{team.page}/external_id", external_id="İ-3").status_code == 422


def test_a_form_without_a_participant_is_a_bad_request(team: Team):
    """PERM-19: the old addresses name the participant in the form."""
    assert team.researcher.post("/retire_participant", study_id=str(team.study.id)).status_code == 400


def test_notes_are_kept_with_author_and_their_text_stays_out_of_the_trail(team: Team):
    """CLAR-20."""
    assert team.researcher.post(f"{team.page}/notes", text="  ").status_code == 422
    team.researcher.post(f"{team.page}/notes", text="Called: <phone> was off")
    assert "Called: &lt;phone&gt; was off" in team.says("/notes") and "Note written" in team.says("/history")
    assert not [row for row in db.session.scalars(sa.select(AuditRecord)) if "Called" in str(row.detail)]


def test_a_purge_asks_to_type_the_id_and_can_be_taken_back(team: Team):
    """PORTAL-136: everything is as it was, the registered phone included."""
    before = {c: getattr(team.now(), c) for c in ("device_id", "os_type", "password_hash", "retired_at")}
    assert team.researcher.post("/delete_participant", **team.fields, typed_id="else").status_code == 422
    team.researcher.post("/delete_participant", **team.fields, typed_id=PATIENT)
    assert team.now().is_locked_out and team.now().device_id == ""
    assert "Take it back" in team.says("/purge") and "Nothing can be changed" in team.says()
    refused = team.researcher.post(f"{team.page}/notes", text="too late")
    assert refused.status_code == 422
    team.researcher.post(f"{team.page}/purge/take_back")
    person = team.now()
    assert not person.is_locked_out and {name: getattr(person, name) for name in before} == before


def test_a_purge_that_is_done_shows_its_certificate(team: Team):
    """STORE-9, CLAR-40."""
    team.researcher.post("/delete_participant", **team.fields, typed_id=PATIENT)
    purge_next(db.engine, object_store(), datetime.now(UTC) + timedelta(minutes=31))
    page = team.says("/purge")
    assert "Certificate of deletion" in page and private_key_path(team.study.object_id, PATIENT) in page
    assert "Backups of the database" in page and "nothing was left" in page and "Take it back" not in page
    team.researcher.post(f"{team.page}/purge/take_back")
    assert team.now().purged_at


def test_a_kept_aside_upload_is_tried_again_after_its_cause_is_mended(team: Team, factory: Factory):
    """PHONE-84: the participant's key was missing when the file came."""
    store, path = factory.store(team.study), private_key_path(team.study.object_id, PATIENT)
    key, _ = store.read(path)
    object_store().delete(path + ".zst")
    assert send(team.app, team.now(), GPS).status_code == 200
    problem = db.session.scalars(sa.select(ProblemUpload)).one()
    address = f"{team.page}/problems/{problem.id}/try_again"
    assert "Try again" in team.says("/problems", team.admin) and "Try again" not in team.says("/problems")
    assert team.researcher.post(address).status_code == 403
    team.admin.post(address)
    assert "still cannot be read" in team.says("/problems", team.admin)
    store.create(path, key)
    team.admin.post(address)
    assert "waits to be processed" in team.says("/problems", team.admin)
    db.session.rollback()
    assert db.session.scalars(sa.select(QueuedUpload)).one().participant_id == team.participant.id
    team.admin.post(address)
    assert "stored already" in team.says("/problems", team.admin)


def test_what_phones_told_and_were_sent_is_shown(team: Team):
    """CLAR-31, PHONE-121."""
    version = ConsentVersion(study_id=team.study.id, number=7, author_name="x", form_text="", sections={})
    db.session.add(version)
    db.session.flush()
    db.session.add(ConsentSent(participant_id=team.participant.id, consent_version_id=version.id))
    db.session.commit()
    form = phone_fields(team.now(), version_name="3.7.1", version_code="80", os_version="15", timezone="Europe/Berlin")
    team.app.test_client().post("/get_latest_device_settings", data=form)
    page = team.says("/about")
    assert "3.7.1" in page and ">7</td>" in page
    assert "Time zone of the phone changed" in team.says("/history") and "Europe/Berlin" in team.says("/history")


def test_sheets_of_a_batch_are_for_those_who_never_registered(team: Team):
    """CLAR-32."""
    asked = {"number_of_new_patients": "51", "desired_filename": "x"}
    answer = team.researcher.post(f"/create_many_patients/{team.study.id}", **asked)
    while make_next(db.engine, object_store(), get_settings()):
        pass
    page = team.researcher.post(f"{answer.location}/sheets").text
    assert page.count("print-sheet") == 51 and "Android" in page and "iPhone" in page
