"""What becomes of a webhook by its tries: it rests while it fails, and is switched off after long failure (CLAR-75).

A receiver that does not answer would otherwise occupy the delivery of all others: while every try fails, all of its
messages wait together, and only a few are tried at a time.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.access import Capability, Role, decide
from core.audit import SERVER, record
from core.config import Settings
from core.models import Channel, OutgoingMessage, Researcher, Study, StudyRole, Webhook, WebhookEventType
from core.models.audit_record import Action
from core.models.researcher import requester_of
from core.outgoing.delivering import GIVEN_UP_AFTER, LEASE, Destination
from core.outgoing.queueing import queue_mail
from core.outgoing.transports import NotDelivered
from core.webhooks.telling import link_to

log = logging.getLogger(__name__)

OFF_AFTER, OFF_AFTER_TRIES = timedelta(days=5), 10
"""A webhook is switched off when all tries failed for so long, and there were at least so many."""
SHORTEST_REST, LONGEST_REST = timedelta(seconds=15), timedelta(hours=1)
WAS_OFF = "Not sent: the webhook is off."
_SEALED = [sa.orm.undefer(column) for column in (Webhook.address, Webhook.signing_key, Webhook.former_key)]


def refuse_study_message(session: Session, message: OutgoingMessage) -> str | Destination | None:
    """Where a message to a study's webhook goes now, or why it is not sent; None for messages about other things.

    Mails about a webhook are not sent to people who may no longer manage it. Raises SecretUnreadable.
    """
    if message.webhook_id is None:
        return None
    webhook = session.get_one(Webhook, message.webhook_id, options=_SEALED)
    study = session.get_one(Study, webhook.study_id)
    if study.hidden_at is not None:
        return "Not sent: the study was deleted."
    if message.channel == Channel.MAIL:
        return _refuse_mail(session, message, study)
    if not webhook.is_on and message.contents["type"] != WebhookEventType.TEST:
        return WAS_OFF
    keys = [webhook.signing_key]
    if webhook.former_key and webhook.former_key_until and webhook.former_key_until > datetime.now(UTC):
        keys.append(webhook.former_key)
    return Destination(webhook.address, tuple(keys))


def note_results(
    session: Session, settings: Settings, results: Sequence[tuple[int, NotDelivered | None]], now: datetime
) -> None:
    """Notes at each webhook whether its tries of this round failed; the caller commits."""
    by_id = dict(results)
    query = sa.select(OutgoingMessage.id, OutgoingMessage.webhook_id).where(
        OutgoingMessage.id.in_(by_id),
        OutgoingMessage.webhook_id.is_not(None),
        OutgoingMessage.channel == Channel.WEBHOOK.value,
    )
    of_webhook: dict[int, list[int]] = {}
    for number, webhook_id in session.execute(query).tuples():
        if webhook_id is not None:
            of_webhook.setdefault(webhook_id, []).append(number)
    for webhook_id, numbers in sorted(of_webhook.items()):
        failures = [failure for number in numbers if (failure := by_id[number]) is not None]
        webhook = session.get(Webhook, webhook_id, with_for_update=True)
        if webhook is None:
            continue
        if len(failures) < len(numbers):
            _note_success(session, webhook, now)
        else:
            _note_failure(session, settings, webhook, numbers, failures, now)


def give_up_waiting(session: Session, webhook: Webhook, why: str, now: datetime) -> None:
    """Gives up what waits for the webhook; it can be sent again by hand. The caller commits."""
    given_up = sa.update(OutgoingMessage).where(*_waits(webhook))
    session.execute(
        given_up.values(given_up_at=now, next_try_at=None, problem=sa.func.coalesce(OutgoingMessage.problem, why)),
        execution_options={"synchronize_session": False},
    )


def _waits(webhook: Webhook) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        OutgoingMessage.webhook_id == webhook.id,
        OutgoingMessage.channel == Channel.WEBHOOK.value,
        OutgoingMessage.next_try_at.is_not(None),
    )


def _note_success(session: Session, webhook: Webhook, now: datetime) -> None:
    """After a failure, what waited is tried at once; what another process tries just now has its lease."""
    if webhook.failing_since is None:
        return
    webhook.failing_since, webhook.rests_until, webhook.failed_tries = None, None, 0
    _postpone(session, webhook, now, OutgoingMessage.next_try_at > now + LEASE)


def _note_failure(
    session: Session,
    settings: Settings,
    webhook: Webhook,
    numbers: Sequence[int],
    failures: Sequence[NotDelivered],
    now: datetime,
) -> None:
    webhook.failing_since = webhook.failing_since or now
    webhook.failed_tries += len(failures)
    failing_for = now - webhook.failing_since
    webhook.rests_until = now + min(max(failing_for / 4, SHORTEST_REST), LONGEST_REST)
    if not webhook.is_on:  # a test of one that is off
        return
    is_gone = any(failure.is_final for failure in failures)
    if is_gone or (failing_for >= OFF_AFTER and webhook.failed_tries >= OFF_AFTER_TRIES):
        _switch_off(session, settings, webhook, str(failures[-1]), now)
        return
    is_idle = sa.or_(OutgoingMessage.next_try_at <= now, OutgoingMessage.id.in_(numbers))
    is_old = OutgoingMessage.created_at + GIVEN_UP_AFTER[Channel.WEBHOOK] < webhook.rests_until
    old = sa.select(OutgoingMessage.id).where(*_waits(webhook), is_idle, is_old).with_for_update(skip_locked=True)
    session.execute(
        sa.update(OutgoingMessage)
        .where(OutgoingMessage.id.in_(old.scalar_subquery()))
        .values(
            given_up_at=now, next_try_at=None, problem=sa.func.coalesce(OutgoingMessage.problem, str(failures[-1]))
        ),
        execution_options={"synchronize_session": False},
    )
    if not session.scalar(sa.select(sa.exists().where(*_waits(webhook)))):
        _tell_given_up(session, settings, webhook, str(failures[-1]), now)
        return
    _postpone(session, webhook, webhook.rests_until, is_idle, OutgoingMessage.next_try_at < webhook.rests_until)


def _postpone(session: Session, webhook: Webhook, until: datetime, *which: sa.ColumnElement[bool]) -> None:
    """Sets the next try of messages that wait. Rows that another process has locked are left to it."""
    rows = sa.select(OutgoingMessage.id).where(*_waits(webhook), *which).with_for_update(skip_locked=True)
    session.execute(
        sa.update(OutgoingMessage).where(OutgoingMessage.id.in_(rows.scalar_subquery())).values(next_try_at=until),
        execution_options={"synchronize_session": False},
    )


def _switch_off(session: Session, settings: Settings, webhook: Webhook, problem: str, now: datetime) -> None:
    """Switches it off, and tells the study's administrators by mail."""
    study = session.get_one(Study, webhook.study_id)
    webhook.is_on, webhook.off_since = False, now
    webhook.off_because = f"Nothing has arrived since {webhook.failing_since:%Y-%m-%d %H:%M} UTC. {problem}"
    webhook.failing_since, webhook.rests_until, webhook.failed_tries = None, None, 0
    give_up_waiting(session, webhook, WAS_OFF, now)
    record(session, SERVER, Action.WEBHOOK_OFF, study=study, webhook=webhook.id, name=webhook.name)
    subject = f"[{study.name}] The webhook “{webhook.name}” was switched off"
    text = (
        f"The server has switched off the webhook “{webhook.name}” of the study “{study.name}”, since its receiver "
        f"took no message.\n\n{webhook.off_because}\n\nMessages that did not arrive are kept. When the receiver works "
        f"again, switch it on and send them again:\n{link_to(settings, study.id, f'webhooks/{webhook.id}')}\n"
    )
    _mail_administrators(session, settings, webhook, study, "off", subject, text, now)
    log.error("webhooks: webhook %d of study %s was switched off: %s", webhook.id, study.object_id, problem)


def _tell_given_up(session: Session, settings: Settings, webhook: Webhook, problem: str, now: datetime) -> None:
    """Nothing waits any more: tells the administrators, and the next failure is the first again."""
    study = session.get_one(Study, webhook.study_id)
    is_lost = (OutgoingMessage.webhook_id == webhook.id, OutgoingMessage.given_up_at >= webhook.failing_since)
    of_webhook = OutgoingMessage.channel == Channel.WEBHOOK.value
    count = session.scalar(sa.select(sa.func.count()).where(*is_lost, of_webhook)) or 0
    webhook.failing_since, webhook.rests_until, webhook.failed_tries = None, None, 0
    if not count:  # what waited went with a purge
        return
    subject = f"[{study.name}] The webhook “{webhook.name}” did not take {count} message{'s' if count > 1 else ''}"
    text = (
        f"The receiver of the webhook “{webhook.name}” of the study “{study.name}” took nothing for "
        f"{GIVEN_UP_AFTER[Channel.WEBHOOK].days} days, so the server tries no longer. {problem}\n\nThe webhook "
        "is still on, and what did not arrive is kept. When the receiver works again, send it again:\n"
        f"{link_to(settings, study.id, f'webhooks/{webhook.id}')}\n"
    )
    _mail_administrators(session, settings, webhook, study, "given up", subject, text, now)
    log.error("webhooks: %d messages of webhook %d were given up: %s", count, webhook.id, problem)


def _mail_administrators(
    session: Session,
    settings: Settings,
    webhook: Webhook,
    study: Study,
    what: str,
    subject: str,
    text: str,
    now: datetime,
) -> None:
    """A mail to each administrator of the study; if it has none, to the site's, who can tell somebody."""
    about, of = f"webhook {webhook.id} {what} {now.isoformat()}", {"webhook_id": webhook.id, "study_id": study.id}
    told = study_administrators(session, study)
    for person in told:
        more = {"researcher_id": person.id, **of}
        queue_mail(session, person.mail_address or "", subject, text, about=f"{about} {person.id}", now=now, **more)
    if not told:
        for address in settings.administrators:
            queue_mail(session, address, subject, text, about=about, now=now, **of)


def study_administrators(session: Session, study: Study) -> list[Researcher]:
    """The study's administrators who have a mail address and can sign in, by name; one query."""
    query = (
        sa.select(Researcher)
        .join(StudyRole, StudyRole.researcher_id == Researcher.id)
        .where(
            StudyRole.study_id == study.id,
            StudyRole.role == Role.STUDY_ADMIN.value,
            StudyRole.is_current(),
            Researcher.is_disabled.is_(False),
            Researcher.mail_address.is_not(None),
        )
    )
    return list(session.scalars(query.order_by(sa.func.lower(Researcher.username))))


def _refuse_mail(session: Session, message: OutgoingMessage, study: Study) -> str | None:
    if message.researcher_id is None:
        return None
    person = session.get_one(Researcher, message.researcher_id)
    may = decide(requester_of(session, person), Capability.WEBHOOK_MANAGE, study).is_allowed
    return None if may and not person.is_disabled else "Not sent: no right to manage webhooks of the study."
