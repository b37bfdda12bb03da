"""The endpoints that apps call. Phones are never redirected, and carry their credentials in every form (PHONE-1, 2)."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import Any

from flask import Blueprint, Response, current_app, g, request
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

from core.crypto.participant_keys import client_public_key
from core.crypto.passwords import hash_participant_password
from core.crypto.seal import SealBroken
from core.database import db
from core.models import AppSettings, Heartbeat, Participant
from core.models.survey import surveys_for_phones
from core.phones.authentication import Level, Refused, admit, authenticate
from core.phones.key_cache import public_key_path
from core.phones.push_tokens import take_push_tokens
from core.phones.registration import RegistrationRefused, register_phone
from core.phones.uploads import Answer, Upload, UploadDesk, accept_upload, answer_before_reading
from core.storage import StoreUnavailable
from core.streams import Platform
from webapp.phone.forms import PhoneForm, read_phone_form
from webapp.stores import private_keys, sealed_store

phone = Blueprint("phone", __name__)
RETRY_AFTER_SECONDS = "60"
MOST_FORM_BYTES = 1 << 20
LARGE_UPLOAD_BYTES = 64 << 20
large_uploads = BoundedSemaphore(2)  # of this process


class TooMuchAtOnce(Exception):
    """More large uploads at once than the process has memory for; the phone keeps its file and comes back."""


def phone_route(path: str, *, methods: Sequence[str] = ("GET", "POST")) -> Callable[..., Any]:
    """Registers an endpoint under `path` and, for iOS, under `path/ios` (PHONE-2); slashes are left to the URL map."""

    def register(view: Callable[[], Any]) -> Callable[[], Any]:
        for rule in (path, f"{path}/ios"):
            phone.add_url_rule(rule, view_func=view, methods=methods)
        return view

    return register


@phone.before_request
def limit_body() -> None:
    """Only uploads are large (OPS-4). The largest are few at a time, since each is in memory several times over."""
    if request.endpoint != "phone.upload":
        request.max_content_length = MOST_FORM_BYTES
    elif (request.content_length or 0) > LARGE_UPLOAD_BYTES:
        if not large_uploads.acquire(blocking=False):
            raise TooMuchAtOnce
        g.has_large_upload = True


@phone.teardown_request
def end_large_upload(_: BaseException | None) -> None:
    if g.pop("has_large_upload", False):
        large_uploads.release()


@phone_route("/register_user")
def register_user() -> Response:
    """PHONE-31 to PHONE-38."""
    form = read_phone_form(request)
    participant = authenticate(db.session, form.fields, Level.REGISTRATION)
    register_phone(_desk(participant), participant, form.fields, request_platform(), _now())
    key = sealed_store(participant.study).read(public_key_path(participant.study.object_id, participant.patient_id))[0]
    return _json(
        {
            "client_public_key": client_public_key(key),
            "device_settings": _settings_of(participant).for_phones(),
            "ios_plist": None,
            "android_firebase_json": None,
            "study_name": participant.study.name,
            "study_id": participant.study.object_id,
        }
    )


@phone_route("/upload")
def upload() -> Response:
    """PHONE-63 to PHONE-85. The first transaction ends before the file is looked at (PHONE-17)."""
    participant, form = _admitted("last_upload_at")
    db.session.commit()
    file_name = form.fields.get("file_name", "")
    answer = answer_before_reading(participant, file_name, _now())
    if answer is None:
        answer = accept_upload(_desk(participant), participant, Upload(file_name, form.file))
    return _text(answer)


@phone_route("/get_latest_device_settings")
def get_latest_device_settings() -> Response:
    """PHONE-41, PHONE-42: every key, always."""
    participant, _ = _admitted("last_settings_at")
    settings = _settings_of(participant).for_phones()
    db.session.commit()
    return _json(settings | {"enable_extensive_device_info_tracking": False})


@phone_route("/download_surveys")
def download_surveys() -> Response:
    """PHONE-44 to PHONE-51. A survey that is left out is deleted on the phone, so all or nothing (PHONE-45)."""
    participant, _ = _admitted("last_surveys_at")
    surveys = [
        {
            "_id": survey.object_id,
            "survey_type": survey.survey_type,
            "content": survey.parsed_content(),
            "settings": survey.parsed_settings(),
            "timings": [[] for _ in range(7)],
            "name": survey.name,
        }
        for survey in surveys_for_phones(db.session, participant.study_id)
    ]
    db.session.commit()
    return _json(surveys)


@phone_route("/set_password")
def set_password() -> Response:
    """PHONE-58: the new password comes in plain and is hashed here (PHONE-27)."""
    form = read_phone_form(request)
    participant = authenticate(db.session, form.fields, Level.FULL)
    participant.activity.last_set_password_at = _now()
    if "new_password" not in form.fields:
        db.session.commit()
        return Response(status=400)
    participant.password_hash = hash_participant_password(form.fields["new_password"])
    db.session.commit()
    return Response(status=200)


@phone_route("/mobile-heartbeat")
def mobile_heartbeat() -> Response:
    """PHONE-59."""
    participant, form = _admitted("last_heartbeat_at")
    db.session.execute(
        insert(Heartbeat).values(
            participant_id=participant.id, at=participant.activity.last_heartbeat_at,
            message=form.fields.get("message"),
        )
    )  # fmt: skip
    db.session.commit()
    return Response(status=200)


@phone_route("/set_fcm_token", methods=["POST"])
def set_fcm_token() -> Response:
    """PHONE-60: 204 whatever the token."""
    form = read_phone_form(request)
    now = _now()
    participant = admit(db.session(), form.fields, "last_set_push_token_at", now)
    take_push_tokens(db.session(), participant, form.fields, now)
    db.session.commit()
    return Response(status=204)


def request_platform() -> Platform:
    """The platform of the request: iOS if the path's last four characters hold `ios` (PHONE-5)."""
    return Platform.IOS if "ios" in request.path[-4:].lower() else Platform.ANDROID


@phone.errorhandler(Refused)
def refused(_: Refused) -> Response:
    """403, and 401 to iOS (PHONE-20); what authentication changed is rolled back."""
    db.session.rollback()
    return Response(status=401 if request_platform() is Platform.IOS else 403)


@phone.errorhandler(RegistrationRefused)
def registration_refused(_: RegistrationRefused) -> Response:
    return Response(status=400)


@phone.errorhandler(TooMuchAtOnce)
@phone.errorhandler(StoreUnavailable)
@phone.errorhandler(SealBroken)
@phone.errorhandler(OperationalError)
@phone.errorhandler(InterfaceError)
@phone.errorhandler(TimeoutError)
def keep_your_file(error: Exception) -> Response:
    """The store or the database is down: the phone keeps its file and comes back (PHONE-64 row 12)."""
    db.session.rollback()
    current_app.logger.error("phone request not served: %s", type(error).__name__, exc_info=error)
    answer = _text(Answer(503, "not stored, try again later."))
    answer.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return answer


def _admitted(activity: str) -> tuple[Participant, PhoneForm]:
    """Who asks at the minimal level, with the moment noted in this column of the activity; the caller commits."""
    form = read_phone_form(request)
    return admit(db.session(), form.fields, activity, _now()), form


def _desk(participant: Participant) -> UploadDesk:
    return UploadDesk(db.session(), sealed_store(participant.study), private_keys())


def _settings_of(participant: Participant) -> AppSettings:
    return db.session.scalars(db.select(AppSettings).where(AppSettings.study_id == participant.study_id)).one()


def _json(value: Any) -> Response:
    """ASCII with a charset: iOS decodes by the header, and Latin-1 without one (PHONE-11)."""
    return Response(json.dumps(value, ensure_ascii=True), content_type="application/json; charset=utf-8")


def _text(answer: Answer) -> Response:
    return Response(answer.text, status=answer.status, content_type="text/plain; charset=utf-8")


def _now() -> datetime:
    return datetime.now(UTC)
