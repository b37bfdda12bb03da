"""Studies whose surveys are pushed, for tests of notifications."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.audit import SERVER
from core.database import db
from core.models import (
    CredentialKind,
    NotificationAttempt,
    Participant,
    ParticipantActivity,
    PushMessage,
    PushService,
    PushServiceState,
    PushToken,
    ScheduledEvent,
    Study,
    Survey,
)
from core.notifications.credentials import store_credential
from core.notifications.delivering import opener
from core.notifications.sending import Look, send_due
from core.streams import Platform
from core.surveys.events import rebuild_events
from tests.support.factories import Factory
from tests.support.fakes.google import FakeGoogle

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
NEW_IOS = {"last_version_code": "1", "last_version_name": "2024.27"}


@dataclass
class Pushing:
    """A site with Firebase's stand-in. `now` is the clock of all that it does."""

    factory: Factory
    google: FakeGoogle
    now: datetime
    study: Study = field(init=False)

    def __post_init__(self) -> None:
        self.study = self.factory.study(timezone_name="America/New_York")
        self.configure()

    def configure(self) -> None:
        account = json.dumps(self.google.service_account).encode()
        store_credential(db.session(), CredentialKind.BACKEND, account, LONG_AGO, actor=SERVER)
        state = PushServiceState(service="fcm", accepted_at=self.now)
        db.session.merge(state)
        db.session.commit()

    def phone(
        self,
        platform: Platform = Platform.ANDROID,
        zone: str | None = None,
        study: Study | None = None,
        **activity: Any,
    ) -> Participant:
        """A participant whose phone was just there, with a token of its own."""
        someone = self.factory.participant(study or self.study, platform=platform, timezone_name=zone)
        self.token(someone)
        values = {"last_surveys_at": self.now} | activity
        theirs = ParticipantActivity.participant_id == someone.id
        db.session.execute(sa.update(ParticipantActivity).where(theirs).values(values))
        db.session.commit()
        return someone

    def token(self, someone: Participant, service: PushService = PushService.FCM) -> None:
        db.session.add(PushToken(participant_id=someone.id, service=service.value, token=f"t-{someone.patient_id}"))
        db.session.commit()

    def asked(self, *timings: Any, study: Study | None = None, **columns: Any) -> Survey:
        """A survey with these timings, and its events."""
        survey = self.factory.survey(study or self.study, **columns)
        for timing in timings:
            self.factory.schedule(survey, timing)
        self.rebuild(study)
        return survey

    def rebuild(self, study: Study | None = None) -> None:
        rebuild_events(db.session(), study or self.study, self.now)
        db.session.commit()

    def look(self, at: datetime | None = None) -> Look:
        """One look of the sender."""
        self.now = at or self.now
        db.session.commit()
        looked = send_due(db.engine, opener(self.google.url), 720, clock=lambda: self.now)
        db.session.rollback()
        return looked

    def later(self, **time: float) -> Look:
        """One look so much later."""
        return self.look(self.now + timedelta(**time))

    def sent(self) -> list[dict[str, list[str]]]:
        """Surveys and uuids of the messages that Firebase took."""
        return [
            json.loads(data_of(message)["survey_uuids_dict"])
            for message in self.google.messages
            if "survey_uuids_dict" in data_of(message)
        ]


def data_of(message: dict[str, Any]) -> dict[str, str]:
    """The data of a message, where its platform has them."""
    found: dict[str, str] = message["data"] if "data" in message else message["android"]["data"]
    return found


def attempts(**columns: Any) -> list[NotificationAttempt]:
    query = db.select(NotificationAttempt).filter_by(**columns).order_by(NotificationAttempt.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def messages() -> list[PushMessage]:
    query = db.select(PushMessage).order_by(PushMessage.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def events(**columns: Any) -> list[ScheduledEvent]:
    query = db.select(ScheduledEvent).filter_by(**columns).order_by(ScheduledEvent.scheduled_at, ScheduledEvent.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def tokens(someone: Participant) -> list[PushToken]:
    query = db.select(PushToken).filter_by(participant_id=someone.id).order_by(PushToken.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))
