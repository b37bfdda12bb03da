"""Reads stored files of answers that have no submission: older data, imports, files that were missing (CLAR-56, 58).

Participant after participant, under its processing claim, some files to a transaction: it can be stopped anywhere and
run again. What it reads is not new: nobody is told of it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.arriving import BROKEN, MISSING, MOST_FILE_BYTES, TOO_LARGE, ArrivedFile
from core.answers.outcomes import bring_outcomes_up_to_date
from core.answers.wordings import record_wordings_of_versions
from core.answers.writing import write_submissions
from core.config import Settings
from core.locks import LockSpace, held_alone, lock_key
from core.models import Chunk, Participant, StoredObject, Submission, Survey, UploadRecord
from core.processing.fetching import StoredFile, fetch
from core.processing.holding import held_participant
from core.storage import ObjectStore, SealedStore
from core.storage.sealed import SUFFIX
from core.streams import SPECS, DataStream
from core.threads import Threads

FILES_AT_ONCE = 200
THREADS = 4
_ANSWERS = SPECS[DataStream.SURVEY_ANSWERS].number
_RECORDINGS = SPECS[DataStream.AUDIO_RECORDINGS].number


_SOLE = lock_key(LockSpace.ANSWERS)


@dataclass(frozen=True)
class ReadParticipant:
    """What was read of one participant. `is_left` says that others worked on it: another run must read the rest."""

    patient_id: str
    submissions: int
    problems: int
    is_left: bool = False


def sole_reader(engine: sa.Engine) -> AbstractContextManager[bool]:
    """Takes the lock to read stored answers for the block; yields False if another process holds it."""
    return held_alone(engine, _SOLE)


def participants_to_read(session: Session, study_id: int | None = None) -> list[int]:
    """Numbers of participants with registered files of answers that have no submission, or that were missing."""
    query = sa.select(Chunk.participant_id).where(*_is_unread()).distinct()
    missing = sa.select(Submission.participant_id).where(Submission.problem == MISSING).distinct()
    if study_id is not None:
        query = query.where(Chunk.study_id == study_id)
        missing = missing.join(Participant).where(Participant.study_id == study_id)
    locked_out = sa.select(Participant.id).where(Participant.purge_asked_at.is_not(None))
    found = {*session.scalars(query), *session.scalars(missing)} - set(session.scalars(locked_out))
    return sorted(found)


def record_all_wordings(session: Session, study_id: int | None = None) -> None:
    """Numbers the questions of surveys that were published before questions were numbered; commits."""
    query = sa.select(Survey.id).order_by(Survey.id)
    if study_id is not None:
        query = query.where(Survey.study_id == study_id)
    for survey_id in session.scalars(query).all():
        record_wordings_of_versions(session, survey_id)
        session.commit()


def read_participant(
    engine: sa.Engine, store: ObjectStore, settings: Settings, participant_id: int
) -> ReadParticipant | None:
    """Reads all files of a participant that have no submission; commits after each 200. None if a purge was asked for.

    Raises StoreUnavailable and the database's errors; what was committed stays.
    """
    with held_participant(engine, participant_id) as held:
        if held is None:
            with Session(engine) as session:
                participant = session.get_one(Participant, participant_id)
                return None if participant.is_locked_out else ReadParticipant(participant.patient_id, 0, 0, True)
        session, participant = held
        bring_outcomes_up_to_date(session, datetime.now(UTC), participant_ids=[participant_id], looks_back=None)
        session.commit()
        sealed = SealedStore(store, participant.study, settings)
        submissions = problems = 0
        with Threads(THREADS) as threads:
            for rows in _pages(session, participant_id):
                files = _arrived(threads.map, sealed, rows)
                _forget_missing(session, [file.path for file in files if file.problem != MISSING])
                submissions += len(write_submissions(session, participant, files, datetime.now(UTC), is_new=False))
                session.commit()
                problems += sum(file.problem is not None for file in files)
        return ReadParticipant(participant.patient_id, submissions, problems)


def _is_unread() -> tuple[sa.ColumnElement[bool], ...]:
    is_read = sa.exists().where(Submission.path == Chunk.path, Submission.problem.is_distinct_from(MISSING))
    return Chunk.stream.in_([_ANSWERS, _RECORDINGS]), Chunk.path.is_not(None), ~is_read


def _pages(session: Session, participant_id: int) -> Iterator[Sequence[sa.Row[Any]]]:
    """Files without submission by path, and what the log and the store know of them; no transaction stays open."""
    last = ""
    path: sa.ColumnElement[str] = sa.collate(Chunk.__table__.c.path, "C")
    key = sa.collate(Chunk.path + SUFFIX, "C")
    while True:
        query = (
            sa.select(
                Chunk.path,
                Chunk.stream,
                Chunk.time_bin,
                Chunk.size_bytes,
                Chunk.updated_at,
                sa.func.max(UploadRecord.received_at).label("received_at"),
                sa.func.max(UploadRecord.os_type).label("os_type"),
                sa.func.max(StoredObject.seal).label("seal"),
            )
            .outerjoin(UploadRecord, UploadRecord.path == Chunk.path)
            .outerjoin(StoredObject, StoredObject.path == key)
            .where(Chunk.participant_id == participant_id, *_is_unread(), path > last)
            .group_by(Chunk.id)
            .order_by(path)
            .limit(FILES_AT_ONCE)
        )
        page = session.execute(query).all()
        session.commit()
        if not page:
            return
        yield page
        last = page[-1].path


def _arrived(
    in_parallel: Callable[..., Iterable[bytes | Exception]], store: SealedStore, rows: Sequence[sa.Row[Any]]
) -> list[ArrivedFile]:
    """Times are those of the registry. Imported files may have no row in the upload log, and no known size."""
    to_read = [
        StoredFile(row.path, row.size_bytes or 0, None, row.seal)
        for row in rows
        if row.stream == _ANSWERS and (row.size_bytes or 0) <= MOST_FILE_BYTES
    ]
    fetched = fetch(in_parallel, store, to_read, "")
    contents = {file.path: file.data for file in fetched.files if len(file.data) <= MOST_FILE_BYTES}
    problems = dict.fromkeys(fetched.missing, MISSING) | dict.fromkeys(fetched.broken, BROKEN)
    return [
        ArrivedFile(
            row.path,
            row.time_bin,
            row.received_at or row.updated_at,
            row.os_type,
            is_recording=row.stream == _RECORDINGS,
            contents=contents.get(row.path),
            problem=None if row.stream == _RECORDINGS or row.path in contents else problems.get(row.path, TOO_LARGE),
        )
        for row in rows
    ]


def _forget_missing(session: Session, paths: Sequence[str]) -> None:
    """Removes the submissions of files that were missing and are there again; they hold no answers."""
    again = sa.delete(Submission).where(Submission.path.in_(paths), Submission.problem == MISSING)
    session.execute(again, execution_options={"synchronize_session": False})
