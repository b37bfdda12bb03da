"""Commands, in processes of their own, keep scheduled events in step with what they change (NOTIF-7)."""

from datetime import UTC, datetime, time, timedelta

import pytest
from flask import Flask

from core.database import db
from core.models import Participant, ScheduledEvent, Study
from core.surveys.schedules import Absolute, Weekly
from tests.support.commands import command
from tests.support.factories import Factory


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    """A study whose two participants have events, made by the command."""
    study = factory.study()
    survey = factory.survey(study)
    factory.schedule(survey, Absolute(datetime.now(UTC).date() + timedelta(days=9), time(9)))
    factory.schedule(survey, Weekly(3, time(9)))
    for _ in range(2):
        factory.participant(study)
    command("rebuild-schedules", "--study", study.object_id)
    assert set(hours()) != set()
    return study


def hours(participant: Participant | None = None) -> list[datetime]:
    query = db.select(ScheduledEvent.scheduled_at).order_by(ScheduledEvent.scheduled_at)
    if participant:
        query = query.where(ScheduledEvent.participant_id == participant.id)
    db.session.rollback()
    return list(db.session.scalars(query))


YESTERDAY = (datetime.now(UTC) - timedelta(days=3)).date().isoformat()


@pytest.mark.parametrize(
    ("stop", "reopen"),
    [(["--stop"], ["--start"]), (["--hide"], ["--show"]), (["--end-date", YESTERDAY], ["--end-date", "none"])],
)
def test_a_stopped_study_has_no_events_at_once_and_has_them_again(study: Study, stop: list[str], reopen: list[str]):
    """NOTIF-7, PORTAL-90, PORTAL-91, PORTAL-92, PORTAL-93."""
    before = hours()
    command("study", "update", study.object_id, *stop)
    assert hours() == []
    command("study", "update", study.object_id, *reopen)
    assert hours() == before


def test_events_follow_the_zone_of_their_study(study: Study):
    """NOTIF-7, PORTAL-95."""
    before = hours()
    command("study", "update", study.object_id, "--timezone", "Asia/Tokyo")
    assert {at.hour for at in hours()} == {0}
    assert {at.hour for at in before}.isdisjoint({0})


@pytest.mark.parametrize("how", ["retire", "purge"])
def test_who_leaves_has_no_events_at_once(study: Study, how: str):
    """NOTIF-3, NOTIF-7, STORE-9, PORTAL-135: and nobody else loses any."""
    one, other = db.session.scalars(db.select(Participant).order_by(Participant.id)).all()
    theirs = hours(other)
    if how == "retire":
        command("participant", "update", one.patient_id, "--retire")
    else:
        command("participant", "purge", one.patient_id, "--yes-delete-everything", one.patient_id)
    assert hours(one) == []
    assert hours(other) == theirs
