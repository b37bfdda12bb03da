"""Registering a phone (PHONE-31 to PHONE-38)."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from core.crypto.passwords import hash_participant_password
from core.models import Participant
from core.phones.uploads import Answer, UploadDesk, place_raw_object, rows_of_upload
from core.streams import Platform

IDENTIFIER_FIELDS = {
    "MAC": "bluetooth_id", "phone_number": "phone_number", "device_id": "device_id", "device_os": "device_os",
    "os_version": "os_version", "product": "product", "brand": "brand", "hardware_id": "hardware_id",
    "manufacturer": "manufacturer", "model": "model", "beiwe_version": "beiwe_version",
}  # fmt: skip
REQUIRED = ("phone_number", "new_password")


class RegistrationRefused(Exception):
    """A field is missing, or the participant is retired: 400 (PHONE-32)."""


def register_phone(
    desk: UploadDesk, participant: Participant, fields: Mapping[str, str], platform: Platform, now: datetime
) -> None:
    """Steps 2 to 7 of PHONE-32 for an authenticated phone; commits. Raises RegistrationRefused, StoreUnavailable.

    Any phone may register any number of times with the current password (PHONE-33).
    """
    if participant.retired_at:
        desk.session.rollback()
        raise RegistrationRefused("participant retired")
    activity = participant.activity
    activity.first_registered_at = activity.first_registered_at or now
    activity.last_registered_at = now
    desk.session.commit()
    if any(name not in fields for name in REQUIRED):
        raise RegistrationRefused("phone_number or new_password missing")
    _keep_identifiers(desk, participant, fields, now)
    participant.os_type = platform.value
    participant.password_hash = hash_participant_password(fields["new_password"])
    desk.session.commit()


def identifiers_csv(patient_id: str, fields: Mapping[str, str]) -> bytes:
    """The exact contents of an identifiers file: no escaping, no final line feed (PHONE-34)."""
    values = [fields.get(field, "none") for field in IDENTIFIER_FIELDS.values()]
    return f"patient_id,{','.join(IDENTIFIER_FIELDS)}\n{patient_id},{','.join(values)}".encode()


def _keep_identifiers(desk: UploadDesk, participant: Participant, fields: Mapping[str, str], now: datetime) -> None:
    """Stores the identifiers file and adds its rows to the open transaction; the platform is the one before this.

    A second registration within one second takes the next free second.
    """
    contents = identifiers_csv(participant.patient_id, fields)
    for later in range(60):
        seconds = int((now + timedelta(seconds=later)).timestamp())
        path = f"{desk.store.study_id}/{participant.patient_id}/identifiers_{seconds}.csv"
        placed = place_raw_object(desk, path, contents)
        if not isinstance(placed, Answer):
            break
    else:
        raise RegistrationRefused("too many registrations at once")
    desk.session.execute(*rows_of_upload(participant, placed))
