"""The notifications of the demo's last days: sent, received, answered and refused, as if the server had run then.

The sender's own code runs with a clock of the past, hour by hour, against the demo's stand-in of Firebase.
"""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.config import Settings
from core.database import get_engine
from core.models import (
    AppSettings,
    NotificationAttempt,
    Participant,
    ParticipantActivity,
    PushToken,
    SenderState,
    Study,
)
from core.models.schedule import SUCCESS
from core.notifications.delivering import opener
from core.notifications.sending import send_due, sole_sender
from core.phones.tracking import remember_reports
from core.streams import Platform
from core.surveys.events import rebuild_events

DAYS = 6
RECEIVED_SHARE = 0.8
UNINSTALLED, OF_ANOTHER = "uninstalled-", "another-project-"
"""How tokens begin that the stand-in refuses."""
IOS_BUILD = "2024.30"
dice = Random(20)


def notify_of_last_days(settings: Settings, study_id: int) -> int:
    """Sends what was due in the last days, and returns how many messages; once, before the phones go on.

    One phone's app is taken to be uninstalled, one's token is another project's, and the iOS apps report receipts.
    """
    engine, count = get_engine(), 0
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with Session(engine) as session:
        _spoil_two_tokens(session, study_id)
        _let_ios_report(session, study_id)
        of_study = AppSettings.study_id == study_id
        session.execute(sa.update(AppSettings).where(of_study).values(resend_period_minutes=180))
        session.commit()
    with sole_sender(engine) as is_sole:
        at = now - timedelta(days=DAYS)
        while is_sole and at < now:
            moment = at
            with Session(engine) as session:
                if moment.hour == 0 or moment == now - timedelta(days=DAYS):
                    rebuild_events(session, session.get_one(Study, study_id), moment)
                    session.commit()
            count += send_due(
                engine, opener(settings.fcm_url), settings.push_attempt_count, clock=partial(_same, moment)
            ).accepted
            with Session(engine) as session:
                session.execute(sa.update(SenderState).values(looked_at=datetime.now(UTC)))  # it is awake now
                _report_receipts(session, moment + timedelta(minutes=2))
                session.commit()
            at += timedelta(hours=1)
    return count


def _same(moment: datetime) -> datetime:
    """A clock that stands."""
    return moment


def _spoil_two_tokens(session: Session, study_id: int) -> None:
    tokens = session.scalars(
        sa.select(PushToken)
        .join(Participant, Participant.id == PushToken.participant_id)
        .where(Participant.study_id == study_id, PushToken.retired_at.is_(None))
        .order_by(PushToken.id)
        .limit(2)
    ).all()
    for token, beginning in zip(tokens, (UNINSTALLED, OF_ANOTHER), strict=False):
        token.token = f"{beginning}{token.id}"


def _let_ios_report(session: Session, study_id: int) -> None:
    ios = sa.select(Participant.id).where(Participant.study_id == study_id, Participant.os_type == Platform.IOS.value)
    newer = {"last_version_code": IOS_BUILD, "last_version_name": IOS_BUILD}
    session.execute(sa.update(ParticipantActivity).where(ParticipantActivity.participant_id.in_(ios)).values(newer))


def _report_receipts(session: Session, at: datetime) -> None:
    """Most iOS phones report what they got since the last hour."""
    rows = session.execute(
        sa.select(NotificationAttempt.participant_id, NotificationAttempt.uuid).where(
            NotificationAttempt.uuid.is_not(None),
            NotificationAttempt.status == SUCCESS,
            NotificationAttempt.is_confirmed.is_(False),
            NotificationAttempt.attempted_at >= at - timedelta(hours=1),
        )
    ).all()
    for participant_id, uuid in rows:
        if dice.random() < RECEIVED_SHARE:
            participant = session.get_one(Participant, participant_id)
            remember_reports(session, participant, {"notification_uuids": json.dumps([str(uuid)])}, "/upload", at)
