"""What would change before saving schedules: the same as the saving does, and nothing stays."""

from datetime import UTC, date, datetime, time

import pytest
import sqlalchemy as sa
from flask import Flask

from core.audit import SERVER
from core.database import db
from core.models import AuditRecord, Participant, Schedule, ScheduledEvent, Study, Survey
from core.surveys.events import rebuild_events
from core.surveys.previewing import preview_schedule_change
from core.surveys.schedules import Absolute, Planned, Random, Weekly
from core.surveys.scheduling import ScheduleChanges, save_schedules
from core.surveys.timing_lists import TimingRefused
from tests.support.factories import Factory

NOW = datetime(2024, 6, 5, 12, tzinfo=UTC)
EVENTS = sa.select(ScheduledEvent.id, ScheduledEvent.participant_id, ScheduledEvent.scheduled_at)


@pytest.fixture
def survey(app: Flask, factory: Factory) -> Survey:
    """A survey with events of two participants."""
    study = factory.study()
    factory.participant(study), factory.participant(study)
    survey = factory.survey(study)
    for timing in (Weekly(5, time(9)), Weekly(6, time(9)), Absolute(date(2024, 6, 1), time(9))):
        factory.schedule(survey, timing)
    rebuild_events(db.session(), study, NOW)
    db.session.commit()
    return survey


def rows() -> list[object]:
    counted = [db.session.scalar(sa.select(sa.func.count()).select_from(model)) for model in (AuditRecord, Schedule)]
    return [*counted, *db.session.execute(EVENTS.order_by(ScheduledEvent.id)).all()]


def test_a_preview_says_what_the_saving_does_and_changes_nothing(survey: Survey):
    """NOTIF-8, SURVEY-31."""
    random = Random((0, 1), time(9), time(21), 3, 60)
    changes = ScheduleChanges([Planned(Weekly(5, time(9))), Planned(Weekly(6, time(10))), Planned(random)])
    before = rows()
    preview = preview_schedule_change(db.session(), survey, changes, NOW)
    db.session.commit()
    assert rows() == before
    seen = {(number, at) for _, number, at in db.session.execute(EVENTS)}
    save_schedules(db.session(), survey, changes, NOW, actor=SERVER)
    db.session.commit()
    saved = {(number, at) for _, number, at in db.session.execute(EVENTS)}
    assert preview.appear.count == len(saved - seen) == 2 * (2 + 2 * 3) and preview.appear.participants == 2
    assert preview.vanish.count + preview.vanish_past == len(seen - saved) == 2 * 3
    assert (preview.vanish.count, preview.vanish_past) == (4, 2)
    assert preview.vanish.first == datetime(2024, 6, 8, 13, tzinfo=UTC)
    assert preview.vanish.last == datetime(2024, 6, 15, 13, tzinfo=UTC)
    ids = dict(db.session.execute(sa.select(Participant.patient_id, Participant.id)).tuples().all())
    assert preview.appear.examples and all((ids[who], at) in saved - seen for who, at in preview.appear.examples)


def test_it_is_computed_for_some_and_says_for_how_many(survey: Survey, factory: Factory):
    """Large studies: bounded in time."""
    study = db.session.get_one(Study, survey.study_id)
    factory.participant(study, retired_at=NOW)
    changes = ScheduleChanges([])
    preview = preview_schedule_change(db.session(), survey, changes, NOW, most=1)
    assert (preview.participants, preview.computed_for, preview.vanish.count) == (2, 1, 4)


def test_events_that_are_behind_do_not_look_like_a_change(survey: Survey):
    """NOTIF-5: where the week has turned since."""
    planned = [Planned(Weekly(5, time(9))), Planned(Weekly(6, time(9))), Planned(Absolute(date(2024, 6, 1), time(9)))]
    preview = preview_schedule_change(db.session(), survey, ScheduleChanges(planned), NOW.replace(day=12))
    assert (preview.appear.count, preview.vanish.count, preview.vanish_past) == (0, 0, 0)
    assert preview.appear.first is None and preview.appear.examples == []


def test_schedules_that_cannot_be_are_refused_and_nothing_is_lost(survey: Survey):
    """CLAR-52."""
    before = rows()
    with pytest.raises(TimingRefused):
        preview_schedule_change(
            db.session(), survey, ScheduleChanges([Planned(Random((0,), time(9), time(10), 5, 60))]), NOW
        )
    db.session.commit()
    assert rows() == before
