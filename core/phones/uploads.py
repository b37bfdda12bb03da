"""Accepting a phone's file (PHONE-63 to PHONE-85).

A phone deletes its copy on a 200, so the order is: the object is written, then its rows commit together, then the
answer. If the server is killed between two steps, the phone sends the file again: an object without rows is
recognised by its contents and gets its rows (PHONE-82).
"""

import hashlib
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from mmap import mmap
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.crypto.device_file import DecryptedFile, NothingInFile, NoUsableKey, decrypt_device_file
from core.crypto.participant_keys import UnreadableKey
from core.crypto.passwords import new_identifier, verify_password
from core.database import db
from core.models import (
    Participant,
    ProblemUpload,
    QueuedUpload,
    QueueState,
    StoredObject,
    UploadRecord,
)
from core.phones.file_names import NameNotAccepted, is_junk, name_kept_aside, raw_path
from core.phones.holding import is_held
from core.phones.key_cache import PrivateKeyCache
from core.phones.unreadable import has_room_aside
from core.phones.upload_outcomes import UploadOutcome
from core.storage import ObjectExists, ObjectMissing, SealedStore, StoredBytes
from core.storage.sealed import SUFFIX
from core.streams import SPECS, Platform, stream_of_path
from core.streams.paths import below_participant

Rows = tuple[sa.Insert, dict[str, Any]]
"""A statement that adds rows, and its values."""
log = logging.getLogger(__name__)
WAITS_FOR_A_ROW, WAIT_SECONDS = 8, 0.25


@dataclass(frozen=True)
class Upload:
    """What a phone sent: the name it gave, the encrypted bytes (None: neither part nor field `file`), its platform.

    The platform is that of the request: a phone's last files may come when another one is registered (PHONE-68).
    A large file is on disk, and read from there. `password` is the device hash as it came, which need not be right.
    """

    file_name: str
    file: bytes | mmap | None
    platform: Platform
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class UploadContext:
    """Where uploads go: a database session without an open transaction, the study's sealed store, the key cache."""

    session: Session
    store: SealedStore
    keys: PrivateKeyCache


def outcome_before_reading(participant: Participant, file_name: str, now: datetime) -> UploadOutcome | None:
    """Rows 2 to 4 of PHONE-64, which need no look at the file; None where it must be looked at.

    For ten minutes after a participant was retired or a study stopped by hand, files are taken as before and held
    back, since that may be undone (CLAR-12).
    """
    if is_junk(file_name):
        return UploadOutcome.JUNK_NAME
    if is_held(participant, now):
        return None
    if participant.retired_at:
        return UploadOutcome.RETIRED
    if participant.study.is_stopped(now):
        return UploadOutcome.STUDY_STOPPED
    return None


def accept_upload(
    context: UploadContext, participant: Participant, upload: Upload, now: datetime | None = None
) -> UploadOutcome:
    """Rows 6 to 12 of PHONE-64: decrypts, stores and queues the file, which waits to be processed or is held back.

    Raises StoreUnavailable, SealBroken and the database's errors; the answer must then make the phone keep its file.
    """
    if upload.file is None:
        return UploadOutcome.NO_FILE
    try:
        path = f"{context.store.study_id}/{raw_path(upload.file_name, participant.patient_id)}"
    except NameNotAccepted as reason:
        return _keep_unread(context, participant, upload, str(reason), UploadOutcome.NAME_KEPT_ASIDE)
    try:
        decrypted = decrypted_upload(context, participant, upload.file)
    except NothingInFile:
        return UploadOutcome.NOTHING_IN_FILE
    except NoUsableKey as reason:
        return _keep_unread(context, participant, upload, str(reason), UploadOutcome.KEPT_ASIDE)
    if decrypted.plaintext:
        placed = place_raw_object(context, path, decrypted.plaintext)
        if isinstance(placed, UploadOutcome):
            return placed
        state = QueueState.HELD if is_held(participant, now or datetime.now(UTC)) else QueueState.WAITING
        rows, outcome = [rows_of_upload(participant, placed, upload.platform, state)], UploadOutcome.STORED
    else:
        rows, outcome = [], UploadOutcome.EMPTY_KEPT_ASIDE if decrypted.line_errors else UploadOutcome.EMPTY
    if decrypted.line_errors:
        extent = f"{decrypted.failed_lines} of {decrypted.total_lines} lines did not decrypt"
        rows += _kept_aside(context, participant, upload, extent, decrypted)
    return commit_rows(context.session, rows, outcome)


def _keep_unread(
    context: UploadContext, participant: Participant, upload: Upload, reason: str, outcome: UploadOutcome
) -> UploadOutcome:
    """Sets aside a file that was not decrypted, within the limits of CLAR-11."""
    assert upload.file is not None
    is_proven = verify_password(upload.password, participant.password_hash)
    if not has_room_aside(context.session, participant.id, len(upload.file), is_sender_proven=is_proven):
        return UploadOutcome.TOO_MUCH_UNREADABLE
    rows = _kept_aside(context, participant, upload, reason, is_sender_proven=is_proven)
    return commit_rows(context.session, rows, outcome)


def decrypted_upload(context: UploadContext, participant: Participant, file: bytes | mmap) -> DecryptedFile:
    """The decrypted file. Raises NothingInFile, or NoUsableKey if it can never be decrypted (PHONE-64 row 8)."""
    try:
        key = context.keys.get(context.store, participant.patient_id)
    except ObjectMissing:
        raise NoUsableKey("the participant has no private key") from None
    except UnreadableKey as error:
        raise NoUsableKey(f"the participant's private key: {error}") from None
    try:
        return decrypt_device_file(file, key)
    except (NothingInFile, NoUsableKey, MemoryError):
        raise
    except Exception as error:  # a defect of ours must not make a phone send the file for ever; the bytes are kept
        log.exception("unforeseen error while decrypting an upload of participant %s", participant.patient_id)
        raise NoUsableKey(f"unforeseen error while decrypting ({type(error).__name__})") from error


def place_raw_object(context: UploadContext, path: str, contents: bytes) -> StoredBytes | UploadOutcome:
    """Writes a raw object, or returns why not. Raw objects are never overwritten (PHONE-81, PHONE-82, STORE-10).

    STORED when the very same contents are there with their row, STILL_QUEUED when other contents of
    that name wait; later other contents get a name of their own.
    """
    try:
        return context.store.create_raw(path, contents)
    except ObjectExists:
        known = _known(context.session, path)
        # An object without a row is from a crash, or from a request still in progress.
        if known is None and context.store.read(path)[0] == contents:
            return context.store.adopt(path, contents)
        known = known or _row_that_comes(context.session, path)
        if known is not None and _is_same(known, contents):
            return UploadOutcome.STORED
        unprocessed = QueuedUpload.state.in_((QueueState.WAITING.value, QueueState.HELD.value))
        waits = sa.and_(QueuedUpload.path == path, unprocessed)
        if context.session.scalar(sa.select(QueuedUpload.id).where(waits)):
            return UploadOutcome.STILL_QUEUED
        return _create_own(context.store, f"{path}-duplicate-{new_identifier(10)}", contents)


def _known(session: Session, path: str) -> StoredObject | None:
    """The row of the object at this path, under its current key or its old key without `.zst`."""
    return session.get(StoredObject, path + SUFFIX) or session.get(StoredObject, path)


def _row_that_comes(session: Session, path: str) -> StoredObject | None:
    """Waits a moment for another request to commit the row of an object; returns the row or None."""
    for _ in range(WAITS_FOR_A_ROW):
        session.commit()  # no transaction is open meanwhile, and the next look is a new one
        time.sleep(WAIT_SECONDS)
        if row := _known(session, path):
            return row
    return None


def _create_own(store: SealedStore, path: str, contents: bytes) -> StoredBytes:
    """Creates an object under a random name. If it exists, an earlier try wrote it and its answer was lost."""
    try:
        return store.create(path, contents)
    except ObjectExists:
        return store.adopt(path, contents)


def rows_of_upload(
    participant: Participant, stored: StoredBytes, platform: Platform | None, state: QueueState = QueueState.WAITING
) -> Rows:
    """The rows that make a stored raw object an accepted upload: queue, stored object, log (PHONE-68).

    `platform` is that of the phone which sent it, None where it is not known: fixes of rows depend on it (PROC-19).
    """
    path = stored.path.removesuffix(SUFFIX)
    more = {
        "path": path,
        "object_path": stored.path,
        "os_type": platform.value if platform else None,
        "app_version": participant.activity.last_version_code or "",
        "state": state.value,
        "stream": SPECS[stream_of_path(below_participant(path))].number,
    }
    return _UPLOAD_ROWS, stored.row(participant_id=participant.id, study_id=participant.study_id) | more


def _upload_rows() -> sa.Insert:
    """The three inserts as one statement, which is built and compiled once: an upload is a few milliseconds in all."""

    def given(*columns: str, **others: str) -> dict[str, sa.BindParameter[Any]]:
        return {column: sa.bindparam(name) for column, name in {**{c: c for c in columns}, **others}.items()}

    tables = (db.metadata.tables[model.__tablename__] for model in (QueuedUpload, StoredObject, UploadRecord))
    queue, objects, log = map(sa.insert, tables)
    owners, file = ("participant_id", "study_id"), ("path", "os_type", "size_bytes")
    queued = queue.values(given(*owners, *file, "app_version", "state"))
    stored = objects.values(given(*owners, "size_bytes", "size_stored_bytes", "sha1", "seal", path="object_path"))
    return log.values(given("participant_id", *file, "stream")).add_cte(queued.cte("queued"), stored.cte("stored"))


_UPLOAD_ROWS = _upload_rows()


def commit_rows(session: Session, rows: list[Rows], outcome: UploadOutcome) -> UploadOutcome:
    """All rows in one transaction. Another request that wrote the same path first wins (PHONE-83)."""
    try:
        for statement, values in rows:
            session.execute(statement, values)
        session.commit()
    except IntegrityError:
        session.rollback()
        return UploadOutcome.RACE_LOST
    return outcome


def _kept_aside(
    context: UploadContext,
    participant: Participant,
    upload: Upload,
    reason: str,
    decrypted: DecryptedFile | None = None,
    is_sender_proven: bool | None = None,
) -> list[Rows]:
    """Stores the received bytes sealed, and returns the rows that show them to researchers (PHONE-84, PHONE-85)."""
    assert upload.file is not None
    received = upload.file[:]
    folder = f"PROBLEM_UPLOADS/{context.store.study_id}/{participant.patient_id}"
    path = f"{folder}/{name_kept_aside(upload.file_name)}{new_identifier(10)}"
    stored = _create_own(context.store, path, received)
    errors = [{"line": e.line, "kind": e.kind.value} for e in decrypted.line_errors] if decrypted else None
    problem = insert(ProblemUpload).values(
        participant_id=participant.id,
        received_name=upload.file_name,
        object_path=path,
        reason=reason,
        size_bytes=len(received),
        line_errors=errors,
        is_sender_proven=is_sender_proven,
    )
    owners = {"participant_id": participant.id, "study_id": participant.study_id}
    return [(insert(StoredObject), stored.row(**owners)), (problem, {})]


def _is_same(known: StoredObject, contents: bytes) -> bool:
    sha1 = hashlib.sha1(contents, usedforsecurity=False).digest()
    return (known.sha1, known.size_bytes) == (sha1, len(contents))
