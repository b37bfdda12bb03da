"""Questions that pages ask of the logs: filters, pages, names to choose from (PORTAL-290)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from core.audit import COMMAND_LINE, Actor, reading, record, record_each
from core.audit.paging import PER_PAGE, Place
from core.audit.reading import ChangeFilter, Period
from core.database import db
from core.models import Study
from core.models.audit_record import Action, ActorKind
from tests.support.factories import Factory

ADA, BEN = (Actor(ActorKind.RESEARCHER, name, number) for number, name in enumerate(("ada", "ben"), 7))
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Sleep")


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    """A session of its own: `all_of` forgets what its session holds."""
    with Session(db.engine) as session:
        yield session


def add(study: Study, count: int, *actors: Actor) -> None:
    """Rows of the study one hour apart; several share a time, as rows of one transaction do."""
    for n in range(count):
        row = record(db.session(), actors[n % len(actors)], tuple(Action)[n % 3], study=study)
        row.at = START + timedelta(hours=n // 3)
    db.session.commit()


def test_pages_hold_every_row_once_in_both_directions(session: Session, study: Study):
    """PORTAL-290: also rows of the same moment at the border between pages."""
    add(study, 130, ADA)
    found, place, sizes = [], Place(), []
    while True:
        page = reading.changes(session, study, ChangeFilter(), place)
        found += [row.id for row in page.rows]
        sizes.append(len(page.rows))
        if page.older is None:
            break
        place = Place(before=page.older)
    assert sizes == [PER_PAGE, PER_PAGE, 31]  # one more made the study
    assert len(set(found)) == len(found) == 131
    back = [row.id for row in page.rows]
    while page.newer is not None:
        page = reading.changes(session, study, ChangeFilter(), Place(after=page.newer))
        back = [row.id for row in page.rows] + back
    assert back == found
    assert not reading.changes(session, study, ChangeFilter(), Place(before=10**17)).rows


def test_filters_narrow_by_person_action_participant_and_days(session: Session, study: Study, factory: Factory):
    """PORTAL-290; rows of another study are never among them."""
    add(study, 12, ADA, BEN)
    add(factory.study(), 5, ADA)
    participant = factory.participant(study)
    whole = record(db.session(), BEN, Action.PARTICIPANT_BULK_EDIT, study=study, count=1)
    details = {participant.patient_id: {"changed": ["field:1"]}}
    record_each(db.session(), BEN, Action.PARTICIPANT_FIELDS, study=study, part_of=whole, details=details)
    db.session.commit()

    def count(asked: ChangeFilter, of: Study | None = study) -> int:
        return len(reading.changes(session, of, asked).rows)

    assert count(ChangeFilter(person="ada")) == 6
    assert count(ChangeFilter(person="ada"), None) == 11
    assert count(ChangeFilter(person="ada", action=Action.STUDY_CREATE)) == 2
    assert count(ChangeFilter(patient_id=participant.patient_id)) == 1
    assert count(ChangeFilter(part_of=whole.id)) == 1
    assert count(ChangeFilter(action=Action.PARTICIPANT_FIELDS)) == 0  # the row of the whole change is listed
    period = Period(START + timedelta(hours=1), START + timedelta(hours=2))
    assert count(ChangeFilter(period=period)) == 3
    assert reading.people_of_changes(session, study) == ["ada", "ben", "server"]


def test_a_file_holds_every_row_also_of_single_participants(
    session: Session, study: Study, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """PORTAL-290: exportable."""
    monkeypatch.setattr("core.audit.paging.ROWS_AT_ONCE", 4)
    add(study, 9, ADA)
    whole = record(db.session(), ADA, Action.PARTICIPANT_BULK_EDIT, study=study, count=2)
    record_each(
        db.session(),
        ADA,
        Action.PARTICIPANT_FIELDS,
        study=study,
        part_of=whole,
        details={"aaaa1111": {}, "bbbb2222": {}},
    )
    db.session.commit()
    rows = list(reading.all_changes(session, study, ChangeFilter()))
    assert len(rows) == 13 == len({row.id for row in rows})


def test_names_to_choose_from_are_those_of_the_study_or_of_the_site(session: Session, study: Study):
    """PORTAL-290: each once, sorted. `make bench` measures that a large table costs no more."""
    add(study, 30, BEN, ADA)
    record(db.session(), COMMAND_LINE, Action.DOWNTIME_ON)
    db.session.commit()
    assert reading.people_of_changes(session, study) == ["ada", "ben", "server"]
    assert reading.people_of_changes(session, None) == ["ada", "ben", "command line", "server"]
    assert reading.people_of_sign_ins(session) == reading.people_of_accesses(session, study) == []
