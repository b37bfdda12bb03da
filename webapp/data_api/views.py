"""Endpoints of the data API, called by POST with form fields (DATA-1)."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, Response, request

from core.access import Capability
from core.audit.access_log import end_access, record_access
from core.audit.actor import actor_with_key
from core.database import db
from core.downloads.members import participants_asked_for
from core.downloads.query import BadQuery, UnknownName, parse_query
from core.downloads.recording import record_download
from core.downloads.zip_stream import ZipContents, ZipDownload
from core.models import AccessKind, Participant
from core.models.researcher import studies_of_key
from webapp.bodies import not_taken
from webapp.data_api.credentials import ApiRefused, program_of, require_well_formed_study, study_for
from webapp.security import refuse_nul
from webapp.serving.arriving import NotTaken
from webapp.stores import sealed_store

data_api = Blueprint("data_api", __name__)


def api_route(path: str, *, methods: Sequence[str] = ("POST",)) -> Callable[..., Any]:
    """Registers an endpoint for these methods; others get 405."""
    return data_api.route(path, methods=methods)


@data_api.before_request
def refuse_early() -> None:
    """Refuses a sender who was unknown while the body arrived (403), and NUL characters in fields (400, MODEL-7)."""
    if not_taken() is NotTaken.SENDER_UNKNOWN:
        raise ApiRefused(403, "access_key and secret_key must be right, and stand first where a request is large")
    refuse_nul()


@api_route("/check-my-credentials/v1")
def check_my_credentials() -> Response:
    program_of(request.form.to_dict())
    return Response("The provided credentials are valid", content_type="text/plain; charset=utf-8")


@api_route("/get-studies/v1")
def get_studies() -> Response:
    """A JSON object of study id to name. Site administrators get all studies that are not hidden, others their own.

    Studies that the key cannot be used for are left out (PERM-94, PERM-96).
    """
    program = program_of(request.form.to_dict())
    found = studies_of_key(db.session(), program.key, program.researcher)
    return _json({study.object_id: study.name for study in found})


@api_route("/get-participant-ids/v1")
@api_route("/get-users/v1")
def get_participant_ids() -> Response:
    """A JSON list of the patient ids of a study's participants, sorted."""
    form = request.form.to_dict()
    require_well_formed_study(form)
    program = program_of(form)
    study = study_for(program, form, Capability.STUDY_VIEW)
    query = db.select(Participant.patient_id).where(Participant.study_id == study.id)
    ids = list(db.session.scalars(query.order_by(Participant.patient_id)))
    answer = _json(ids)
    actor, kind = actor_with_key(program.researcher, program.key), AccessKind.PARTICIPANT_IDS
    access = record_access(db.session(), actor, kind, study, participants=len(ids), streams=[])
    end_access(db.session(), access, len(answer.data))
    db.session.commit()
    return answer


@api_route("/get-data/v1", methods=["GET", "POST"])  # a GET has no fields and gets 400, which clients know
def get_data() -> Response:
    """A streamed zip of chunks and a registry (DATA-20 to DATA-26)."""
    return _data(is_compressed=False)


@api_route("/get-data/v2", methods=["GET", "POST"])
def get_data_compressed() -> Response:
    """The same with each member compressed with zstd, and `.zst` behind its name."""
    return _data(is_compressed=True)


def _data(*, is_compressed: bool) -> Response:
    form = request.form.to_dict()
    require_well_formed_study(form)
    program = program_of(form)
    study = study_for(program, form, Capability.DATA_DOWNLOAD)
    fields = request.form.to_dict(flat=False)
    query = parse_query(fields)
    participants = participants_asked_for(db.session(), study, query)
    actor = actor_with_key(program.researcher, program.key)
    record = record_download(db.session(), actor, study, query, participants, fields)
    db.session.commit()
    is_web_form = "web_form" in form
    contents = ZipContents(db.engine, sealed_store(study), study, participants, query, not is_web_form, is_compressed)
    download = ZipDownload(contents, record)
    response = Response(download.stream(), content_type="application/zip")
    if is_web_form:
        response.headers["Content-Disposition"] = 'attachment; filename="data.zip"'
    return response


@data_api.errorhandler(ApiRefused)
def refused(error: ApiRefused) -> Response:
    db.session.rollback()
    return _sentence(str(error), error.status)


@data_api.errorhandler(BadQuery)
def bad_query(error: BadQuery) -> Response:
    return _sentence(str(error), 400)


@data_api.errorhandler(UnknownName)
def unknown_name(error: UnknownName) -> Response:
    return _sentence(str(error), 404)


def _json(value: Any) -> Response:
    return Response(json.dumps(value), content_type="application/json; charset=utf-8")


def _sentence(text: str, status: int) -> Response:
    return Response(text, status=status, content_type="text/plain; charset=utf-8")
