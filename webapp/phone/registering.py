"""Registration of phones, and new passwords (PHONE-31 to PHONE-39, PHONE-58)."""

from flask import Response

from core.crypto.participant_keys import client_public_key
from core.crypto.passwords import hash_participant_password
from core.database import db
from core.models import EventKind, ParticipantEvent
from core.notifications.credentials import firebase_files_for_phone
from core.phones.authentication import Level
from core.phones.key_cache import public_key_path
from core.phones.registration import RegistrationRefused, register_phone
from webapp.phone.answers import json_answer
from webapp.phone.blueprint import authenticated, now, phone, phone_route, request_platform, upload_context
from webapp.phone.fetching import settings_of
from webapp.stores import sealed_store


@phone_route("/register_user")
def register_user() -> Response:
    """Registers the phone; JSON with its public key, app settings, Firebase files and study (PHONE-31 to PHONE-38)."""
    participant, form = authenticated(Level.REGISTRATION)
    # Everything that can fail comes first: registering changes the password, so the phone must get the answer.
    key = sealed_store(participant.study).read(public_key_path(participant.study.object_id, participant.patient_id))[0]
    answer = {
        "client_public_key": client_public_key(key),
        "device_settings": settings_of(participant).for_phones(),
        **firebase_files_for_phone(db.session(), request_platform()),
        "study_name": participant.study.name,
        "study_id": participant.study.object_id,
    }
    register_phone(upload_context(participant), participant, form.fields, request_platform(), now())
    return json_answer(answer)


@phone_route("/set_password")
def set_password() -> Response:
    """Stores a new password (PHONE-58), which arrives in plain text and is hashed here (PHONE-27). 400 without one."""
    participant, form = authenticated(Level.FULL)
    participant.activity.last_set_password_at = at = now()
    if "new_password" not in form.fields:
        db.session.commit()
        return Response(status=400)
    participant.password_hash = hash_participant_password(form.fields["new_password"])
    db.session.add(ParticipantEvent(participant_id=participant.id, at=at, kind=EventKind.PASSWORD_CHANGED, detail={}))
    db.session.commit()
    return Response(status=200)


@phone.errorhandler(RegistrationRefused)
def registration_refused(_: RegistrationRefused) -> Response:
    return Response(status=400)
