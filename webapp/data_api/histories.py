"""Histories of one participant's phone (DATA-5, DATA-40 to DATA-43)."""

from typing import Any

from flask import Response, request

from core.access import Capability, Outcome, decide
from core.database import db
from core.downloads.histories import (
    HEARTBEATS,
    STATUSES,
    UPLOADS,
    VERSIONS,
    History,
    history_rows,
    notification_history,
)
from core.downloads.lists import file_hashes
from core.limits import limit_session
from core.models import AccessKind, Participant, Study
from core.models.researcher import requester_of
from webapp.data_api.answering import begin_access, json_list, json_object, json_whole
from webapp.data_api.credentials import ApiRefused, Program, program_of
from webapp.data_api.views import api_route


@api_route("/get-participant-upload-history/v1")
def get_participant_upload_history() -> Response:
    """Every upload, oldest first."""
    return _history(UPLOADS, "upload history")


@api_route("/get-participant-heartbeat-history/v1")
def get_participant_heartbeat_history() -> Response:
    """The phone's signs of life."""
    return _history(HEARTBEATS, "heartbeat history")


@api_route("/get-participant-version-history/v1")
def get_participant_version_history() -> Response:
    """Versions of app and system."""
    return _history(VERSIONS, "version history")


@api_route("/get-participant-device-status-history/v1")
def get_participant_device_status_history() -> Response:
    """What a phone that is watched closely reported."""
    return _history(STATUSES, "device status history")


@api_route("/get-participant-notification-history/v1")
def get_participant_notification_history() -> Response:
    """Attempts to notify, by survey; in the study's zone, or in UTC with the field `utc`."""
    program, study, participant = _asked()
    access = _begin(program, study, participant, "notification history")
    found = notification_history(db.session(), participant, study.zone, is_utc="utc" in request.form)
    return json_whole(found, access)


@api_route("/get-participant-file-hashes/v1")
def get_participant_file_hashes() -> Response:
    """SHA-1 of each file in base64, by its name in a download (DATA-22)."""
    program, study, participant = _asked()
    access = _begin(program, study, participant, "file hashes")
    return json_object(file_hashes(db.session(), study, participant), access)


def _history(history: History, what: str) -> Response:
    program, study, participant = _asked()
    access = _begin(program, study, participant, what)
    rows: Any = history_rows(db.session(), history, participant)
    if request.form.get("omit_keys", "").lower() == "true":
        rows = (list(row.values()) for row in rows)
    return json_list(rows, access)


def _begin(program: Program, study: Study, participant: Participant, what: str) -> int:
    return begin_access(program, AccessKind.HISTORY, study, what, patient_ids=[participant.patient_id])


def _asked() -> tuple[Program, Study, Participant]:
    """The program, and the participant that it asks for with the study, if it may.

    Raises ApiRefused: what is wrong with the credentials; then 400 without an id, 404 for an unknown one, 403 for one
    of a study without a role (PERM-14, DATA-5).
    """
    form = request.form.to_dict()
    program = program_of(form)
    patient_id = form.get("participant_id", "")
    if not patient_id:
        raise ApiRefused(400, "participant_id is needed")
    session = db.session()
    requester = requester_of(session, program.researcher, key=program.key)
    study = session.scalar(
        db.select(Study).join(Participant, Participant.study_id == Study.id).where(Participant.patient_id == patient_id)
    )
    decision = decide(requester, Capability.DATA_HISTORIES, study)
    if study is None or decision.outcome is Outcome.NOT_FOUND:
        raise ApiRefused(404, "there is no such participant")
    if not decision.is_allowed:
        raise ApiRefused(403, "these credentials give no access to that participant")
    study_id = study.id
    session.rollback()
    limit_session(session, requester.limits)  # before anything of a participant is read (PERM-95)
    participant = session.scalar(db.select(Participant).where(Participant.patient_id == patient_id))
    if participant is None:
        raise ApiRefused(404, "there is no such participant")
    return program, session.get_one(Study, study_id), participant
