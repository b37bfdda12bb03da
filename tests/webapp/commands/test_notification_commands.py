"""`notifications due` and `notifications send` as users run them, without Prefect."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.database import db
from core.models import PushCredential, ScheduledEvent
from tests.support.commands import command, run_command
from tests.support.factories import Factory
from tests.support.fakes.google import FakeGoogle, running_google
from tests.support.pushing import Pushing


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGoogle]:
    with running_google() as fake:
        monkeypatch.setenv("FCM_URL", fake.url)
        yield fake


def test_what_is_due_is_listed_and_then_sent_once(google: FakeGoogle, factory: Factory):
    """NOTIF-20, OPS-23."""
    pushing = Pushing(factory, google, datetime.now(UTC))
    someone, survey = pushing.phone(), factory.survey(pushing.study)
    at = pushing.now - timedelta(minutes=1)
    db.session.add(ScheduledEvent(survey_id=survey.id, participant_id=someone.id, scheduled_at=at))
    db.session.commit()
    (row,) = command("notifications", "due", "--dry-run")
    assert (row["participant"], row["surveys"], row["platform"]) == (someone.patient_id, [survey.object_id], "ANDROID")
    before = f"{at - timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
    assert command("notifications", "due", "--now", before) == []
    sent = command("notifications", "send")
    assert (sent["due"], sent["accepted"], sent["outcomes"]) == (1, 1, {"fcm ANDROID delivered": 1})
    assert command("notifications", "send")["messages"] == 0
    refused = run_command("notifications", "due", "--now", "soon")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)


def test_credentials_are_stored_and_removed_from_the_command_line(google: FakeGoogle, factory: Factory, tmp_path: Path):
    """NOTIF-33: a wrong file is refused with the reason."""
    file = tmp_path / "account.json"
    file.write_text(json.dumps(google.service_account))
    assert run_command("notifications", "credential", "backend", str(file)).returncode == 0
    assert db.session.scalars(db.select(PushCredential.kind)).all() == ["backend"]
    file.write_text("{}")
    refused = run_command("notifications", "credential", "backend", str(file))
    assert (refused.returncode, "not a service account" in refused.stderr) == (1, True)
    assert run_command("notifications", "credential", "backend", "--remove").returncode == 0
    db.session.rollback()
    assert db.session.scalars(db.select(PushCredential.kind)).all() == []
