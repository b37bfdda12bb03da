"""`notifications due`, `notifications send`: what is to be pushed now, with or without a Prefect server."""

from datetime import UTC, datetime
from typing import BinaryIO

import click
from flask.cli import with_appcontext

from core.audit import COMMAND_LINE
from core.database import db
from core.models import CredentialKind
from core.notifications.credential_files import CredentialRefused
from core.notifications.credentials import remove_credential, store_credential
from core.notifications.delivering import opener
from core.notifications.heartbeats import send_heartbeats
from core.notifications.sending import look_at_due, send_due, sole_sender
from webapp.commands.output import CommandGroup, as_json, fail, show
from webapp.stores import settings

notifications_commands = CommandGroup("notifications", help="Look at push notifications that are due, and send them.")


@notifications_commands.command("due")
@click.option("--now", "at", help="At this moment, such as 2024-03-10T07:30:00Z, in place of now.")
@click.option("--dry-run", is_flag=True, help="No effect: this command never sends anything.")
@as_json
@with_appcontext
def due_command(at: str | None, dry_run: bool, is_json: bool) -> None:
    """List the messages that are to be sent now, the events that end, and how many wait, and why."""
    selection = look_at_due(db.session(), _moment(at))
    rows: list[dict[str, object]] = [
        {
            "participant": message.recipient.patient_id,
            "what": "message",
            "platform": message.recipient.platform.value,
            "service": message.recipient.service.value,
            "surveys": sorted(message.bundle.uuids),
            "events": len(message.bundle.events),
            "due_at": message.bundle.due_at.astimezone(UTC).isoformat(),
            "expires_at": message.bundle.expires_at.astimezone(UTC).isoformat(),
        }
        for message in selection.messages
    ]
    rows += [
        {"what": how.value, "surveys": [event.survey_object_id], "due_at": event.counts_at.isoformat()}
        for _, event, how in selection.ended
    ]
    rows += [{"what": "waiting", "reason": why.value, "events": count} for why, count in selection.waiting.items()]
    show(rows, is_json=is_json)


@notifications_commands.command("send")
@as_json
@with_appcontext
def send_command(is_json: bool) -> None:
    """Send what is due now, and heartbeats, once, in this process."""
    open_sender = opener(settings().fcm_url, settings().apns_url)
    db.session.commit()
    with sole_sender(db.engine) as is_sole:
        if not is_sole:
            fail("another process is sending; it will send what is due")
        look = send_due(db.engine, open_sender, settings().push_attempt_count)
        heartbeats = send_heartbeats(db.engine, open_sender)
    row = {
        "due": look.due,
        "messages": look.messages,
        "accepted": look.accepted,
        "outcomes": look.outcomes,
        "not_tried": look.not_tried,
        "ended": look.ended,
        "waiting": look.waiting,
        "tokens_retired": look.tokens_retired,
        "heartbeats": heartbeats.accepted,
    }
    show(row, is_json=is_json)


@notifications_commands.command("credential")
@click.argument("kind", type=click.Choice([kind.value for kind in CredentialKind]))
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--remove", is_flag=True, help="Remove the stored credential of this kind.")
@with_appcontext
def credential_command(kind: str, file: BinaryIO | None, remove: bool) -> None:
    """Store a credential FILE of KIND in place of the one before, or remove it."""
    if (file is None) is not remove:
        fail("give a file, or --remove")
    if file is None:
        remove_credential(db.session(), CredentialKind(kind), actor=COMMAND_LINE)
    else:
        try:
            store_credential(db.session(), CredentialKind(kind), file.read(), datetime.now(UTC), actor=COMMAND_LINE)
        except CredentialRefused as refused:
            fail(str(refused))
    db.session.commit()


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text}: a moment is expected, such as 2024-03-10T07:30:00Z")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
