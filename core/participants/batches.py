"""Batches of participants made in the background, and the passwords that a download makes for them (CLAR-32)."""

import logging
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import SERVER, Actor, record
from core.config import Settings
from core.crypto.passwords import hash_participant_password, new_identifier
from core.locks import LockSpace, held_alone, lock_key
from core.models import BatchState, Participant, ParticipantActivity, ParticipantBatch, Study
from core.models.audit_record import Action
from core.participants.creating import MOST_AT_ONCE, NewParticipant, create_participants
from core.participants.refusals import ParticipantRefused
from core.storage import ObjectStore, SealedStore, StoreUnavailable

log = logging.getLogger(__name__)
MADE_AT_ONCE = 50
"""More than these are made in the background; and so many are added in one transaction there."""
LONGEST_NAME = 100
_SOLE = lock_key(LockSpace.BATCHES)


def ask_for_batch(session: Session, study: Study, count: int, name: str, *, actor: Actor) -> ParticipantBatch:
    """Adds a batch that waits to be made; the caller commits. Raises ParticipantRefused."""
    if not 1 <= count <= MOST_AT_ONCE:
        raise ParticipantRefused(f"between 1 and {MOST_AT_ONCE:,} participants at a time")
    batch = ParticipantBatch(study_id=study.id, name=name.strip()[:LONGEST_NAME], wanted=count, asked_by=actor.name)
    session.add(batch)
    session.flush()
    record(session, actor, Action.PARTICIPANT_BATCH, study=study, batch=batch.id, count=count)
    return batch


def batch_of_study(session: Session, study_id: int, batch_id: int) -> ParticipantBatch | None:
    """The study's batch of that number."""
    query = sa.select(ParticipantBatch).where(ParticipantBatch.id == batch_id, ParticipantBatch.study_id == study_id)
    return session.scalar(query)


def batches_of_study(session: Session, study_id: int, most: int) -> list[ParticipantBatch]:
    """The study's newest batches."""
    query = sa.select(ParticipantBatch).where(ParticipantBatch.study_id == study_id)
    return list(session.scalars(query.order_by(ParticipantBatch.id.desc()).limit(most)))


def is_batch_waiting(session: Session) -> bool:
    """Whether participants of some batch are still to be made."""
    return session.scalar(sa.select(ParticipantBatch.id).where(_is_open()).limit(1)) is not None


def sole_maker(engine: sa.Engine) -> AbstractContextManager[bool]:
    """Whether this process is the only one that makes batches; it stays so while the block lasts."""
    return held_alone(engine, _SOLE)


def make_next(engine: sa.Engine, store: ObjectStore, settings: Settings) -> ParticipantBatch | None:
    """Makes the next participants of the oldest open batch, fifty at the most; commits. None where none is open.

    To be called by the sole maker. Killed at any moment, it goes on where it was: `made` grows with the rows. Raises
    what keeps a batch from being made, upon which the batch says why it waits and the others come before it.
    """
    with Session(engine, expire_on_commit=False) as session:
        batch = session.scalar(_next_open())
        if batch is None:
            return None
        study = session.get_one(Study, batch.study_id)
        count = min(MADE_AT_ONCE, batch.wanted - batch.made)
        try:
            create_participants(
                session, SealedStore(store, study, settings), study, count, batch_id=batch.id, actor=SERVER
            )
        except Exception as error:  # of any kind: the page says why it waits, and other batches come first
            is_told = isinstance(error, StoreUnavailable | ParticipantRefused)
            reason = str(error) if is_told else f"failed ({type(error).__name__})"
            session.rollback()
            session.execute(sa.update(ParticipantBatch).filter_by(id=batch.id).values(error=reason))
            session.commit()
            raise
        session.refresh(batch)
        return batch


def renewed_passwords(session: Session, batch: ParticipantBatch, *, actor: Actor) -> list[NewParticipant]:
    """New passwords for those of the batch who never registered, by patient id; the caller commits.

    Locks their rows, so that a phone that registers meanwhile is either left out or has registered with the old one.
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
    record(session, actor, Action.PARTICIPANT_RENEW_PASSWORDS, study=study, batch=batch.id, count=len(new))
    return new


def count_unregistered(session: Session, batch: ParticipantBatch) -> int:
    """How many of the batch never registered, and may still."""
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
    """The oldest open batch; those that failed lately come behind the others."""
    order = ParticipantBatch.error.is_not(None), ParticipantBatch.id
    return sa.select(ParticipantBatch).where(_is_open()).order_by(*order).limit(1)


def _is_open() -> sa.ColumnElement[bool]:
    return ParticipantBatch.state != BatchState.DONE.value
