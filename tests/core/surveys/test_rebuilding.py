"""Events after a change of a whole study: at once where it is small, by a row that waits where it is large."""

from datetime import UTC, date, datetime, time

import pytest
from flask import Flask

from core.audit import SERVER
from core.database import db, open_session
from core.models import EventRebuild, ScheduledEvent, Study
from core.studies.changing import reopen_study, set_timezone, stop_study
from core.surveys import rebuilding
from core.surveys.rebuilding import rebuild_study, sole_rebuilder, studies_to_rebuild
from core.surveys.schedules import Absolute
from tests.support.factories import Factory

NOW = datetime(2024, 6, 5, 12, tzinfo=UTC)


@pytest.fixture
def study(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study of three participants, where two are few and a slice holds two."""
    monkeypatch.setattr(rebuilding, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(rebuilding, "SLICE_PARTICIPANTS", 2)
    study = factory.study()
    for _ in range(3):
        factory.participant(study)
    factory.schedule(factory.survey(study), Absolute(date(2024, 6, 1), time(9)))
    rebuild_study(db.engine, study.id, NOW)
    return study


def hours() -> list[int]:
    return list(db.session.scalars(db.select(ScheduledEvent.scheduled_at).distinct()).all())


def asked() -> list[int]:
    return list(db.session.scalars(db.select(EventRebuild.study_id)))


def test_a_change_of_a_large_study_leaves_a_row_that_a_rebuild_works_off(study: Study):
    """NOTIF-7, CLAR-14: the row commits and goes back with the change."""
    assert set_timezone(db.session(), study, "Asia/Tokyo", NOW, actor=SERVER)
    db.session.rollback()
    assert asked() == []
    assert set_timezone(db.session(), study, "Asia/Tokyo", NOW, actor=SERVER)
    db.session.commit()
    assert (asked(), hours()) == ([study.id], [datetime(2024, 6, 1, 13, tzinfo=UTC)])
    done = rebuild_study(db.engine, study.id, NOW)
    assert (done.participants, done.removed, done.created, done.was_asked) == (3, 3, 3, True)
    assert (asked(), hours()) == ([], [datetime(2024, 6, 1, 0, tzinfo=UTC)])


def test_a_change_during_a_rebuild_is_not_lost(study: Study, monkeypatch: pytest.MonkeyPatch):
    """CLAR-14: its row stays for the next look."""
    stop_study(db.session(), study, NOW, actor=SERVER)
    db.session.commit()
    rebuild = rebuilding.rebuild_events

    def rebuild_beside_a_change(*arguments, **more):
        with open_session() as session:
            reopen_study(session, session.get_one(Study, study.id), NOW, actor=SERVER)
            session.commit()
        return rebuild(*arguments, **more)

    monkeypatch.setattr(rebuilding, "rebuild_events", rebuild_beside_a_change)
    rebuild_study(db.engine, study.id, NOW)
    assert asked() == [study.id]
    monkeypatch.undo()
    rebuild_study(db.engine, study.id, NOW)
    assert asked() == []
    assert db.session.scalar(db.select(db.func.count(ScheduledEvent.id))) == 3


def test_studies_that_were_asked_for_come_first_and_one_rebuilds_at_a_time(study: Study, factory: Factory):
    """CLAR-14."""
    other = factory.study()
    stop_study(db.session(), study, NOW, actor=SERVER)
    assert studies_to_rebuild(db.session(), only_asked=True) == [study.id]
    assert studies_to_rebuild(db.session(), only_asked=False) == [study.id, other.id]
    with sole_rebuilder(db.engine) as first, sole_rebuilder(db.engine) as second:
        assert (first, second) == (True, False)
    with sole_rebuilder(db.engine) as third:
        assert third
