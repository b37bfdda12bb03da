"""Authenticates phones (PHONE-20 to PHONE-30), and stores their device id, versions and zone (PHONE-120, PHONE-122)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from functools import cache

import sqlalchemy as sa
from sqlalchemy.orm import Session, contains_eager

from core.crypto.passwords import hash_device_hash, is_weak_for_participant, verify_password
from core.models import EventKind, ParticipantEvent
from core.models.participant import ACTIVITY_COLUMNS, Participant, ParticipantActivity, participant_with_study
from core.models.study import Study
from core.phones.tracking import note_versions
from core.zones import known_zones

CREDENTIALS = ("patient_id", "password", "device_id")
VERSION_CHARACTERS = 32
DEVICE_ID_CHARACTERS = 256
BETWEEN_CHANGES = timedelta(minutes=1)
VERSIONS = {"version_code": "last_version_code", "version_name": "last_version_name", "os_version": "last_os_version"}
# A value that matches no device hash, so that an unknown id takes as much time as a known one.
NO_HASH = "sha1$1000$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=$AAAAAAAAAAAAAAAAAAAAAA=="


class Refused(Exception):
    """The phone is not authenticated. The answer gives no reason (PHONE-20)."""


class Level(Enum):
    """When the password is checked: always, or unless easy enrolment is on (PHONE-35). `admit` never checks it."""

    FULL = "full"
    REGISTRATION = "registration"


def authenticate(session: Session, fields: Mapping[str, str], level: Level, now: datetime) -> Participant:
    """The participant whose phone sent these form fields, with study and activity loaded. Raises Refused (PHONE-21).

    Stores the phone's device id, versions and zone in the session; the caller commits. `password` is the device hash;
    `device_id` is not a credential and replaces the stored one (PHONE-22).
    """
    patient_id = _patient_id(fields)
    # Lock this row first, so that two requests of one phone cannot deadlock, and what is read then stays as it is.
    mine = sa.select(Participant.id).where(Participant.patient_id == patient_id).scalar_subquery()
    row = sa.select(ParticipantActivity.participant_id).where(ParticipantActivity.participant_id == mine)
    session.execute(row.with_for_update(key_share=True))
    participant = participant_with_study(session, patient_id)
    if not _password_is_right(participant, fields["password"], level):
        raise Refused
    if participant is None or participant.is_locked_out:
        raise Refused
    activity, versions = participant.activity, _versions(fields)
    has_changed = any(getattr(activity, column) != version for column, version in versions.items())
    for column, version in versions.items():
        setattr(activity, column, version)
    _remember(session, participant, fields, now, has_new_versions=has_changed)
    return participant


def known_participant(session: Session, fields: Mapping[str, str]) -> Participant:
    """The participant that these fields name, without a check of the password. Only reads (CLAR-10). Raises Refused."""
    participant = participant_with_study(session, _patient_id(fields))
    if participant is None or participant.is_locked_out:
        raise Refused
    return participant


def is_known_phone(session: Session, fields: Mapping[str, str]) -> bool:
    """Whether `known_participant` finds a participant for these fields."""
    try:
        known_participant(session, fields)
    except Refused:
        return False
    return True


def has_right_password(participant: Participant, fields: Mapping[str, str]) -> bool:
    """Whether the request's password is the participant's. Only reads."""
    return verify_password(fields.get("password", ""), participant.password_hash)


def admit(session: Session, fields: Mapping[str, str], column: str, now: datetime) -> Participant:
    """The participant that the fields name, without a check of the password (PHONE-21). Raises Refused.

    Stores `now` in this column of the activity, in the same statement: most requests are uploads, which use this.
    """
    values = {"patient_id": _patient_id(fields), "now": now, **dict.fromkeys(VERSIONS.values()), **_versions(fields)}
    row = session.execute(_record_activity(column), values, execution_options={"populate_existing": True}).one_or_none()
    if row is None:
        raise Refused
    participant: Participant = row.Participant
    _remember(session, participant, fields, now, has_new_versions=row.has_new_versions)
    return participant


@cache
def _record_activity(column: str) -> sa.Executable:
    """Updates the activity of a participant who is not locked out, and returns participant, study and activity.

    Parameters: patient_id, now, and the versions; null leaves a version unchanged.
    """
    assert column in ACTIVITY_COLUMNS
    participant, study, activity = (model.__table__ for model in (Participant, Study, ParticipantActivity))
    before = activity.alias("before")
    versions = {
        name: sa.func.coalesce(sa.bindparam(name, type_=sa.Text), activity.c[name]) for name in VERSIONS.values()
    }
    # The commit need not wait for the disk: the log is written in order, and the upload's second transaction waits.
    unsynced = [sa.func.set_config("synchronous_commit", "off", True)] if column == "last_upload_at" else []
    is_new = sa.or_(*(before.c[name].is_distinct_from(activity.c[name]) for name in VERSIONS.values()))
    change = (
        sa.update(ParticipantActivity)
        .values({column: sa.bindparam("now"), **versions})
        .where(
            activity.c.participant_id == participant.c.id,
            before.c.participant_id == participant.c.id,
            participant.c.study_id == study.c.id,
            participant.c.patient_id == sa.bindparam("patient_id"),
            participant.c.purge_asked_at.is_(None),
            participant.c.purged_at.is_(None),
        )
        .returning(*participant.c, *study.c, *activity.c, is_new.label("has_new_versions"), *unsynced)
        .execution_options(synchronize_session=False)
    )
    return (
        sa.select(Participant, sa.column("has_new_versions", sa.Boolean))
        .from_statement(change)
        .options(contains_eager(Participant.study).undefer(Study.encryption_key), contains_eager(Participant.activity))
    )


def _patient_id(fields: Mapping[str, str]) -> str:
    if any(name not in fields for name in CREDENTIALS) or not fields["device_id"]:
        raise Refused
    return fields["patient_id"].strip().lower()


def _password_is_right(participant: Participant | None, received: str, level: Level) -> bool:
    if participant is None:
        return verify_password(received, NO_HASH)
    if level is Level.REGISTRATION and (participant.has_easy_enrollment or participant.study.has_easy_enrollment):
        return True
    if not verify_password(received, participant.password_hash):
        return False
    if is_weak_for_participant(participant.password_hash):
        participant.password_hash = hash_device_hash(received)
    return True


def _versions(fields: Mapping[str, str]) -> dict[str, str]:
    """The versions that the phone reports, by column."""
    return {column: fields[field][:VERSION_CHARACTERS] for field, column in VERSIONS.items() if field in fields}


def _remember(
    session: Session, participant: Participant, fields: Mapping[str, str], now: datetime, *, has_new_versions: bool
) -> None:
    if has_new_versions:
        note_versions(session, participant, now)
    device_id = fields["device_id"][:DEVICE_ID_CHARACTERS]
    if participant.device_id != device_id:  # setting an equal value would cost a flush
        if participant.device_id:
            _note_change(session, participant, EventKind.DEVICE_CHANGED, {"device_id": device_id}, now)
        participant.device_id = device_id
    if zone := fields.get("timezone"):
        known = zone if zone in known_zones() else None
        if participant.timezone_name != known:
            _note_change(session, participant, EventKind.ZONE_CHANGED, {"zone": known or "unknown"}, now)
            participant.timezone_name = known


def _note_change(
    session: Session, participant: Participant, kind: EventKind, detail: dict[str, str], now: datetime
) -> None:
    """Adds an event, at most one of its kind a minute: two phones with one id may alternate (PHONE-22)."""
    recent = sa.exists().where(
        ParticipantEvent.participant_id == participant.id,
        ParticipantEvent.kind == kind.value,
        ParticipantEvent.at > now - BETWEEN_CHANGES,
    )
    if not session.scalar(sa.select(recent)):
        session.add(ParticipantEvent(participant_id=participant.id, at=now, kind=kind.value, detail=detail))
