"""Creating participants: ids, temporary passwords, key pairs (PORTAL-120, PHONE-90 to PHONE-93)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.audit import Actor, record, record_each
from core.bulk import given_rows
from core.crypto.participant_keys import generate_key_pair, key_pair_of
from core.crypto.passwords import hash_participant_password, new_identifier
from core.models import (
    BatchState,
    FieldValue,
    Participant,
    ParticipantActivity,
    ParticipantBatch,
    StoredObject,
    Study,
)
from core.models.audit_record import Action
from core.participants.editing import read_changes, set_values
from core.participants.enrolling import values_of_new
from core.participants.refusals import ParticipantRefused
from core.phones.key_cache import private_key_path, public_key_path
from core.storage import ObjectExists, SealedStore, StoredBytes
from core.surveys.rebuilding import update_events_of
from core.threads import lower_priority

THREADS = 4
# Ids such as 23456789 and 1e234567, which programs would read as numbers (DATA-20).
_READS_AS_NUMBER = re.compile(r"[1-9]+(?:e[1-9]+)?")
MOST_AT_ONCE = 5_000


@dataclass(frozen=True)
class NewParticipant:
    """Id and password of a new participant. The password is not stored in plain."""

    patient_id: str
    password: str


def create_participants(
    session: Session,
    store: SealedStore,
    study: Study,
    count: int,
    patient_id: str | None = None,
    password: str | None = None,
    batch_id: int | None = None,
    *,
    site: str = "",
    actor: Actor,
) -> list[NewParticipant]:
    """Creates participants in one transaction, after storing their key pairs; commits (PHONE-93, PORTAL-122).

    Ids and passwords are random; they may be given only with a `count` of 1. With `batch_id` the participants belong
    to that batch, and are counted in it. People who are limited to a site add participants of it; with several, `site`
    names it (PERM-95). Raises ParticipantRefused, StoreUnavailable.
    """
    if not 1 <= count <= MOST_AT_ONCE:
        raise ParticipantRefused(f"between 1 and {MOST_AT_ONCE:,} participants at a time")
    if count > 1 and (patient_id or password):
        raise ParticipantRefused("a chosen id or password needs a count of 1")
    values = values_of_new(session, study, site)
    ids = [patient_id] if patient_id else list(_free_ids(session, count))
    if patient_id and (not _is_well_formed(patient_id) or _taken(session, ids)):
        raise ParticipantRefused(f"{patient_id}: an id has 8 characters of a-z and 1-9 and is used only once")
    new = [NewParticipant(i, password or new_identifier()) for i in ids]
    study_id = study.id
    session.commit()  # nothing is locked while keys are generated: a pair takes about 0.1 s
    with ThreadPoolExecutor(THREADS, initializer=lower_priority) as pool:
        stored = list(pool.map(lambda n: _store_keys(store, n.patient_id), new))
        hashes = list(pool.map(lambda n: hash_participant_password(n.password), new))
    try:
        _add_rows(session, study_id, list(zip(new, hashes, stored, strict=True)), batch_id, values)
        made_in = session.get_one(Study, study_id)
        whole = record(session, actor, Action.PARTICIPANT_CREATE, study=made_in, count=count, batch=batch_id)
        if count == 1:
            whole.patient_id = new[0].patient_id
        else:
            details: dict[str, dict[str, int | None]] = {n.patient_id: {"batch": batch_id} for n in new}
            record_each(session, actor, Action.PARTICIPANT_CREATE, study=made_in, part_of=whole, details=details)
        session.commit()
    except IntegrityError:  # another process took an id while keys were generated
        session.rollback()
        raise ParticipantRefused(f"{patient_id or 'an id'}: taken by somebody else in this moment; try again") from None
    return new


def _add_rows(
    session: Session,
    study_id: int,
    made: Sequence[tuple[NewParticipant, str, tuple[StoredBytes, StoredBytes]]],
    batch_id: int | None,
    fields: Mapping[str, str],
) -> None:
    """Adds the participants' rows with password hashes and keys, values of fields, and their scheduled events."""
    owned = {"study_id": study_id, "batch_id": batch_id}
    values = [{"patient_id": n.patient_id, "password_hash": hashed, **owned} for n, hashed, _ in made]
    rows = session.execute(insert(Participant).returning(Participant.id, sort_by_parameter_order=True), values)
    numbers = list(rows.scalars())
    if fields:  # before anything else: without their site, who adds them would not see them
        own = [(int(name.partition(":")[2]), value) for name, value in fields.items()]
        had = [{"participant_id": n, "field_id": of, "value": value} for n in numbers for of, value in own]
        session.execute(insert(FieldValue), had)
    session.execute(insert(ParticipantActivity), [{"participant_id": number} for number in numbers])
    objects = [
        stored.row(study_id=study_id, participant_id=number)
        for number, (_, _, pair) in zip(numbers, made, strict=True)
        for stored in pair
    ]
    session.execute(insert(StoredObject), objects)
    study = session.get_one(Study, study_id)
    update_events_of(session, study, numbers, datetime.now(UTC))  # now, not at the next hourly update (PORTAL-120)
    if batch_id is not None:
        _set_values_of_file(session, study, batch_id, numbers)
        _count_made(session, batch_id, len(made))


def _set_values_of_file(session: Session, study: Study, batch_id: int, numbers: Sequence[int]) -> None:
    """Gives participants of a batch that came from a file their external ids, fields and dates, in the file's order."""
    batch = session.get_one(ParticipantBatch, batch_id, with_for_update=True)
    rows = (batch.rows or [])[batch.made : batch.made + len(numbers)]
    if not rows:
        return
    named = [{"id": n, "external_id": row["external_id"]} for n, row in zip(numbers, rows, strict=True)]
    given = given_rows(Participant, named)
    own = sa.update(Participant).where(Participant.id == given.c.id).values(external_id=given.c.external_id)
    session.execute(own, execution_options={"synchronize_session": False})
    edits = {n: read_changes(row["values"]) for n, row in zip(numbers, rows, strict=True) if row["values"]}
    set_values(session, study, edits, datetime.now(UTC))


def _count_made(session: Session, batch_id: int, count: int) -> None:
    """Counts in the transaction that adds the participants, so that none is created twice."""
    table = ParticipantBatch
    is_done = table.made + count >= table.wanted
    values = {
        "made": table.made + count,
        "error": None,
        "state": sa.case((is_done, BatchState.DONE.value), else_=BatchState.WORKING.value),
        "ended_at": sa.case((is_done, sa.func.now())),
    }
    session.execute(sa.update(table).where(table.id == batch_id).values(values))


def _store_keys(store: SealedStore, patient_id: str) -> tuple[StoredBytes, StoredBytes]:
    """Stores a new key pair, or reuses one that an interrupted attempt left without rows."""
    private_path, public_path = (path(store.study_id, patient_id) for path in (private_key_path, public_key_path))
    pair = generate_key_pair()
    try:
        private = store.create(private_path, pair.private_pem)
    except ObjectExists:
        pair = key_pair_of(store.read(private_path)[0])
        private = store.adopt(private_path, pair.private_pem)
    try:
        return private, store.create(public_path, pair.public_pem)
    except ObjectExists:
        return private, store.adopt(public_path, pair.public_pem)


def _free_ids(session: Session, count: int) -> Iterator[str]:
    """Random unused ids. 1.8 * 10^12 are possible, so one round is nearly always enough."""
    seen: set[str] = set()
    while len(seen) < count:
        drawn = {new_identifier() for _ in range(count - len(seen))} - seen
        drawn = {patient_id for patient_id in drawn if not _READS_AS_NUMBER.fullmatch(patient_id)}
        free = drawn - _taken(session, list(drawn))
        seen |= free
        yield from free


def _taken(session: Session, ids: list[str]) -> set[str]:
    return set(session.scalars(sa.select(Participant.patient_id).where(Participant.patient_id.in_(ids))))


def _is_well_formed(patient_id: str) -> bool:
    return len(patient_id) == 8 and all(c in "123456789abcdefghijklmnopqrstuvwxyz" for c in patient_id)
