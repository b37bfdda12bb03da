"""Uploads (PHONE-63 to PHONE-85)."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from flask import Response, g

from core.database import db
from core.models import Participant
from core.phones.authentication import known_participant
from core.phones.refusals import note_refusal
from core.phones.upload_outcomes import UploadOutcome
from core.phones.uploads import Upload, accept_upload, outcome_before_reading
from webapp.phone.answers import text_answer
from webapp.phone.blueprint import TooMuchAtOnce, admitted, now, phone_route, request_platform, upload_context
from webapp.phone.forms import BodyTooLarge
from webapp.phone.upload_answers import ANSWERS

# Decrypting and sealing a large file needs several times its size in memory.
LARGE_FILE_BYTES = 32 << 20
LARGE_FILES_AT_ONCE = BoundedSemaphore(2)  # in each process
WAIT_SECONDS = 5


@phone_route("/upload")
def upload() -> Response:
    """Accepts an uploaded file (PHONE-63 to PHONE-85). No transaction is open while it is decrypted (PHONE-17)."""
    try:
        participant, form = admitted("last_upload_at")
    except BodyTooLarge as body:
        return _too_large(body)
    db.session.commit()
    file_name = form.fields.get("file_name", "")
    outcome = outcome_before_reading(participant, file_name, now())
    try:
        if outcome is None:
            with _room_for(form.file):
                upload = Upload(file_name, form.file, request_platform(), form.fields["password"])
                outcome = accept_upload(upload_context(participant), participant, upload, now())
        return _answered(participant, file_name, len(form.file or b""), outcome)
    finally:
        if isinstance(form.file, mmap.mmap):
            form.file.close()


def _answered(participant: Participant, file_name: str, size_bytes: int, outcome: UploadOutcome) -> Response:
    """The answer for this outcome. Stores a refusal for the study's staff, and the outcome for `/metrics`."""
    g.upload_outcome, answer = outcome, ANSWERS[outcome]
    if outcome.refusal:
        note_refusal(db.session(), participant, file_name, size_bytes, outcome, answer.status, now())
    return text_answer(answer)


def _too_large(body: BodyTooLarge) -> Response:
    """413. The refusal is stored for the study's staff, because the phone repeats the upload for ever (PHONE-10).

    Nothing else is written, because the body was not read to its end (CLAR-10).
    """
    participant = known_participant(db.session(), body.fields)
    file_name = body.fields.get("file_name", "")
    outcome = outcome_before_reading(participant, file_name, now()) or UploadOutcome.TOO_LARGE
    return _answered(participant, file_name, body.size_bytes, outcome)


@contextmanager
def _room_for(file: bytes | mmap.mmap | None) -> Iterator[None]:
    """Limits how many large files are handled at once. Raises TooMuchAtOnce after 5 seconds of waiting."""
    if file is None or len(file) < LARGE_FILE_BYTES:
        yield
        return
    if not LARGE_FILES_AT_ONCE.acquire(timeout=WAIT_SECONDS):
        raise TooMuchAtOnce
    try:
        yield
    finally:
        LARGE_FILES_AT_ONCE.release()
