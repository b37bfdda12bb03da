"""The deployment that brings events into step, on a real, temporary Prefect server (NOTIF-7, CLAR-14)."""

import json
from datetime import UTC, date, datetime, time

import pytest
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from core.audit import SERVER
from core.database import db
from core.models import EventRebuild, ScheduledEvent, Study
from core.studies.changing import stop_study
from core.surveys import rebuilding
from core.surveys.rebuilding import sole_rebuilder
from core.surveys.schedules import Absolute
from flows.rebuild_schedules import rebuild_schedules
from tests.support.factories import Factory


@pytest.fixture
def study(factory: Factory) -> Study:
    """A study with one participant and one schedule, and no event yet."""
    participant = factory.participant()
    factory.schedule(factory.survey(participant.study), Absolute(date(2034, 6, 1), time(9)))
    return participant.study


def count() -> int:
    db.session.rollback()
    return db.session.scalar(db.select(db.func.count(ScheduledEvent.id))) or 0


def table() -> list[dict[str, object]]:
    key = ArtifactFilterKey(any_=["rebuilt-schedules"])
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=key))
    return list(json.loads(max(found, key=lambda artifact: artifact.created).data))


def test_each_hour_events_are_brought_into_step_and_the_artifact_says_how(prefect: None, study: Study):
    """NOTIF-5, NOTIF-7, OPS-20, OPS-21."""
    state = rebuild_schedules(return_state=True)
    assert count() == 1
    assert "1 studies, 0 events removed, 1 created" in state.message
    assert table()[0] == {
        "study_id": study.object_id,
        "participants": 1,
        "removed": 0,
        "created": 1,
        "was_asked": False,
    }
    assert rebuild_schedules(return_state=True).name == "NothingChanged"


def test_what_a_change_left_is_worked_off_and_only_one_run_does(
    prefect: None, study: Study, monkeypatch: pytest.MonkeyPatch
):
    """CLAR-14, OPS-22."""
    rebuild_schedules()
    monkeypatch.setattr(rebuilding, "MOST_AT_ONCE", 0)
    stop_study(db.session(), study, datetime.now(UTC), actor=SERVER)
    db.session.commit()
    assert count() == 1
    with sole_rebuilder(db.engine):
        assert rebuild_schedules(only_asked=True, return_state=True).name == "AnotherRebuilds"
    rebuild_schedules(only_asked=True)
    assert count() == 0
    assert db.session.scalars(db.select(EventRebuild)).all() == []
