"""The blueprint of the phones' endpoints: routes, authentication, and the answers to errors (PHONE-1 to PHONE-20)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from flask import Blueprint, Response, current_app, g, request
from sqlalchemy.exc import DatabaseError, InterfaceError, TimeoutError
from werkzeug.exceptions import MethodNotAllowed

from core.crypto.seal import SealBroken
from core.database import db
from core.models import Participant
from core.operations.tallies import Counted, Integrity, add_tallies_at_once
from core.phones.authentication import Level, Refused, admit, authenticate, has_right_password, known_participant
from core.phones.tracking import remember_reports
from core.phones.upload_outcomes import UploadOutcome
from core.phones.uploads import UploadContext
from core.storage.errors import StoreError
from core.storage.time_budget import store_time_limited_to
from core.streams import Platform
from webapp.bodies import not_taken
from webapp.phone.answers import RETRY_AFTER_SECONDS, Answer, text_answer
from webapp.phone.forms import BodyTooLarge, PhoneForm, read_phone_form
from webapp.phone.rates import REQUESTS, WRONG_PASSWORDS, TooManyRequests, is_within
from webapp.phone.upload_answers import ANSWERS
from webapp.serving.arriving import NotTaken
from webapp.stores import private_keys, sealed_store

phone = Blueprint("phone", __name__)
METHODS = ["GET", "POST"]  # a GET has no form, and is refused as such (PHONE-6)
STORE_SECONDS = 12  # of a request, whatever it asks of the store: a phone waits 15 s for its answer (STORE-8, PHONE-13)


class TooMuchAtOnce(Exception):
    """More large uploads at once than the server has room for; the phone keeps its file and comes back."""


def phone_route(path: str, *, methods: Sequence[str] = METHODS) -> Callable[..., Any]:
    """Registers an endpoint under `path` and, for iOS, under `path/ios` (PHONE-2); slashes are left to the URL map."""

    def register(view: Callable[[], Any]) -> Callable[[], Any]:
        @wraps(view)
        def in_time() -> Any:
            with store_time_limited_to(STORE_SECONDS):
                return view()

        for rule in (path, f"{path}/ios"):
            phone.add_url_rule(rule, view_func=in_time, methods=methods)
        return view

    return register


@phone.before_request
def refuse_early() -> None:
    """405 for what no app sends, `HEAD` and `OPTIONS` included; and what was decided before the body was whole."""
    if request.method not in METHODS:
        raise MethodNotAllowed(METHODS)
    match not_taken():
        case NotTaken.SENDER_UNKNOWN:
            raise Refused
        case NotTaken.NO_ROOM:
            raise TooMuchAtOnce


def admitted(activity: str) -> tuple[Participant, PhoneForm]:
    """Who asks at the minimal level, with the moment noted in this column of the activity; the caller commits."""
    form = read_phone_form(request)
    return admitted_with(form.fields, activity), form


def admitted_with(fields: Mapping[str, str], activity: str) -> Participant:
    """The participant that these form fields name, at the minimal level; the caller commits."""
    if not is_within(REQUESTS, fields.get("patient_id", "")):
        if not has_right_password(known_participant(db.session(), fields), fields):
            raise TooManyRequests
        db.session.commit()
    at = now()
    participant = admit(db.session(), fields, activity, at)
    _note(participant, fields, at)
    return participant


def authenticated(level: Level) -> tuple[Participant, PhoneForm]:
    """Who asks at a level where the password counts; the caller commits."""
    form, at = read_phone_form(request), now()
    try:
        participant = authenticate(db.session(), form.fields, level, at)
    except Refused:
        if not is_within(WRONG_PASSWORDS, form.fields.get("patient_id", "")):
            raise TooManyRequests from None
        raise
    _note(participant, form.fields, at)
    return participant, form


def _note(participant: Participant, fields: Mapping[str, str], at: datetime) -> None:
    g.participant, g.study = participant, participant.study  # for the log
    remember_reports(db.session(), participant, fields, request.path, at)


def upload_context(participant: Participant) -> UploadContext:
    return UploadContext(db.session(), sealed_store(participant.study), private_keys())


def request_platform() -> Platform:
    """The platform of the request: iOS if the path's last four characters hold `ios` (PHONE-5)."""
    return Platform.IOS if "ios" in request.path[-4:].lower() else Platform.ANDROID


def now() -> datetime:
    return datetime.now(UTC)


@phone.errorhandler(Refused)
def refused(_: Refused) -> Response:
    """403, and 401 to iOS (PHONE-20); what authentication changed is rolled back."""
    db.session.rollback()
    return Response(status=401 if request_platform() is Platform.IOS else 403)


@phone.errorhandler(TooManyRequests)
def too_many_requests(_: TooManyRequests) -> Response:
    db.session.rollback()
    answer = text_answer(Answer(429, "too many requests, try again later."))
    answer.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return answer


@phone.errorhandler(BodyTooLarge)
def too_large(_: BodyTooLarge) -> Response:
    """No app sends so much but in an upload, which answers by itself."""
    return text_answer(ANSWERS[UploadOutcome.TOO_LARGE])


@phone.errorhandler(TooMuchAtOnce)
@phone.errorhandler(OSError)
@phone.errorhandler(StoreError)
@phone.errorhandler(SealBroken)
@phone.errorhandler(DatabaseError)
@phone.errorhandler(InterfaceError)
@phone.errorhandler(TimeoutError)
def keep_your_file(error: Exception) -> Response:
    """Store, database or disk fail, or have no room: the phone keeps its file and comes back (PHONE-64 row 12)."""
    db.session.rollback()
    current_app.logger.error("phone request not served: %s", type(error).__name__, exc_info=error)
    if isinstance(error, SealBroken):
        add_tallies_at_once(db.engine, {Counted.INTEGRITY_FAILURES: {Integrity.PHONE: 1}})
    return text_answer(Answer(503, "not stored, try again later."))
