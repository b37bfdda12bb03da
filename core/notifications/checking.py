"""Trying the site's push credentials: with the service alone, or by a message to a phone (NOTIF-33, PORTAL-270)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.models import MessageKind, Participant, PushService, Study
from core.models.audit_record import Action
from core.notifications.by_hand import NotSent, recipients_of
from core.notifications.delivering import OpenSender, deliver
from core.notifications.ledger import Entry
from core.notifications.messages import text_message
from core.notifications.outcomes import Fate
from core.notifications.rules.bundling import collapse_key
from core.notifications.senders import Addressed
from core.notifications.service_states import note_service
from core.streams import Platform

NOBODYS_TOKEN = {PushService.FCM: "no-phone-has-this-token", PushService.APNS: "0" * 64}
TEST_TEXT = "This is a test message of your study’s server. Nothing is to be done."
TEST_LIVES = timedelta(minutes=10)


@dataclass(frozen=True)
class Checked:
    """Whether the service takes the credentials, and what it said."""

    is_taken: bool
    text: str


def check_service(session: Session, open_sender: OpenSender, service: PushService, now: datetime) -> Checked:
    """Sends a message to a token that no phone has: a service that knows the sender complains of the token only.

    Notes the service's state, so that a refusal that is mended ends its alert. The caller commits.
    """
    sender = open_sender(session, service)
    if sender is None:
        return Checked(False, "There are no credentials to try.")
    platform = Platform.ANDROID if service is PushService.FCM else Platform.IOS
    message = text_message(platform, TEST_TEXT).until(now + TEST_LIVES, "a-check", now)
    with sender:
        outcomes = [outcome for _, outcome in sender.send_all([Addressed(0, NOBODYS_TOKEN[service], message)])]
    if not outcomes:
        return Checked(False, "The service was not asked.")
    note_service(session, service, outcomes, now)
    outcome = outcomes[0]
    if outcome.fate in (Fate.CREDENTIALS, Fate.UNREACHABLE, Fate.QUOTA):
        said = {
            Fate.CREDENTIALS: "The service refuses these credentials",
            Fate.UNREACHABLE: "The service cannot be reached",
            Fate.QUOTA: "The service takes no more messages at the moment",
        }[outcome.fate]
        return Checked(False, f"{said}: {outcome.reason}" if outcome.reason else f"{said}.")
    return Checked(True, "The service takes these credentials. Whether a phone shows messages, only a phone can tell.")


def send_test(
    session: Session,
    engine: sa.Engine,
    open_sender: OpenSender,
    participant: Participant,
    clock: Callable[[], datetime],
    *,
    actor: Actor,
) -> str | None:
    """Sends a test message to a participant's phone; commits. Returns None, or why the service did not take it.

    Raises NotSent where nothing could be tried.
    """
    now = clock()
    recipient, reason = recipients_of(session, [participant.id])[participant.id]
    if recipient is None:
        raise NotSent(reason)
    study = session.get_one(Study, participant.study_id)
    key = collapse_key(recipient.patient_id, [TEST_TEXT], about="text")
    message = text_message(recipient.platform, TEST_TEXT).until(now + TEST_LIVES, key, now)
    record(session, actor, Action.NOTIFICATION_TEST, study=study, participant=participant)
    session.commit()
    done = deliver(engine, open_sender, [Entry(recipient, MessageKind.TEXT, message, now)], clock)
    if done.accepted:
        return None
    if done.not_tried:
        return "The push service is not asked at the moment."
    return f"The push service did not take it ({next(iter(done.outcomes))[2]})."
