"""The answers that the specification allows to a request, by its content and its sender."""

import base64
import hashlib
import re
from dataclasses import dataclass, field

from tests.fuzz.plain_files import NoKey, Nothing, plaintexts
from tests.fuzz.reading import Form, is_cut, read_form
from tests.fuzz.requests import ENDPOINTS, Request

POST_ONLY = ("set_fcm_token", "test_notification", "send_survey_notification")
FULL = ("set_password", "graph", "test_notification", "send_survey_notification")
LARGEST_FORM_BYTES = 1 << 20
NAME = re.compile(
    "([A-Za-z0-9]{1,8})_(accel|gyro|gps|powerState|callLog|textsLog|bluetoothLog|wifiLog|logFile|ambientAudio|"
    "magnetometer|devicemotion|proximity|reachability|ios_log|surveyTimings|surveyAnswers|voiceRecording)"
    r"(_[A-Za-z0-9]{24})?_[0-9]{1,20}\.(csv|json|mp4|wav|txt|jpg)"
)


@dataclass(frozen=True)
class Person:
    """A participant as the database has it before the request."""

    patient_id: str
    password_hash: str
    is_locked_out: bool
    is_retired: bool
    is_stopped: bool
    enrols_easily: bool


@dataclass(frozen=True)
class Expected:
    """Statuses allowed and, for an upload that gets in, which part of the decision chain it ends in.

    `end` is "stored", "aside", "empty", "empty and aside", "nothing", or None where neither rows nor objects may come.
    `is_certain` is False where the request may be understood in several ways.
    """

    statuses: frozenset[int]
    text: str | None = None
    end: str | None = None
    is_certain: bool = True
    form: Form | None = None
    plaintexts: list[bytes] = field(default_factory=list)
    has_dropped: bool = False


def expected_of(request: Request, people: dict[str, Person]) -> Expected:
    """PHONE-2, PHONE-5, PHONE-6, PHONE-10, PHONE-20, PHONE-21, PHONE-64 and the endpoints' own answers."""
    if request.endpoint is None:
        return Expected(frozenset({404, 405}))
    if request.method != "POST" and (request.method != "GET" or request.endpoint in POST_ONLY):
        return Expected(frozenset({405}))
    refusal = 401 if "ios" in request.path[-4:].lower() else 403
    body = request.received
    form = None if body is None or request.method != "POST" else read_form(request.content_type, body)
    if form is None and body is not None and is_cut(request.content_type, body):
        return Expected(frozenset({refusal, 400, 413}))
    if form is None:
        return _anything(request, refusal)
    if request.endpoint != "upload" and len(body or b"") > LARGEST_FORM_BYTES:
        return Expected(frozenset({413}))
    person = _who(form, people)
    if person is None or not _gets_in(request.endpoint, form, person):
        return Expected(frozenset({refusal}), "")
    return _answer(request.endpoint, form, person)


def _anything(request: Request, refusal: int) -> Expected:
    fine = {204} if request.endpoint == "set_fcm_token" else {200}
    return Expected(frozenset({refusal, 400, 413} | fine), is_certain=False)


def _who(form: Form, people: dict[str, Person]) -> Person | None:
    if any(name not in form.fields for name in ("patient_id", "password", "device_id")) or not form.fields["device_id"]:
        return None
    return people.get(form.fields["patient_id"].strip().lower())


def _gets_in(endpoint: str, form: Form, person: Person) -> bool:
    if person.is_locked_out:
        return False
    if endpoint in FULL or (endpoint == "register_user" and not person.enrols_easily):
        return is_password(form.fields["password"], person.password_hash)
    return True


def is_password(received: str, stored: str) -> bool:
    """PHONE-28, for the parameters of new rows."""
    algorithm, iterations, expected, salt = stored.split("$")
    derived = hashlib.pbkdf2_hmac(algorithm, received.encode(), salt.encode(), int(iterations), 32)
    return base64.urlsafe_b64encode(derived).decode() == expected


def _answer(endpoint: str, form: Form, person: Person) -> Expected:
    def only(status: int, text: str | None = None) -> Expected:
        return Expected(frozenset({status}), text, form=form)

    match endpoint:
        case "upload":
            return _upload(form, person)
        case "register_user" if person.is_retired or not {"phone_number", "new_password"} <= form.fields.keys():
            return only(400, "")
        case "set_password" if "new_password" not in form.fields:
            return only(400, "")
        case "set_password" | "mobile-heartbeat":
            return only(200, "")
        case "set_fcm_token":
            return only(204, "")
        case "test_notification" | "send_survey_notification":  # nobody has credentials for the push service here
            return only(400)
    assert endpoint in ENDPOINTS
    return only(200)


def _upload(form: Form, person: Person) -> Expected:
    """PHONE-64, rows 2 to 10."""
    name, file = form.fields.get("file_name", ""), form.file

    def ends(status: int, text: str, end: str | None = None, **more: object) -> Expected:
        return Expected(frozenset({status}), text, end, form=form, **more)  # type: ignore[arg-type]

    is_foreign = name.startswith(("rList", "PersistedInstallation"))
    if is_foreign or "." not in name or name.rsplit(".")[-1] not in ("csv", "json", "mp4", "wav", "txt", "jpg"):
        return ends(200, "file obviously invalid.")
    if person.is_retired:
        return ends(200, "participant permanently retired.")
    if person.is_stopped:
        return ends(200, "study is deleted, stopped, or ended.")
    if file is None:
        return ends(400, "file not present")
    match = NAME.fullmatch(name)
    if match is None or match[1].lower() != person.patient_id:
        return ends(200, "file name not recognised, kept aside.", "aside")
    try:
        found = plaintexts(file)
    except Nothing:
        return ends(200, "file was bad due to 'no data in it', delete it.", "nothing")
    except NoKey:
        return ends(200, "file had decryption key error 'kept aside'", "aside")
    has_dropped = any(dropped for _, dropped in found)
    texts = [text for text, _ in found]
    if not any(texts):
        return ends(200, "empty file?", "empty and aside" if has_dropped else "empty", has_dropped=has_dropped)
    return ends(200, "upload successful.", "stored", plaintexts=texts, has_dropped=has_dropped)
