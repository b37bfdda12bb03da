"""The blueprint of the phones' endpoints: routes, authentication and error handlers (PHONE-1 to PHONE-20)."""

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
METHODS = ["GET", "POST"]  # a GET has no form, so authentication refuses it (PHONE-6)
STORE_SECONDS = 12  # for all store calls of a request: a phone waits 15 s for its answer (STORE-8, PHONE-13)


class TooMuchAtOnce(Exception):
    """The server handles too many large uploads already. The phone keeps its file and tries again."""


def phone_route(path: str, *, methods: Sequence[str] = METHODS) -> Callable[..., Any]:
    """Registers an endpoint under `path` and, for iOS, `path/ios` (PHONE-2). Its store calls share a time limit."""

    def register(view: Callable[[], Any]) -> Callable[[], Any]:
        @wraps(view)
        def view_with_time_limit() -> Any:
            with store_time_limited_to(STORE_SECONDS):
                return view()

        for rule in (path, f"{path}/ios"):
            phone.add_url_rule(rule, view_func=view_with_time_limit, methods=methods)
        return view

    return register


@phone.before_request
def refuse_early() -> None:
    """Raises MethodNotAllowed (405), also for `HEAD` and `OPTIONS`, and what the server decided while the body arrived.

    Raises Refused for an unknown sender, TooMuchAtOnce where too many bodies wait.
    """
    if request.method not in METHODS:
        raise MethodNotAllowed(METHODS)
    match not_taken():
        case NotTaken.SENDER_UNKNOWN:
            raise Refused
        case NotTaken.NO_ROOM:
            raise TooMuchAtOnce


def admitted(activity: str) -> tuple[Participant, PhoneForm]:
    """The participant and the form of this request, authenticated at the minimal level.

    `activity` names the column of the participant's activity that gets the time. Raises Refused, TooManyRequests. The
    caller commits.
    """
    form = read_phone_form(request)
    return admitted_with(form.fields, activity), form


def admitted_with(fields: Mapping[str, str], activity: str) -> Participant:
    """The participant that these form fields name, authenticated at the minimal level.

    Raises Refused, TooManyRequests. The caller commits.
    """
    if not is_within(REQUESTS, fields.get("patient_id", "")):
        if not has_right_password(known_participant(db.session(), fields), fields):
            raise TooManyRequests
        db.session.commit()
    at = now()
    participant = admit(db.session(), fields, activity, at)
    _record_request(participant, fields, at)
    return participant


def authenticated(level: Level) -> tuple[Participant, PhoneForm]:
    """The participant and the form of this request, authenticated at a level that checks the password.

    Raises Refused, TooManyRequests after too many wrong passwords. The caller commits.
    """
    form, at = read_phone_form(request), now()
    try:
        participant = authenticate(db.session(), form.fields, level, at)
    except Refused:
        if not is_within(WRONG_PASSWORDS, form.fields.get("patient_id", "")):
            raise TooManyRequests from None
        raise
    _record_request(participant, form.fields, at)
    return participant, form


def _record_request(participant: Participant, fields: Mapping[str, str], at: datetime) -> None:
    g.participant, g.study = participant, participant.study  # for the log
    remember_reports(db.session(), participant, fields, request.path, at)


def upload_context(participant: Participant) -> UploadContext:
    return UploadContext(db.session(), sealed_store(participant.study), private_keys())


def request_platform() -> Platform:
    """The platform of the request: iOS if the last four characters of the path contain `ios` (PHONE-5)."""
    return Platform.IOS if "ios" in request.path[-4:].lower() else Platform.ANDROID


def now() -> datetime:
    return datetime.now(UTC)


@phone.errorhandler(Refused)
def refused(_: Refused) -> Response:
    """403, or 401 to iOS (PHONE-20). Changes made during authentication are rolled back."""
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
    """413. Not used for uploads, whose view handles this error itself."""
    return text_answer(ANSWERS[UploadOutcome.TOO_LARGE])


@phone.errorhandler(TooMuchAtOnce)
@phone.errorhandler(OSError)
@phone.errorhandler(StoreError)
@phone.errorhandler(SealBroken)
@phone.errorhandler(DatabaseError)
@phone.errorhandler(InterfaceError)
@phone.errorhandler(TimeoutError)
def keep_your_file(error: Exception) -> Response:
    """503 if store, database or disk fail or are full: the phone keeps its file and tries again (PHONE-64 row 12)."""
    db.session.rollback()
    current_app.logger.error("phone request not served: %s", type(error).__name__, exc_info=error)
    if isinstance(error, SealBroken):
        add_tallies_at_once(db.engine, {Counted.INTEGRITY_FAILURES: {Integrity.PHONE: 1}})
    return text_answer(Answer(503, "not stored, try again later."))
