"""Registering a phone (PHONE-31 to PHONE-38)."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError

from core.crypto.passwords import hash_participant_password
from core.models import EventKind, Participant, ParticipantEvent
from core.models.participant import participant_with_study
from core.participants.consents import record_consent_sent
from core.phones.upload_outcomes import UploadOutcome
from core.phones.uploads import UploadContext, place_raw_object, rows_of_upload
from core.streams import Platform
from core.surveys.events import rebuild_events

IDENTIFIER_FIELDS = {
    "MAC": "bluetooth_id",
    "phone_number": "phone_number",
    "device_id": "device_id",
    "device_os": "device_os",
    "os_version": "os_version",
    "product": "product",
    "brand": "brand",
    "hardware_id": "hardware_id",
    "manufacturer": "manufacturer",
    "model": "model",
    "beiwe_version": "beiwe_version",
}
# The fields that the event of a registration contains.
TOLD_PHONE = ("device_id", "device_os", "os_version", "brand", "manufacturer", "model", "beiwe_version")
REQUIRED = ("phone_number", "new_password")
MOST_SECONDS_LATER = 60
PATH_CONSTRAINTS = ("uq_upload_queue_path", "pk_stored_objects")


class RegistrationRefused(Exception):
    """A field is missing, or the participant is retired: 400 (PHONE-32)."""


def register_phone(
    context: UploadContext, participant: Participant, fields: Mapping[str, str], platform: Platform, now: datetime
) -> None:
    """Steps 2 to 7 of PHONE-32 for an authenticated phone; commits. Raises RegistrationRefused, StoreUnavailable.

    Any phone may register any number of times with the current password (PHONE-33).
    """
    activity = participant.activity
    activity.first_registered_at = activity.first_registered_at or now
    activity.last_registered_at = now
    if any(name not in fields for name in REQUIRED):
        context.session.commit()
        raise RegistrationRefused("phone_number or new_password missing")
    if participant.retired_at:
        context.session.rollback()
        raise RegistrationRefused("participant retired")
    context.session.commit()
    password_hash = hash_participant_password(fields["new_password"])
    for later in range(MOST_SECONDS_LATER):
        try:
            if _keep_identifiers(context, participant, fields, now + timedelta(seconds=later)):
                participant.os_type = platform.value
                participant.password_hash = password_hash
                event = ParticipantEvent(participant_id=participant.id, at=now, kind=EventKind.REGISTERED)
                event.detail = {"os_type": platform.value} | {k: fields[k] for k in TOLD_PHONE if k in fields}
                context.session.add(event)
                record_consent_sent(context.session, participant, now)
                rebuild_events(context.session, participant.study, now, participant_ids=[participant.id])
                context.session.commit()
                return
        except IntegrityError as error:
            context.session.rollback()
            if constraint_of(error) not in PATH_CONSTRAINTS:
                raise
            # the same request came twice at once, and the other one used this second
            participant_with_study(context.session, fields["patient_id"].strip().lower())  # loads it anew
    raise RegistrationRefused("too many registrations at once")


def constraint_of(error: IntegrityError) -> str | None:
    """The name of the constraint that was violated."""
    return getattr(getattr(error.orig, "diag", None), "constraint_name", None)


def identifiers_csv(patient_id: str, fields: Mapping[str, str]) -> bytes:
    """The exact contents of an identifiers file: no escaping, no final line feed (PHONE-34)."""
    values = [fields.get(field, "none") for field in IDENTIFIER_FIELDS.values()]
    return f"patient_id,{','.join(IDENTIFIER_FIELDS)}\n{patient_id},{','.join(values)}".encode()


def _keep_identifiers(
    context: UploadContext, participant: Participant, fields: Mapping[str, str], at: datetime
) -> bool:
    """Stores the identifiers file of this second and adds its rows with the previous platform; does not commit.

    Returns False if there is already a file for this second.
    """
    path = f"{context.store.study_id}/{participant.patient_id}/identifiers_{int(at.timestamp())}.csv"
    placed = place_raw_object(context, path, identifiers_csv(participant.patient_id, fields))
    if isinstance(placed, UploadOutcome):
        return False
    before = Platform(participant.os_type) if participant.os_type else None
    context.session.execute(*rows_of_upload(participant, placed, before))
    return True
