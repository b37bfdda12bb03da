"""The deployments that send pushes and heartbeats, on a real, temporary Prefect server (NOTIF-20, OPS-20, OPS-22)."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from core.database import db
from core.models import ParticipantActivity, ScheduledEvent
from core.notifications.sending import sole_sender
from flows.send_heartbeats import send_heartbeats
from flows.send_notifications import send_notifications
from tests.flows.test_settle_changes import artifact
from tests.support.factories import Factory
from tests.support.fakes.google import FakeGoogle, running_google
from tests.support.pushing import Pushing


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGoogle]:
    with running_google() as fake:
        monkeypatch.setenv("FCM_URL", fake.url)
        yield fake


@pytest.fixture
def due(google: FakeGoogle, factory: Factory) -> Pushing:
    """A phone whose survey is due."""
    pushing = Pushing(factory, google, datetime.now(UTC))
    someone, survey = pushing.phone(), factory.survey(pushing.study)
    at = pushing.now - timedelta(minutes=1)
    db.session.add(ScheduledEvent(survey_id=survey.id, participant_id=someone.id, scheduled_at=at))
    db.session.commit()
    return pushing


def test_a_run_sends_and_shows_what_was_sent(prefect: None, due: Pushing):
    """OPS-21: due, sent by service, platform and outcome."""
    state = send_notifications(minutes=0.05, return_state=True)
    assert "1 due, 1 accepted, 0 waiting" in (state.message or "")
    rows = {row["what"]: row["count"] for row in json.loads(artifact("sent-notifications"))}
    assert rows == {"due": 1, "sent: fcm ANDROID delivered": 1}
    assert send_notifications(minutes=0.05, return_state=True).name == "NothingDue"
    assert len(due.google.messages) == 1


def test_a_run_beside_the_standing_sender_sends_nothing_itself(prefect: None, due: Pushing):
    """CLAR-61."""
    with sole_sender(db.engine):
        assert send_notifications(minutes=0.05, return_state=True).name == "NothingDue"
        assert send_heartbeats(return_state=True).name == "AnotherSends"
    assert due.google.messages == []


def test_heartbeats_have_their_own_deployment(prefect: None, due: Pushing):
    """NOTIF-60."""
    assert send_heartbeats(return_state=True).name == "NobodySilent"
    db.session.execute(sa.update(ParticipantActivity).values(last_surveys_at=due.now - timedelta(hours=2)))
    db.session.commit()
    assert "1 phones silent, 1 accepted" in (send_heartbeats(return_state=True).message or "")
    assert json.loads(artifact("sent-heartbeats")) == [{"outcome": "fcm ANDROID delivered", "count": 1}]
