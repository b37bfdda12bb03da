"""Whether a phone gets in (PHONE-20 to PHONE-30), and what is remembered of its request (PHONE-120 to PHONE-122)."""

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from zoneinfo import available_timezones

from sqlalchemy.orm import Session

from core.crypto.passwords import verify_password
from core.models.participant import Participant, participant_with_study

CREDENTIALS = ("patient_id", "password", "device_id")
VERSION_CHARACTERS = 32
# A value that matches no device hash: an unknown id costs as much time as a known one.
NO_HASH = "sha1$1000$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=$AAAAAAAAAAAAAAAAAAAAAA=="


class Refused(Exception):
    """The phone does not get in; it is told nothing but that (PHONE-20)."""


class Level(Enum):
    """Whether the password is compared: never, always, or unless easy enrolment is on (PHONE-35)."""

    MINIMAL = "minimal"
    FULL = "full"
    REGISTRATION = "registration"


def authenticate(session: Session, fields: Mapping[str, str], level: Level) -> Participant:
    """The participant whose phone sent these form fields, with study and activity loaded. Raises Refused (PHONE-21).

    Stores the phone's device id, versions and zone in the session; the caller commits. `password` is the device hash;
    `device_id` is not a credential and replaces the stored one (PHONE-22).
    """
    if any(name not in fields for name in CREDENTIALS) or not fields["device_id"]:
        raise Refused
    participant = participant_with_study(session, fields["patient_id"].strip().lower())
    if level is not Level.MINIMAL and not _password_is_right(participant, fields["password"], level):
        raise Refused
    if participant is None or participant.is_locked_out:
        raise Refused
    if participant.device_id != fields["device_id"]:
        participant.device_id = fields["device_id"]
    _remember(participant, fields)
    return participant


def _password_is_right(participant: Participant | None, received: str, level: Level) -> bool:
    if participant is None:
        return verify_password(received, NO_HASH)
    if level is Level.REGISTRATION and (participant.has_easy_enrollment or participant.study.has_easy_enrollment):
        return True
    return verify_password(received, participant.password_hash)


def _remember(participant: Participant, fields: Mapping[str, str]) -> None:
    for field, column in (
        ("version_code", "last_version_code"),
        ("version_name", "last_version_name"),
        ("os_version", "last_os_version"),
    ):
        if field in fields:
            setattr(participant.activity, column, _text(fields[field])[:VERSION_CHARACTERS])
    if zone := fields.get("timezone"):
        participant.timezone_name = zone if zone in _known_zones() else None


def _text(value: str) -> str:
    """Text columns hold no NUL (MODEL-7); a damaged request may."""
    return value.replace("\0", "")


@lru_cache
def _known_zones() -> frozenset[str]:
    return frozenset(available_timezones())
