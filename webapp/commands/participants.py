"""`participant`: creates, changes and purges participants."""

from datetime import UTC, datetime
from typing import Any

import click

from core.audit import COMMAND_LINE
from core.database import db
from core.models.participant import participant_with_study
from core.participants import ParticipantRefused, create_participants
from core.participants.batches import make_next, sole_maker
from core.participants.changing import reset_device, reset_password, retire_participant
from core.storage import StoreUnavailable
from webapp.commands.output import CommandGroup, as_json, fail, show
from webapp.commands.studies import the_study
from webapp.stores import object_store, sealed_store, settings

participant_commands = CommandGroup("participant", help="Participants.")


@participant_commands.command("create")
@click.option("--study", "object_id", required=True)
@click.option("--count", default=1, show_default=True)
@click.option("--id", "patient_id", help="A chosen id, for a single participant.")
@click.option("--password", help="A chosen temporary password, for a single participant.")
@as_json
def create(object_id: str, count: int, patient_id: str | None, password: str | None, is_json: bool) -> None:
    """Create participants; their temporary passwords are shown once."""
    study = the_study(object_id)
    try:
        new = create_participants(
            db.session(), sealed_store(study), study, count, patient_id, password, actor=COMMAND_LINE
        )
    except (ParticipantRefused, StoreUnavailable) as error:
        fail(str(error))
    show([{"patient_id": n.patient_id, "password": n.password} for n in new], is_json=is_json)


@participant_commands.command("update")
@click.argument("patient_id")
@click.option("--retire", is_flag=True, help="Stop keeping uploads. This cannot be undone.")
@click.option(
    "--reset-device", "is_device_reset", is_flag=True, help="Forget the registered phone, until its next request."
)
@click.option("--reset-password", "is_password_reset", is_flag=True, help="Make a new temporary password.")
@as_json
def update(patient_id: str, retire: bool, is_device_reset: bool, is_password_reset: bool, is_json: bool) -> None:
    """Change a participant."""
    participant = participant_with_study(db.session(), patient_id)
    if participant is None:
        fail(f"{patient_id}: there is no participant with that id")
    answer = {"patient_id": patient_id}
    if retire:
        retire_participant(db.session(), participant, datetime.now(UTC), actor=COMMAND_LINE)
    if is_device_reset:
        reset_device(db.session(), participant, actor=COMMAND_LINE)
    if is_password_reset:
        answer["password"] = reset_password(db.session(), participant, actor=COMMAND_LINE)
    db.session.commit()
    show(answer, is_json=is_json)


@participant_commands.command("create-batches")
@as_json
def create_batches(is_json: bool) -> None:
    """Create the participants of batches ordered in the portal, on servers without a Prefect worker."""
    made: dict[int, dict[str, Any]] = {}
    try:
        with sole_maker(db.engine) as is_sole:
            if not is_sole:
                fail("another process is creating these participants")
            while (batch := make_next(db.engine, object_store(), settings())) is not None:
                made[batch.id] = {"batch": batch.id, "wanted": batch.wanted, "made": batch.made}
    except (ParticipantRefused, StoreUnavailable) as error:
        fail(str(error))
    show(list(made.values()), is_json=is_json)


@participant_commands.command("purge")
@click.argument("patient_id")
@click.option("--yes-delete-everything", "confirmed_id", metavar="PATIENT_ID", help="The patient id again, to confirm.")
@as_json
def purge(patient_id: str, confirmed_id: str | None, is_json: bool) -> None:
    """Schedule the deletion of all data of a participant. It begins in half an hour and cannot be undone."""
    from core.participants.purging import PAUSE, ask_for_purge  # numpy takes its time to load

    participant = participant_with_study(db.session(), patient_id)
    if participant is None:
        fail(f"{patient_id}: there is no participant with that id")
    if confirmed_id != patient_id:
        fail(f"this cannot be undone; to go on, add --yes-delete-everything {patient_id}")
    is_new = ask_for_purge(db.session(), participant, actor=COMMAND_LINE)
    db.session.commit()
    if participant.purged_at or participant.purge_asked_at is None:
        fail(f"{patient_id}: everything of this participant was deleted already")
    due_at = (participant.purge_asked_at + PAUSE).isoformat(timespec="seconds")
    show({"patient_id": patient_id, "is_new": is_new, "due_at": due_at}, is_json=is_json)
