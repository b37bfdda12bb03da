"""Webhooks: made, changed, tested, switched, deleted; messages sent again (CLAR-75)."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.bulk import is_one_of
from core.crypto.secrets import SecretUnreadable
from core.models import Channel, OutgoingMessage, Study, Survey, Webhook, WebhookEventType
from core.models.audit_record import Action
from core.models.webhook import CHOSEN_EVENTS
from core.outgoing.addresses import AddressRefused, checked_address
from core.outgoing.delivering import start_again
from core.outgoing.queueing import StudyMessage, queue_study_messages
from core.outgoing.transports import KEY_PREFIX
from core.webhooks.results import WAS_OFF, give_up_waiting

KEY_BYTES = 32
FORMER_KEY_SIGNS = timedelta(hours=24)
MOST_WEBHOOKS = 20
LONGEST_NAME = 100
SILENT_HOURS = range(6, 721)


class WebhookRefused(ValueError):
    """A webhook cannot be saved; the message says why, and `field` where."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class AddressRules:
    """Which addresses may be given: `is_strict` in production, `allows_private` by the server's setting."""

    is_strict: bool = True
    allows_private: bool = False


@dataclass(frozen=True)
class WebhookForm:
    """What somebody wants of a webhook. `survey_ids` are numbers of surveys, none for all."""

    name: str
    address: str
    events: Sequence[str]
    survey_ids: Sequence[int] = ()
    silent_after_hours: int | None = 48


def save_webhook(
    session: Session,
    study: Study,
    form: WebhookForm,
    now: datetime,
    *,
    webhook: Webhook | None = None,
    rules: AddressRules | None = None,
    actor: Actor,
) -> Webhook:
    """Makes a webhook, which is on, or changes one. The caller commits. Raises WebhookRefused.

    What waits goes to the new address. What happened before it was made is not told.
    """
    rules = rules or AddressRules()
    values = _checked(session, study, form, rules)
    if webhook is None:
        # Locked, so that two requests do not exceed the most together.
        session.execute(sa.select(Study.id).where(Study.id == study.id).with_for_update())
        count = session.scalar(sa.select(sa.func.count()).select_from(Webhook).where(Webhook.study_id == study.id))
        if (count or 0) >= MOST_WEBHOOKS:
            raise WebhookRefused(f"A study has up to {MOST_WEBHOOKS} webhooks.", "name")
        webhook = Webhook(study_id=study.id, signing_key=new_key(), on_since=now, **values)
        session.add(webhook)
        session.flush()
        action, changed = Action.WEBHOOK_CREATE, sorted(values)
    else:
        action, changed = Action.WEBHOOK_CHANGE, sorted(name for name in values if _differs(webhook, name, values))
        for name in changed:
            setattr(webhook, name, values[name])
    record(session, actor, action, study=study, webhook=webhook.id, name=webhook.name, changed=changed)
    return webhook


def replace_key(session: Session, study: Study, webhook: Webhook, now: datetime, *, actor: Actor) -> str:
    """Makes a new key and returns it, which is shown once; the former signs as well for 24 hours.

    The caller commits.
    """
    try:
        former = webhook.signing_key
    except SecretUnreadable:
        former = None
    webhook.former_key, webhook.former_key_until = former, now + FORMER_KEY_SIGNS if former else None
    webhook.signing_key = new_key()
    record(session, actor, Action.WEBHOOK_KEY, study=study, webhook=webhook.id, name=webhook.name)
    return webhook.signing_key


def switch_on(session: Session, study: Study, webhook: Webhook, now: datetime, *, actor: Actor) -> None:
    """Tells the address of events again, from now on: what happened meanwhile is not told. The caller commits."""
    if webhook.is_on:
        return
    webhook.is_on, webhook.on_since, webhook.off_since, webhook.off_because = True, now, None, None
    webhook.failing_since, webhook.rests_until, webhook.failed_tries = None, None, 0
    record(session, actor, Action.WEBHOOK_ON, study=study, webhook=webhook.id, name=webhook.name)


def switch_off(session: Session, study: Study, webhook: Webhook, now: datetime, *, actor: Actor) -> None:
    """Tells the address nothing more; what waits is given up. The caller commits."""
    if not webhook.is_on:
        return
    webhook.is_on, webhook.off_since, webhook.off_because = False, now, None
    webhook.failing_since, webhook.rests_until, webhook.failed_tries = None, None, 0
    give_up_waiting(session, webhook, WAS_OFF, now)
    record(session, actor, Action.WEBHOOK_OFF, study=study, webhook=webhook.id, name=webhook.name)


def delete_webhook(session: Session, study: Study, webhook: Webhook, *, actor: Actor) -> None:
    """Deletes the webhook with its keys and its log. The caller commits."""
    record(session, actor, Action.WEBHOOK_DELETE, study=study, webhook=webhook.id, name=webhook.name)
    session.delete(webhook)


def send_test(session: Session, study: Study, webhook: Webhook, now: datetime, *, actor: Actor) -> None:
    """Writes a message of the type `webhook.test`, which is sent also while the webhook is off. The caller commits."""
    message = StudyMessage(
        webhook_id=webhook.id,
        study_id=study.id,
        participant_id=None,
        study=study.object_id,
        kind=WebhookEventType.TEST.value,
        data={"webhook": webhook.name},
        at=now,
        about=f"webhook {webhook.id} test {uuid4()}",
        first_try_at=now,
    )
    queue_study_messages(session, [message], now)
    record(session, actor, Action.WEBHOOK_TEST, study=study, webhook=webhook.id, name=webhook.name)


def send_again(
    session: Session, study: Study, webhook: Webhook, message: OutgoingMessage, now: datetime, *, actor: Actor
) -> bool:
    """Sends a message again that was delivered or given up, with the same contents and id. The caller commits.

    Returns False if it waits anyway, or if the webhook is off.
    """
    session.flush()
    session.refresh(message, with_for_update=True)
    if not webhook.is_on or message.next_try_at is not None:
        return False
    start_again(message, now)
    record(session, actor, Action.WEBHOOK_SEND_AGAIN, study=study, webhook=webhook.id, message=str(message.uuid))
    return True


def send_failed_again(session: Session, study: Study, webhook: Webhook, now: datetime, *, actor: Actor) -> int:
    """Sends all messages again that were given up, with the same contents and ids; returns how many.

    The caller commits. None are sent while the webhook is off.
    """
    if not webhook.is_on:
        return 0
    failed = sa.update(OutgoingMessage).where(
        OutgoingMessage.webhook_id == webhook.id,
        OutgoingMessage.channel == Channel.WEBHOOK.value,
        OutgoingMessage.delivered_at.is_(None),
        OutgoingMessage.given_up_at.is_not(None),
    )
    again = failed.values(given_up_at=None, next_try_at=now, tries=0, created_at=now, problem=None)
    count: int = session.execute(again, execution_options={"synchronize_session": False}).rowcount  # type: ignore[attr-defined]
    if count:
        record(session, actor, Action.WEBHOOK_SEND_AGAIN, study=study, webhook=webhook.id, messages=count)
    return count


def new_key() -> str:
    """A random key in the form of Standard Webhooks."""
    return KEY_PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _differs(webhook: Webhook, name: str, values: dict[str, object]) -> bool:
    try:
        return bool(getattr(webhook, name) != values[name])
    except SecretUnreadable:
        return True


def _checked(session: Session, study: Study, form: WebhookForm, rules: AddressRules) -> dict[str, object]:
    name = " ".join(form.name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise WebhookRefused(f"Give it a name of up to {LONGEST_NAME} characters.", "name")
    try:
        address = checked_address(form.address, is_strict=rules.is_strict, allows_private=rules.allows_private)
    except AddressRefused as refused:
        raise WebhookRefused(str(refused), "address") from None
    events = [event.value for event in CHOSEN_EVENTS if event in form.events]
    if not events:
        raise WebhookRefused("Choose what the address is told of.", "events")
    surveys = sorted(set(form.survey_ids))
    query = sa.select(sa.func.count()).where(Survey.study_id == study.id, is_one_of(Survey.id, surveys))
    if surveys and session.scalar(query) != len(surveys):
        raise WebhookRefused("One of these surveys is not of this study.", "survey_ids")
    if form.silent_after_hours not in SILENT_HOURS:
        raise WebhookRefused("A whole number from 6 to 720 hours.", "silent_after_hours")
    return {
        "name": name,
        "address": address,
        "events": events,
        "survey_ids": surveys,
        "silent_after_hours": form.silent_after_hours,
    }
