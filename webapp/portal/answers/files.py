"""The raw file behind a submission, and recordings to listen to; both are in the log of data access (DATA-26)."""

import io
from datetime import UTC

import sqlalchemy as sa
from flask import Response, flash, g, redirect, request, send_file, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.answers.submitted import ShownSubmission
from core.audit import actor_of
from core.audit.access_log import end_access, record_access
from core.crypto.seal import SealBroken
from core.database import db
from core.models import AccessKind, StoredObject
from core.storage import ObjectMissing, StoreUnavailable
from core.storage.sealed import SUFFIX
from core.streams import DataStream
from webapp.portal.access.rules import requires
from webapp.portal.answers.section import answers
from webapp.portal.answers.submissions import ONE, submission_of
from webapp.portal.answers.survey import the_survey
from webapp.stores import sealed_store

SOUNDS = {"mp4": "audio/mp4", "m4a": "audio/mp4", "wav": "audio/wav"}
PLAYED_SECONDS = 300  # for which a browser may keep a recording that it plays


@answers.get(f"{ONE}/file")
@requires(Capability.DATA_DOWNLOAD)
def file(study_number: int, survey_number: int, submission_number: int) -> ResponseReturnValue:
    """The file as the phone sent it, decrypted."""
    one = submission_of(the_survey(survey_number), submission_number)
    return _sent(one, AccessKind.ANSWER_FILE, is_attachment=True)


@answers.get(f"{ONE}/recording")
@requires(Capability.RECORDINGS_PLAY)
def recording(study_number: int, survey_number: int, submission_number: int) -> ResponseReturnValue:
    """A recording, in parts where the player asks for parts. The log has one row for each time it is begun."""
    one = submission_of(the_survey(survey_number), submission_number)
    if not one.is_recording:
        return Response("This submission is no recording.\n", status=404, mimetype="text/plain")
    return _sent(one, AccessKind.RECORDING, is_attachment=False)


def _sent(one: ShownSubmission, kind: AccessKind, *, is_attachment: bool) -> ResponseReturnValue:
    try:
        contents = _contents(one.path)
    except (ObjectMissing, SealBroken, StoreUnavailable) as error:
        return _not_there(one, error, is_attachment=is_attachment)
    if is_attachment or _is_begun():
        _record(one, kind, len(contents))
    ending = one.path.rpartition(".")[2].lower()
    at = one.submitted_at.astimezone(UTC)
    answer = send_file(
        io.BytesIO(contents),
        mimetype=SOUNDS.get(ending, "text/csv" if ending == "csv" else "application/octet-stream"),
        as_attachment=is_attachment,
        download_name=f"{one.patient_id} {at:%Y-%m-%d %H_%M_%S}+00_00.{ending}",
        conditional=not is_attachment,
        etag=False,
    )
    answer.headers["Cache-Control"] = "no-store" if is_attachment else f"private, max-age={PLAYED_SECONDS}"
    return answer


def _contents(path: str) -> bytes:
    """The file's contents. Raises ObjectMissing, SealBroken, StoreUnavailable."""
    seal = db.session.scalar(sa.select(StoredObject.seal).where(StoredObject.path == path + SUFFIX))
    return sealed_store(g.study).read(path, seal)[0]


def _is_begun() -> bool:
    asked = request.range
    return asked is None or any(start in (0, None) for start, _ in asked.ranges)


def _record(one: ShownSubmission, kind: AccessKind, size_bytes: int) -> None:
    """Writes who fetched what before it is sent (DATA-26)."""
    stream = DataStream.AUDIO_RECORDINGS if one.is_recording else DataStream.SURVEY_ANSWERS
    number = record_access(
        db.session(),
        actor_of(g.researcher),
        kind,
        g.study,
        participants=1,
        patient_ids=[one.patient_id],
        streams=[stream.value],
        parameters={"submission": one.id},
    )
    end_access(db.session(), number, size_bytes)
    db.session.commit()


def _not_there(one: ShownSubmission, error: Exception, *, is_attachment: bool) -> ResponseReturnValue:
    if isinstance(error, StoreUnavailable):
        words, status = "The object store does not answer. Try again in a minute.", 503
    elif isinstance(error, ObjectMissing):
        words, status = "The file is not in the object store.", 404
    else:
        words, status = "The file was changed in the object store: its seal is broken, so it is not shown.", 404
    if not is_attachment:
        return Response(f"{words}\n", status=status, mimetype="text/plain")
    flash(words, "bad")
    place = {"study_number": g.study.id, "survey_number": one.survey_id, "submission_number": one.id}
    return redirect(url_for("answers.submission", **place))
