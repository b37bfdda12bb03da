"""Batches of participants created in the background, and new passwords for their download (CLAR-32)."""

import logging
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import SERVER, Actor, record, record_each
from core.config import Settings
from core.crypto.passwords import hash_participant_password, new_identifier
from core.locks import LockSpace, held_alone, lock_key
from core.models import BatchState, Participant, ParticipantActivity, ParticipantBatch, Study
from core.models.audit_record import Action, ActorKind
from core.participants.creating import MOST_AT_ONCE, NewParticipant, create_participants
from core.participants.enrolling import rows_of_own_site
from core.participants.refusals import ParticipantRefused
from core.storage import ObjectStore, SealedStore, StoreUnavailable

log = logging.getLogger(__name__)
MADE_AT_ONCE = 50
"""Larger batches are created in the background, this many participants per transaction."""
LONGEST_NAME = 100
_SOLE = lock_key(LockSpace.BATCHES)


def ask_for_batch(
    session: Session,
    study: Study,
    count: int,
    name: str,
    *,
    rows: list[dict[str, Any]] | None = None,
    site: str = "",
    actor: Actor,
) -> ParticipantBatch:
    """Adds a batch to be created in the background; the caller commits. Raises ParticipantRefused.

    `rows` gives what each participant gets, for a batch that comes from a file. People who are limited to a site add
    participants of it; with several, a row or `site` names it (PERM-95).
    """
    if not 1 <= count <= MOST_AT_ONCE:
        raise ParticipantRefused(f"between 1 and {MOST_AT_ONCE:,} participants at a time")
    batch = ParticipantBatch(study_id=study.id, name=name.strip()[:LONGEST_NAME], wanted=count, asked_by=actor.name)
    batch.rows, batch.asked_by_id = rows_of_own_site(session, study, count, rows, site), actor.id
    session.add(batch)
    session.flush()
    record(session, actor, Action.PARTICIPANT_BATCH, study=study, batch=batch.id, count=count)
    return batch


def batch_of_study(session: Session, study_id: int, batch_id: int) -> ParticipantBatch | None:
    """The study's batch with this id, or None."""
    query = sa.select(ParticipantBatch).where(ParticipantBatch.id == batch_id, ParticipantBatch.study_id == study_id)
    return session.scalar(query)


def batches_of_study(session: Session, study_id: int, most: int) -> list[ParticipantBatch]:
    """The study's newest batches, at most `most`."""
    query = sa.select(ParticipantBatch).where(ParticipantBatch.study_id == study_id)
    return list(session.scalars(query.order_by(ParticipantBatch.id.desc()).limit(most)))


def is_batch_waiting(session: Session) -> bool:
    """Whether any batch still has participants to create."""
    return session.scalar(sa.select(ParticipantBatch.id).where(_is_open()).limit(1)) is not None


def sole_maker(engine: sa.Engine) -> AbstractContextManager[bool]:
    """Takes the lock to create batches for the block; yields False if another process holds it."""
    return held_alone(engine, _SOLE)


def make_next(engine: sa.Engine, store: ObjectStore, settings: Settings) -> ParticipantBatch | None:
    """Creates the next participants of the oldest open batch, at most fifty; commits. None if no batch is open.

    Call it under `sole_maker`. If killed, the next call continues, because `made` grows with the rows. Any error is
    stored in the batch and raised; other batches then come first.
    """
    with Session(engine, expire_on_commit=False) as session:
        batch = session.scalar(_next_open())
        if batch is None:
            return None
        study = session.get_one(Study, batch.study_id)
        count = min(MADE_AT_ONCE, batch.wanted - batch.made)
        try:
            create_participants(
                session, SealedStore(store, study, settings), study, count, batch_id=batch.id, actor=_who_asked(batch)
            )
        except Exception as error:  # any error: the page shows it, and other batches go first
            is_told = isinstance(error, StoreUnavailable | ParticipantRefused)
            reason = str(error) if is_told else f"failed ({type(error).__name__})"
            session.rollback()
            session.execute(sa.update(ParticipantBatch).filter_by(id=batch.id).values(error=reason))
            session.commit()
            raise
        session.refresh(batch)
        return batch


def _who_asked(batch: ParticipantBatch) -> Actor:
    """The researcher who asked for the batch, without the request of then; the server for a command's batch."""
    if batch.asked_by_id is None or batch.asked_by is None:
        return SERVER
    return Actor(ActorKind.RESEARCHER, batch.asked_by, batch.asked_by_id)


def renewed_passwords(session: Session, batch: ParticipantBatch, *, actor: Actor) -> list[NewParticipant]:
    """Sets new passwords for participants of the batch who never registered; the caller commits. By patient id.

    Locks their rows first: a participant whose phone is just registering is left out and keeps the old password.
    """
    query = (
        _unregistered(sa.select(Participant), batch).order_by(Participant.patient_id).with_for_update(of=Participant)
    )
    new = []
    for participant in session.scalars(query.execution_options(populate_existing=True)):
        password = new_identifier()
        participant.password_hash = hash_participant_password(password)
        new.append(NewParticipant(participant.patient_id, password))
    study = session.get_one(Study, batch.study_id)
    whole = record(session, actor, Action.PARTICIPANT_RENEW_PASSWORDS, study=study, batch=batch.id, count=len(new))
    details = {participant.patient_id: {"batch": batch.id} for participant in new}
    record_each(session, actor, Action.PARTICIPANT_RESET_PASSWORD, study=study, part_of=whole, details=details)
    return new


def count_unregistered(session: Session, batch: ParticipantBatch) -> int:
    """How many participants of the batch never registered and still may."""
    query = _unregistered(sa.select(sa.func.count()).select_from(Participant), batch)
    return session.scalar(query) or 0


def _unregistered(query: sa.Select[Any], batch: ParticipantBatch) -> sa.Select[Any]:
    return query.join(ParticipantActivity, ParticipantActivity.participant_id == Participant.id).where(
        Participant.batch_id == batch.id,
        Participant.device_id == "",
        Participant.retired_at.is_(None),
        Participant.purge_asked_at.is_(None),
        ParticipantActivity.first_registered_at.is_(None),
    )


def _next_open() -> sa.Select[tuple[ParticipantBatch]]:
    """Selects the oldest open batch; batches that failed recently come last."""
    order = ParticipantBatch.error.is_not(None), ParticipantBatch.id
    return sa.select(ParticipantBatch).where(_is_open()).order_by(*order).limit(1)


def _is_open() -> sa.ColumnElement[bool]:
    return ParticipantBatch.state != BatchState.DONE.value
