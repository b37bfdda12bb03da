"""Changes to participants: one function per change. The caller commits."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.crypto.passwords import hash_participant_password, new_identifier
from core.models import Participant
from core.models.audit_record import Action
from core.participants.refusals import ParticipantRefused, require_unlocked
from core.phones.holding import UNDO_TIME, release_held
from core.surveys.events import rebuild_events

LONGEST_EXTERNAL_ID = 64


def retire_participant(session: Session, participant: Participant, now: datetime, *, actor: Actor) -> bool:
    """Uploads are no longer kept and no survey is asked (PORTAL-135, NOTIF-3). False where that was so already.

    For ten minutes what the phone sends is held back, and the retirement can be undone (CLAR-12).
    """
    require_unlocked(session, participant)
    if participant.retired_at:
        return False
    participant.retired_at, participant.retired_by_id = now, actor.id
    record(session, actor, Action.PARTICIPANT_RETIRE, study=participant.study, participant=participant)
    rebuild_events(session, participant.study, now, participant_ids=[participant.id])
    return True


def may_undo_retirement(participant: Participant, researcher_id: int, now: datetime) -> bool:
    """Whether this researcher retired the participant less than ten minutes ago (PORTAL-135)."""
    retired_at = participant.retired_at
    return bool(retired_at and participant.retired_by_id == researcher_id and now - retired_at < UNDO_TIME)


def unretire_participant(session: Session, participant: Participant, now: datetime, *, actor: Actor) -> bool:
    """Lets the participant take part again; held uploads are processed. False where it was not retired.

    Uploads that came after the ten minutes are gone, since phones delete what was answered with 200.
    """
    require_unlocked(session, participant)
    if participant.retired_at is None:
        return False
    participant.retired_at = participant.retired_by_id = None
    record(session, actor, Action.PARTICIPANT_UNRETIRE, study=participant.study, participant=participant)
    release_held(session, participant.study, participant)
    rebuild_events(session, participant.study, now, participant_ids=[participant.id])
    return True


def reset_device(session: Session, participant: Participant, *, actor: Actor) -> None:
    """Forgets which phone this is; the next one that gives the right password is it (PHONE-21)."""
    require_unlocked(session, participant)
    participant.device_id = ""
    record(session, actor, Action.PARTICIPANT_RESET_DEVICE, study=participant.study, participant=participant)


def reset_password(session: Session, participant: Participant, *, actor: Actor) -> str:
    """Makes a new temporary password, which is nowhere else (PHONE-30)."""
    require_unlocked(session, participant)
    password = _new_password(participant)
    record(session, actor, Action.PARTICIPANT_RESET_PASSWORD, study=participant.study, participant=participant)
    return password


def prepare_new_phone(session: Session, participant: Participant, *, actor: Actor) -> str:
    """Forgets the old phone and makes a new password for the next one, which is returned and nowhere else.

    Raises ParticipantRefused for a retired participant, whose new phone could not register (PHONE-32).
    """
    require_unlocked(session, participant)
    if participant.retired_at:
        raise ParticipantRefused("A retired participant cannot register a phone.")
    participant.device_id = ""
    password = _new_password(participant)
    record(session, actor, Action.PARTICIPANT_NEW_PHONE, study=participant.study, participant=participant)
    return password


def set_easy_enrollment_of(session: Session, participant: Participant, is_on: bool, *, actor: Actor) -> None:
    """Whether this participant's phone registers with any password (PHONE-35)."""
    require_unlocked(session, participant)
    participant.has_easy_enrollment = is_on
    record(
        session,
        actor,
        Action.PARTICIPANT_EASY_ENROLLMENT,
        study=participant.study,
        participant=participant,
        after=is_on,
    )


def set_test(session: Session, participant: Participant, is_test: bool, *, actor: Actor) -> None:
    """Marks a phone of the study team, which lists and counts leave out (CLAR-37)."""
    require_unlocked(session, participant)
    participant.is_test = is_test
    record(session, actor, Action.PARTICIPANT_TEST, study=participant.study, participant=participant, after=is_test)


def set_external_id(session: Session, participant: Participant, external_id: str, *, actor: Actor) -> None:
    """Sets the clinic's own id; an empty one removes it. Raises ParticipantRefused where another participant has it."""
    require_unlocked(session, participant)
    wanted = checked_external_id(external_id)
    taken = sa.select(Participant.patient_id).where(
        Participant.study_id == participant.study_id,
        sa.func.lower(Participant.external_id) == sa.func.lower(wanted),
        Participant.id != participant.id,
    )
    if wanted and (other := session.scalar(taken)):
        raise ParticipantRefused(f"{wanted} is the external id of {other} already.")
    try:
        with session.begin_nested():
            participant.external_id = wanted
            session.flush()
    except IntegrityError:  # of somebody added in this moment, or of another site than the author's
        raise ParticipantRefused(f"{wanted} is taken in this study. Choose another external id.") from None
    record(
        session, actor, Action.PARTICIPANT_FIELDS, study=participant.study, participant=participant, external_id=True
    )


def checked_external_id(text: str) -> str | None:
    """The id without white space around it, None for an empty one. Raises ParticipantRefused."""
    text = text.strip()
    if len(text) > LONGEST_EXTERNAL_ID or not text.isprintable():
        raise ParticipantRefused(f"An external id has at most {LONGEST_EXTERNAL_ID} printable characters.")
    return text or None


def _new_password(participant: Participant) -> str:
    password = new_identifier()
    participant.password_hash = hash_participant_password(password)
    return password
