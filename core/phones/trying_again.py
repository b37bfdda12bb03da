"""Trying uploads again that were kept aside, after their cause was mended (PHONE-84, PHONE-85)."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.crypto.device_file import NothingInFile, NoUsableKey
from core.models import Participant, ProblemUpload
from core.models.audit_record import Action
from core.phones.file_names import NameNotAccepted, raw_path
from core.phones.upload_outcomes import UploadOutcome
from core.phones.uploads import UploadContext, decrypted_upload, place_raw_object, rows_of_upload
from core.streams import SPECS, Platform, stream_of_path

STORED = "stored"


class CannotBeTried(Exception):
    """The file is not one that can be tried again; the message says why."""


def problem_of(session: Session, participant_id: int, problem_id: int) -> ProblemUpload | None:
    """The participant's problem upload of that number."""
    query = sa.select(ProblemUpload).where(
        ProblemUpload.id == problem_id, ProblemUpload.participant_id == participant_id
    )
    return session.scalar(query)


def try_again(
    context: UploadContext, participant: Participant, problem: ProblemUpload, now: datetime, *, actor: Actor
) -> str:
    """Reads the kept file as if the phone had just sent it; commits. Gives what came of it.

    A file that can be read now is queued, and `stored` is its outcome; else the reason is kept anew. Lines that still
    do not decrypt are counted in the reason. The file that was
    kept aside stays. Raises CannotBeTried, StoreUnavailable, ObjectMissing and SealBroken.
    """
    session = context.session
    if problem.line_errors is not None:
        raise CannotBeTried("What could be read of this file was stored when it came.")
    if problem.outcome == STORED:
        raise CannotBeTried("This file was stored already.")
    received, _ = context.store.read(problem.object_path)
    problem.tried_again_at = now
    try:
        path = raw_path(problem.received_name, participant.patient_id)
        decrypted = decrypted_upload(context, participant, received)
        if decrypted.line_errors and not decrypted.plaintext:
            raise NoUsableKey(f"none of {decrypted.total_lines} lines decrypts")
        placed = None
        if decrypted.plaintext:
            placed = place_raw_object(context, f"{context.store.study_id}/{path}", decrypted.plaintext)
    except (NameNotAccepted, NoUsableKey, NothingInFile) as error:
        problem.reason = str(error)
    else:
        if not isinstance(placed, UploadOutcome) and placed is not None:
            session.execute(*rows_of_upload(participant, placed, _platform(participant, path)))
        problem.outcome = STORED if placed is not UploadOutcome.STILL_QUEUED else None
        if decrypted.line_errors:
            problem.line_errors = [{"line": e.line, "kind": e.kind.value} for e in decrypted.line_errors]
            problem.reason = f"{decrypted.failed_lines} of {decrypted.total_lines} lines did not decrypt"
        if placed is UploadOutcome.STILL_QUEUED:
            problem.reason = "a file of this name still waits to be processed"
    record(session, actor, Action.UPLOAD_TRY_AGAIN, study=participant.study, participant=participant)
    session.commit()
    return problem.outcome or problem.reason


def _platform(participant: Participant, path: str) -> Platform | None:
    """The only platform that has such files, else that of the phone which is registered now."""
    only = SPECS[stream_of_path(path.partition("/")[2])].only_platform
    return only or (Platform(participant.os_type) if participant.os_type else None)
