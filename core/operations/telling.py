"""Tells the site's administrators of troubles: by mail, ALERT_URL and Prefect, beside log and banner (CLAR-62)."""

from datetime import datetime

from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.config import Settings
from core.models import SystemEvent
from core.models.audit_record import Action
from core.outgoing.queueing import queue_mail, queue_prefect_event, queue_webhook

BEGAN, OVER, TESTED = "began", "over", "test"
PAGE = "/alerts"


def tell_of_trouble(session: Session, settings: Settings, trouble: SystemEvent, now: datetime) -> None:
    """Writes what is sent of a trouble that began, or that is over; the caller commits. Each is written once."""
    is_over = trouble.ended_at is not None
    about = about_trouble(trouble)
    if is_over:
        subject, text = f"Over: {trouble.text}", f"This is over since {trouble.ended_at:%Y-%m-%d %H:%M} UTC:"
    else:
        subject, text = trouble.text, f"Found at {trouble.began_at:%Y-%m-%d %H:%M} UTC:"
    _tell(session, settings, subject, f"{text}\n\n{trouble.text}", f"{about} {OVER if is_over else BEGAN}", now)
    if settings.prefect_api_url is not None:
        name = f"beiwe.trouble.{OVER if is_over else BEGAN}"
        payload = {"kind": trouble.kind, "subject": trouble.subject, "text": trouble.text}
        resource = f"beiwe.trouble.{trouble.kind.replace(' ', '-')}"
        queue_prefect_event(session, name, resource, payload, about=f"{about} {name}", now=now)


def tell_as_a_test(session: Session, settings: Settings, now: datetime, *, actor: Actor) -> int:
    """Writes a test to all who are told of troubles; returns how many messages there are. The caller commits."""
    text = f"{actor.name} asked for this test. Nothing is wrong."
    count = _tell(session, settings, "This is a test of alerts.", text, f"{TESTED} {now.isoformat()}", now)
    record(session, actor, Action.OUTGOING_TEST, messages=count)
    return count


def about_trouble(trouble: SystemEvent) -> str:
    """How messages name the trouble that they tell of."""
    return f"trouble {trouble.id}"


def _tell(session: Session, settings: Settings, subject: str, text: str, about: str, now: datetime) -> int:
    site = settings.domain_name
    text = f"{text}\n\nhttps://{site}{PAGE}\n"
    for address in settings.administrators:
        queue_mail(session, address, f"[Beiwe, {site}] {subject}", text, about=about, now=now)
    if settings.alert_url is not None:
        said = {"text": f"Beiwe, {site}: {subject} https://{site}{PAGE}"}
        queue_webhook(session, settings.alert_url.get_secret_value(), said, about=about, now=now)
    return len(settings.administrators) + (settings.alert_url is not None)
