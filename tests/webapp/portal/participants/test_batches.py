"""Large batches of participants: ordered on a page, created by another process; the download makes the passwords."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import time

import pytest
from flask import Flask

from core.audit import SERVER
from core.crypto.passwords import device_hash, verify_password
from core.database import db
from core.models import Participant, ParticipantActivity, ParticipantBatch, ScheduledEvent, Study
from core.participants import batches
from core.participants.batches import ask_for_batch, sole_maker
from core.storage import StoreUnavailable
from core.surveys.schedules import Weekly
from tests.support.commands import command, run_command
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from webapp.stores import object_store, settings


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study()


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study, quick_passwords: None) -> Visitor:
    return Visitor(app, factory.researcher("anna", study=study))


def asked(visitor: Visitor, study: Study, count: int = 51) -> str:
    """The address of a new batch's page."""
    fields = {"number_of_new_patients": str(count), "desired_filename": "ward 3"}
    answer = visitor.post(f"/create_many_patients/{study.id}", **fields)
    assert answer.status_code == 302
    return str(answer.location)


def passwords(visitor: Visitor, page: str) -> dict[str, str]:
    answer = visitor.post(f"{page}/passwords")
    assert answer.headers["Content-Disposition"] == "attachment; filename=ward_3.csv"
    assert answer.headers["Cache-Control"] == "no-store"
    header, *lines = csv.reader(io.StringIO(answer.text))
    assert header == ["Patient ID", "Registration password"]
    return dict(lines)


def opens(patient_id: str, password: str) -> bool:
    db.session.rollback()
    row = db.session.scalars(db.select(Participant.password_hash).filter_by(patient_id=patient_id)).one()
    return verify_password(device_hash(password), row)


def test_a_large_batch_is_kept_made_elsewhere_and_its_passwords_by_the_download(
    visitor: Visitor, factory: Factory, study: Study
):
    """CLAR-32, PORTAL-121, PORTAL-122, PORTAL-120: without a Prefect server it says so and waits for the command."""
    factory.schedule(factory.survey(study), Weekly(0, time(9)))
    page = asked(visitor, study)
    shown = visitor.get(page).text
    assert "No Prefect server took this batch. It is kept" in shown
    assert "0 of 51 participants made" in shown and 'data-poll="2"' in shown
    assert visitor.post(f"{page}/passwords").location == page
    assert command("participant", "create-batches") == [{"batch": 1, "wanted": 51, "made": 51}]
    done = visitor.swap(f"{page}/progress").text
    assert "51 participants were made" in done and "data-poll" not in done
    assert db.session.scalar(db.select(db.func.count(ScheduledEvent.participant_id.distinct()))) == 51
    first = passwords(visitor, page)
    assert len(first) == 51 and all(opens(*pair) for pair in list(first.items())[:3])
    registered = next(iter(first))
    participant = db.session.scalars(db.select(Participant).filter_by(patient_id=registered)).one()
    activity = db.session.get_one(ParticipantActivity, participant.id)
    activity.first_registered_at = participant.created_at
    db.session.commit()
    again = passwords(visitor, page)
    assert again.keys() == first.keys() - {registered}
    assert opens(registered, first[registered])
    one = next(iter(again))
    assert opens(one, again[one]) and not opens(one, first[one])


def test_a_maker_that_stops_is_gone_on_with_and_none_is_made_twice(
    visitor: Visitor, app: Flask, study: Study, monkeypatch: pytest.MonkeyPatch
):
    """CLAR-32: killed between two of its transactions, or without a store; the page says why it waits."""
    monkeypatch.setattr(batches, "MADE_AT_ONCE", 20)
    page = asked(visitor, study)
    made = batches.make_next(db.engine, object_store(), settings())
    assert made is not None and made.made == 20
    really = batches.create_participants

    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("the store does not answer")

    monkeypatch.setattr(batches, "create_participants", fail)
    with pytest.raises(StoreUnavailable):
        batches.make_next(db.engine, object_store(), settings())
    shown = visitor.get(page).text
    assert "20 of 51 participants made" in shown and "the store does not answer" in shown
    monkeypatch.setattr(batches, "create_participants", really)
    with sole_maker(db.engine):
        assert "another process is creating these participants" in run_command("participant", "create-batches").stderr
    command("participant", "create-batches")
    db.session.rollback()
    assert db.session.scalar(db.select(db.func.count(Participant.id))) == 51
    batch = db.session.scalars(db.select(ParticipantBatch)).one()
    assert (batch.made, batch.state, batch.error) == (51, "done", None)


def test_a_batch_that_fails_lets_the_others_pass(app: Flask, study: Study, factory: Factory):
    """CLAR-32: the oldest is tried first, and behind the others once it has failed."""
    failing, other = (
        ask_for_batch(db.session(), of, 1, "a batch", actor=SERVER) for of in (factory.study("Damaged"), study)
    )
    db.session.commit()
    damaged = "UPDATE studies SET encryption_key = 'nothing that opens' WHERE name = 'Damaged'"
    db.session.execute(db.text(damaged))
    db.session.commit()
    for _ in range(2):
        run_command("participant", "create-batches")
    states = dict(db.session.execute(db.select(ParticipantBatch.id, ParticipantBatch.state)).tuples().all())
    assert states[other.id] == "done" and states[failing.id] != "done"


def test_two_processes_that_create_one_id_end_in_a_clear_line(app: Flask, study: Study):
    """PHONE-30: whichever is later exits with 1; its keys are those of the participant."""
    arguments = ("participant", "create", "--study", study.object_id, "--id", "abcd1234")
    with ThreadPoolExecutor(3) as threads:
        done = list(threads.map(lambda _: run_command(*arguments), range(3)))
    assert sorted(one.returncode for one in done) == [0, 1, 1]
    for one in done:
        if one.returncode:
            assert one.stderr.startswith("Error: abcd1234") and one.stderr.count("\n") == 1


def test_an_id_that_is_taken_while_keys_are_made_ends_in_a_clear_line(
    app: Flask, factory: Factory, study: Study, monkeypatch: pytest.MonkeyPatch
):
    """PHONE-30: the moment between the look and the row."""
    from core.participants import ParticipantRefused, create_participants, creating

    factory.participant(study, "abcd1234")
    monkeypatch.setattr(creating, "_taken", lambda *_: set())
    with pytest.raises(ParticipantRefused, match="abcd1234"):
        create_participants(db.session(), factory.store(study), study, 1, "abcd1234", actor=SERVER)
    assert db.session.scalar(db.select(db.func.count(Participant.id))) == 1


def test_pages_open_beside_a_damaged_study_key(visitor: Visitor, factory: Factory, study: Study):
    """STORE-6: only what seals or opens objects reads a key."""
    damaged = factory.study("Damaged")
    participant = factory.participant(damaged)
    researcher = db.session.scalars(db.text("SELECT id FROM researchers")).one()
    role = {"researcher": researcher, "study": damaged.id}
    db.session.execute(db.text("INSERT INTO study_roles VALUES (:study, :researcher, 'study_researcher')"), role)
    db.session.execute(
        db.text("UPDATE studies SET encryption_key = 'v1.AAAA' WHERE id = :study"), {"study": damaged.id}
    )
    db.session.commit()
    db.session.remove()
    pages = ["/choose_study", "/manage_credentials", f"/view_study/{study.id}", f"/view_study/{damaged.id}"]
    for page in (*pages, f"/view_study/{damaged.id}/participant/{participant.patient_id}"):
        assert visitor.get(page).status_code == 200, page
