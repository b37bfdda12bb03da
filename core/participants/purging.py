"""Purges: deletes all data of a participant for good, objects with all their versions and rows (STORE-9).

`participants.purge_asked_at` and `purged_at` are read by the phones' endpoints and by processing; `purges` holds the
progress. Every step can be repeated, so after a crash a purge starts again with the remaining data.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.clock import check_clock
from core.crypto.passwords import hash_participant_password
from core.exports.expiry import end_exports_with
from core.locks import LockSpace, lock_key, try_lock, unlocked_after
from core.models import Participant, ParticipantEvent, Purge, StoredObject, Study
from core.models.audit_record import Action
from core.participants.rows import delete_rows, rows_left
from core.phones.key_cache import private_key_path, public_key_path
from core.storage import ObjectStore, StoreUnavailable
from core.storage.sealed import SHARED_PREFIXES, SUFFIX
from core.storage.store import ObjectVersion
from core.surveys.events import rebuild_events

PAUSE = timedelta(minutes=30)
BATCH_OBJECTS = 250
CANDIDATES = 20
_SOLE = lock_key(LockSpace.PURGE)
_RESTORED = (
    "device_id",
    "os_type",
    "timezone_name",
    "has_easy_enrollment",
    "is_watched_closely",
    "password_hash",
    "external_id",
    "retired_by_id",
)
_STATE = ("retired_at", "purge_asked_at", "purged_at")
_TURN = (Purge.moved_at.asc().nulls_first(), Participant.purge_asked_at, Participant.id)
_IS_WAITING = sa.and_(Participant.purge_asked_at.is_not(None), Participant.purged_at.is_(None))


class PurgeIncomplete(Exception):
    """Data of the participant was found after the deletion; the purge will be tried again."""


@dataclass(frozen=True)
class WaitingPurge:
    """An unfinished purge: whose, since when, whether its pause is over, and why its last try failed."""

    patient_id: str
    study_id: str
    asked_at: datetime
    is_due: bool
    trouble: str | None


@dataclass(frozen=True)
class Belongings:
    """Prefixes and exact keys of a participant's objects; each key also with `.zst`."""

    prefixes: tuple[str, ...]
    keys: tuple[str, ...]

    def versions(self, store: ObjectStore) -> Iterator[ObjectVersion]:
        """All versions of these objects that still exist. Raises StoreUnavailable."""
        for prefix in self.prefixes:
            yield from store.versions(prefix)
        for key in self.keys:
            yield from (v for v in store.versions(key) if v.key in (key, key + SUFFIX))


@dataclass(frozen=True)
class PurgeCertificate:
    """What a purge deleted, and when it confirmed that nothing was left. Holds ids, table names and counts only."""

    patient_id: str
    study_id: str
    asked_at: datetime
    started_at: datetime
    confirmed_at: datetime
    belongings: Belongings
    files_deleted: int
    versions_deleted: int
    rows_deleted: dict[str, int]


def ask_for_purge(session: Session, participant: Participant, *, actor: Actor) -> bool:
    """Locks the participant out at once and schedules the deletion in 30 minutes; the caller commits.

    Returns False and changes nothing if a purge was asked for already.
    """
    session.refresh(participant, _STATE, with_for_update=True)
    if participant.is_locked_out:
        return False
    now = datetime.now(UTC)
    before = {name: getattr(participant, name) for name in _RESTORED}
    before["retired_at"] = participant.retired_at.isoformat() if participant.retired_at else None
    participant.retired_at = participant.retired_at or now
    _empty(participant)
    participant.password_hash = hash_participant_password(secrets.token_urlsafe(24))
    participant.purge_asked_at = now
    session.execute(
        insert(Purge).values(participant_id=participant.id, asked_by=actor.name, before=before).on_conflict_do_nothing()
    )
    study = session.get_one(Study, participant.study_id)
    record(session, actor, Action.PARTICIPANT_PURGE, study=study, participant=participant)
    rebuild_events(session, study, now, participant_ids=[participant.id])  # no survey is asked any more (NOTIF-3)
    return True


def take_back_purge(session: Session, participant: Participant, *, actor: Actor) -> bool:
    """Brings the participant back as it was when the purge was asked for; the caller commits (PORTAL-136).

    False where none was asked for, or where it has begun: nothing can be brought back then.
    """
    session.refresh(participant, _STATE, with_for_update=True)
    purge = session.get(Purge, participant.id, with_for_update=True)
    if participant.purge_asked_at is None or purge is None or purge.started_at or purge.before is None:
        return False
    before = purge.before
    participant.purge_asked_at = None
    participant.retired_at = datetime.fromisoformat(before["retired_at"]) if before["retired_at"] else None
    for name in _RESTORED:
        setattr(participant, name, before[name])
    session.delete(purge)
    study = session.get_one(Study, participant.study_id)
    record(session, actor, Action.PARTICIPANT_TAKE_BACK_PURGE, study=study, participant=participant)
    rebuild_events(session, study, datetime.now(UTC), participant_ids=[participant.id])
    return True


def waiting_purges(session: Session, now: datetime) -> list[WaitingPurge]:
    """Unfinished purges, in the order in which they will be tried."""
    query = (
        sa.select(Participant.patient_id, Study.object_id, Participant.purge_asked_at, Purge.trouble)
        .join(Study)
        .outerjoin(Purge)
        .where(_IS_WAITING)
    )
    return [
        WaitingPurge(row.patient_id, row.object_id, row.purge_asked_at, row.purge_asked_at <= now - PAUSE, row.trouble)
        for row in session.execute(query.order_by(*_TURN))
    ]


def purge_next(engine: sa.Engine, store: ObjectStore, now: datetime) -> PurgeCertificate | None:
    """Purges the next due participant. Returns None if none is due, or if another process is purging.

    Skips participants whose uploads are being processed. Raises PurgeIncomplete, StoreUnavailable and the database's
    errors: deletions made so far stay, other purges come first, and then this one is tried again.
    """
    with _claimed(engine, now) as claim:
        if claim is None:
            return None
        session, participant_id = claim
        participant = session.get_one(Participant, participant_id, with_for_update=True)
        if participant.purge_asked_at is None or participant.purged_at is not None:
            session.rollback()  # cancelled just now
            return None
        purge = session.get(Purge, participant_id) or Purge(participant_id=participant_id, rows_deleted={})
        session.add(purge)
        purge.started_at, purge.before = purge.started_at or now, None
        purge.moved_at, purge.trouble = datetime.now(UTC), None
        session.commit()
        try:
            return _purge(session, store, participant, purge)
        except (StoreUnavailable, PurgeIncomplete) as error:
            session.rollback()
            purge.trouble = str(error)
            session.commit()
            raise


def belongings_of(study_id: str, patient_id: str) -> Belongings:
    """The participant's objects, and the study's old Forest states, which name no participant (FOREST-24)."""
    folder = f"{study_id}/{patient_id}/"
    return Belongings(
        prefixes=(folder, *(f"{shared}/{folder}" for shared in SHARED_PREFIXES)),
        keys=(
            private_key_path(study_id, patient_id),
            public_key_path(study_id, patient_id),
            f"{study_id}/forest/all_bv_set.pkl",
            f"{study_id}/forest/all_memory_dict.pkl",
        ),
    )


def _purge(session: Session, store: ObjectStore, participant: Participant, purge: Purge) -> PurgeCertificate:
    study_id = session.scalars(sa.select(Study.object_id).where(Study.id == participant.study_id)).one()
    session.commit()
    belongings = belongings_of(study_id, participant.patient_id)
    exports = end_exports_with(session, participant.id)
    belongings = replace(belongings, prefixes=(*belongings.prefixes, *exports))
    _delete_objects(session, store, belongings, purge)
    for table, count in delete_rows(session, participant.id, belongings.prefixes):
        purge.rows_deleted = {**purge.rows_deleted, table: purge.rows_deleted.get(table, 0) + count}
        purge.moved_at = datetime.now(UTC)
        session.commit()
    _empty(participant)
    session.execute(
        sa.update(ParticipantEvent).where(ParticipantEvent.participant_id == participant.id).values(detail={})
    )
    session.commit()
    _verify(session, store, belongings, participant)
    assert participant.purge_asked_at is not None
    assert purge.started_at is not None
    participant.purged_at = confirmed_at = datetime.now(UTC)
    session.commit()
    return PurgeCertificate(
        participant.patient_id,
        study_id,
        participant.purge_asked_at,
        purge.started_at,
        confirmed_at,
        belongings,
        purge.files_deleted,
        purge.versions_deleted,
        purge.rows_deleted,
    )


def _delete_objects(session: Session, store: ObjectStore, belongings: Belongings, purge: Purge) -> None:
    """Deletes all objects and versions page by page, each page with its `stored_objects` rows (STORE-7)."""
    remaining = belongings.versions(store)
    while page := list(islice(remaining, BATCH_OBJECTS)):
        store.delete_versions(page)
        paths = {v.key if v.key.endswith(SUFFIX) else v.key + SUFFIX for v in page}
        purge.rows_deleted = _with_objects_rows(session, purge.rows_deleted, paths)
        files = sum(v.is_live for v in page)
        purge.files_deleted += files
        purge.versions_deleted += len(page) - files
        purge.moved_at = datetime.now(UTC)
        session.commit()


def _with_objects_rows(session: Session, counts: dict[str, int], paths: set[str]) -> dict[str, int]:
    table = StoredObject.__tablename__
    deleted: Any = session.execute(sa.delete(StoredObject).where(StoredObject.path.in_(paths)))
    return {**counts, table: counts.get(table, 0) + deleted.rowcount}


def _verify(session: Session, store: ObjectStore, belongings: Belongings, participant: Participant) -> None:
    left = [f"table {table}" for table in rows_left(session, participant.id, belongings.prefixes)]
    session.commit()
    if (version := next(belongings.versions(store), None)) is not None:
        left.append(f"object {version.key}")
    if left:
        raise PurgeIncomplete(f"{participant.patient_id}: still there: {', '.join(left)}")


def _empty(participant: Participant) -> None:
    """Clears the columns of the participant's row that describe a person or phone."""
    participant.device_id, participant.os_type, participant.timezone_name = "", None, None
    participant.external_id = None
    participant.has_easy_enrollment = participant.is_watched_closely = False


@contextmanager
def _claimed(engine: sa.Engine, now: datetime) -> Iterator[tuple[Session, int] | None]:
    """A session whose connection holds the lock on purging and the participant's processing claim."""
    with engine.connect() as connection:
        try:
            check_clock(connection)
            is_sole = try_lock(connection, _SOLE)
            participant_id = _claim(connection, now) if is_sole else None
            connection.commit()
        except BaseException:
            connection.invalidate()  # it may hold a lock that would never be released
            raise
        if not is_sole:
            yield None
            return
        with unlocked_after(connection, _SOLE):
            if participant_id is None:
                yield None
                return
            with (
                unlocked_after(connection, lock_key(LockSpace.PARTICIPANT, participant_id)),
                Session(connection, expire_on_commit=False) as session,
            ):
                yield session, participant_id


def _claim(connection: sa.Connection, now: datetime) -> int | None:
    due = sa.select(Participant.id).outerjoin(Purge).where(_IS_WAITING, Participant.purge_asked_at <= now - PAUSE)
    for participant_id in connection.execute(due.order_by(*_TURN).limit(CANDIDATES)).scalars().all():
        if try_lock(connection, lock_key(LockSpace.PARTICIPANT, participant_id)):
            return participant_id
    return None


@dataclass(frozen=True)
class PurgeProgress:
    """How far a purge is. `begins_at` is the earliest moment; `done_at` is when nothing was left, which was verified.

    `belongings` are the places that are emptied; the counts are of what was deleted so far.
    """

    asked_by: str | None
    asked_at: datetime
    begins_at: datetime
    started_at: datetime | None
    done_at: datetime | None
    trouble: str | None
    belongings: Belongings
    files_deleted: int
    versions_deleted: int
    rows_deleted: dict[str, int]

    @property
    def can_be_taken_back(self) -> bool:
        return self.started_at is None


def purge_progress(session: Session, participant: Participant) -> PurgeProgress | None:
    """How far the participant's purge is; None where none was asked for."""
    purge = session.get(Purge, participant.id)
    if participant.purge_asked_at is None:
        return None
    study_id = session.scalars(sa.select(Study.object_id).where(Study.id == participant.study_id)).one()
    return PurgeProgress(
        asked_by=purge.asked_by if purge else None,
        asked_at=participant.purge_asked_at,
        begins_at=participant.purge_asked_at + PAUSE,
        started_at=purge.started_at if purge else None,
        done_at=participant.purged_at,
        trouble=purge.trouble if purge else None,
        belongings=belongings_of(study_id, participant.patient_id),
        files_deleted=purge.files_deleted if purge else 0,
        versions_deleted=purge.versions_deleted if purge else 0,
        rows_deleted=purge.rows_deleted if purge else {},
    )
