"""Push credentials of the site, at the existing platform's addresses (PORTAL-270 to PORTAL-273)."""

import json

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import CredentialKind, Participant, PushService
from core.notifications.by_hand import NotSent
from core.notifications.checking import check_service, send_test
from core.notifications.credential_files import MOST_BYTES, CredentialRefused
from core.notifications.credentials import remove_credential, store_credential
from core.notifications.delivering import opener, utc_now
from core.notifications.described import described_credentials
from webapp.portal.access.rules import requires
from webapp.portal.notifications.section import notifications
from webapp.stores import settings

# Parts of the addresses, and the fields of the files; the last one is not of the existing platform.
KINDS = {
    "backend_firebase_cert": CredentialKind.BACKEND,
    "android_firebase_cert": CredentialKind.ANDROID,
    "ios_firebase_cert": CredentialKind.IOS,
    "apns_key": CredentialKind.APNS,
}
CARDS = {
    CredentialKind.BACKEND: ("Firebase service account", "sends the messages of both apps"),
    CredentialKind.ANDROID: ("Android app", "given to Android phones when they register"),
    CredentialKind.IOS: ("iOS app", "given to iPhones when they register"),
    CredentialKind.APNS: ("Apple, directly", "for an iOS app of your own; preferred where a phone has told its token"),
}
FILES = {
    CredentialKind.BACKEND: (
        "Service account file",
        "Firebase console, project settings, service accounts: the JSON file with a private key.",
    ),
    CredentialKind.ANDROID: ("google-services.json", "Firebase console, project settings, your Android app."),
    CredentialKind.IOS: ("GoogleService-Info.plist", "Firebase console, project settings, your iOS app."),
    CredentialKind.APNS: ("Key file", "Apple developer account, keys: the .p8 file, which can be fetched once."),
}


@notifications.get("/manage_firebase_credentials")
@requires(Capability.PUSH_CREDENTIALS, is_return_page=True)
def credentials() -> ResponseReturnValue:
    """What is stored, and forms to store and remove."""
    return _page()


@notifications.post("/upload_<any(backend_firebase_cert, android_firebase_cert, ios_firebase_cert, apns_key):name>")
@requires(Capability.PUSH_CREDENTIALS)
def store(name: str) -> ResponseReturnValue:
    """Stores a file in place of the one before. A file that is refused changes nothing."""
    kind = KINDS[name]
    file = request.files.get(name)
    data = file.read(MOST_BYTES + 1) if file else b""
    if not data:
        return _page(kind, "Choose a file. What is stored stays as it is.")
    try:
        if kind is CredentialKind.APNS:
            data = _apns_key(data)
        store_credential(db.session(), kind, data, g.now, actor=actor_of(g.researcher))
        db.session.commit()
    except CredentialRefused as refused:
        db.session.rollback()
        return _page(kind, str(refused))
    flash(f"{CARDS[kind][0]}: the file was stored.", "good")
    return redirect(url_for("notifications.credentials"))


@notifications.post("/delete_<any(backend_firebase_cert, android_firebase_cert, ios_firebase_cert, apns_key):name>")
@requires(Capability.PUSH_CREDENTIALS)
def remove(name: str) -> ResponseReturnValue:
    """Removes a file, if there is one; the others stay."""
    kind = KINDS[name]
    remove_credential(db.session(), kind, actor=actor_of(g.researcher))
    db.session.commit()
    flash(f"{CARDS[kind][0]}: removed.", "good")
    return redirect(url_for("notifications.credentials"))


SERVICES = {"fcm": PushService.FCM, "apns": PushService.APNS}


@notifications.post("/check_<any(fcm, apns):name>")
@requires(Capability.PUSH_CREDENTIALS)
def check(name: str) -> ResponseReturnValue:
    """Asks Google or Apple whether it takes the stored credentials."""
    checked = check_service(db.session(), opener(settings().fcm_url), SERVICES[name], g.now)
    db.session.commit()
    flash(checked.text, "good" if checked.is_taken else "bad")
    return redirect(url_for("notifications.credentials"))


@notifications.post("/send_test_message")
@requires(Capability.PUSH_CREDENTIALS)
def send_test_message() -> ResponseReturnValue:
    """Sends a test message to the phone of a participant of any study."""
    patient_id = request.form.get("patient_id", "").strip()
    query = db.select(Participant).where(Participant.patient_id == patient_id, Participant.purged_at.is_(None))
    participant = db.session.scalar(query)
    if participant is None:
        return _page(test_problem="There is no participant with this id.")
    open_sender, actor = opener(settings().fcm_url), actor_of(g.researcher)
    try:
        said = send_test(db.session(), db.engine, open_sender, participant, utc_now, actor=actor)
    except NotSent as refused:
        return _page(test_problem=str(refused))
    if said:
        return _page(test_problem=said)
    flash(f"The service accepted the test message to {patient_id}. Look at the phone.", "good")
    return redirect(url_for("notifications.credentials"))


def _apns_key(data: bytes) -> bytes:
    """The key and what was typed beside it, as the object that is checked. Raises CredentialRefused."""
    try:
        key = data.decode("ascii")
    except UnicodeDecodeError:
        raise CredentialRefused("The key is not one of Apple's .p8 keys.") from None
    typed = {name: request.form.get(name, "").strip() for name in ("key_id", "team_id", "topic")}
    return json.dumps({"key": key, **typed, "is_sandbox": "is_sandbox" in request.form}).encode()


def _page(kind: CredentialKind | None = None, problem: str = "", test_problem: str = "") -> ResponseReturnValue:
    """The page, with the problem of a file of this kind that was refused."""
    page = render_template(
        "portal/notifications/credentials.html",
        kinds=[(name, of, *CARDS[of], *FILES[of]) for name, of in KINDS.items()],
        stored=described_credentials(db.session()),
        wrong=kind,
        problem=problem,
        typed=request.form if problem or test_problem else {},
        test_problem=test_problem,
    )
    return page, 422 if problem or test_problem else 200
