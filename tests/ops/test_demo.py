"""The demo's study, made by the functions that the portal uses."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

import pytest
from flask import Flask

from core.audit import SERVER
from core.config import get_settings
from core.database import db
from core.models import CredentialKind, ScheduledEvent, SenderState, Survey, SurveyVersion
from core.notifications.credentials import service_account, store_credential
from core.notifications.described import described_credentials
from core.streams import Platform
from core.surveys.schedules import Weekly
from ops import demo, demo_past, demo_push
from tests.support.factories import Factory
from tests.support.fakes.apple import running_apple
from tests.support.fakes.google import running_google
from tests.support.pushing import Pushing, attempts
from webapp.stores import settings

NOW = datetime(2024, 6, 5, 16, tzinfo=UTC)


@pytest.fixture
def pushing(factory: Factory) -> Iterator[Pushing]:
    with running_google() as google:
        yield Pushing(factory, google, datetime.now(UTC))


def test_surveys_of_the_demo_have_versions_schedules_and_events(app: Flask):
    """SURVEY-2, SURVEY-3, NOTIF-3."""
    made = demo.make_study(settings())
    assert len(made["participants"]) == demo.PARTICIPANTS
    surveys = db.session.scalars(db.select(Survey).order_by(Survey.id)).all()
    assert [survey.name for survey in surveys] == ["Evening check", "Moment check", "Voice diary"]
    for survey in surveys:
        query = db.select(SurveyVersion).filter_by(survey_id=survey.id).order_by(SurveyVersion.started_at.desc())
        newest = db.session.scalars(query).first()
        assert newest is not None
        assert json.loads(newest.content) == json.loads(survey.content) != []
        assert newest.settings == survey.settings
    with_events = db.session.scalar(db.select(db.func.count(ScheduledEvent.participant_id.distinct())))
    assert with_events == demo.PARTICIPANTS


def test_the_demos_push_services_are_named_as_stand_ins_and_leave_others_credentials_alone(app: Flask):
    """NOTIF-33: what a site administrator sees of them, and after another credential was stored."""
    with running_google() as google, running_apple() as apple:
        google.project, apple.topic = demo_push.NAME, demo_push.TOPIC
        demo_push.store(google, apple.key_file)
        shown = described_credentials(db.session())
        assert ("Project", "stand-in-of-this-demo") in shown[CredentialKind.BACKEND].facts
        assert ("Topic", "org.example.stand-in-of-this-demo") in shown[CredentialKind.APNS].facts
        other = google.service_account | {"project_id": "of-the-site"}
        store_credential(db.session(), CredentialKind.BACKEND, json.dumps(other).encode(), NOW, actor=SERVER)
        db.session.commit()
        demo_push.store(google, apple.key_file)
        db.session.rollback()
        account = service_account(db.session())
    assert account and account["project_id"] == "of-the-site"


def test_the_demos_past_has_sent_received_refused_and_lost(pushing: Pushing):
    """NOTIF-40, NOTIF-41, NOTIF-42: by the sender itself, with a clock of the past."""
    pushing.google.token_form, pushing.google.answer_to = r"\S+", demo_push.answer_to
    phones = [pushing.phone(), pushing.phone(), pushing.phone(), pushing.phone(Platform.IOS)]
    pushing.asked(*(Weekly(day, time(hour)) for day in range(7) for hour in (9, 21)))
    settings = get_settings().model_copy(update={"fcm_url": pushing.google.url})
    assert demo_past.notify_of_last_days(settings, pushing.study.id) > demo_past.DAYS
    by_phone = {someone.id: Counter(row.status for row in attempts(participant_id=someone.id)) for someone in phones}
    uninstalled, of_another, well, ios = (by_phone[someone.id] for someone in phones)
    assert uninstalled["success"] == 0 and uninstalled["expired"] > 0
    assert any(status.startswith("SENDER_ID_MISMATCH") for status in of_another)
    assert well["success"] > 0 and ios["success"] > 0
    assert any(row.is_confirmed for row in attempts(participant_id=phones[3].id))
    looked_at = db.session.scalar(db.select(SenderState.looked_at))
    assert looked_at and datetime.now(UTC) - looked_at < timedelta(minutes=1), "no alert that nobody sends"
