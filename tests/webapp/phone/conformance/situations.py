"""Participants who send the requests of the table, and other circumstances of a request."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask, current_app
from limits import RateLimitItemPerMinute
from sqlalchemy.exc import OperationalError

from core.audit import SERVER
from core.database import db
from core.models import CredentialKind, Participant, PushCredential, PushToken, QueuedUpload, Study
from core.notifications.credentials import store_credential
from core.phones import uploads
from core.phones.key_cache import private_key_path, public_key_path
from core.storage import StoreUnavailable
from ops.phones import bodies
from tests.core.notifications.test_credentials import as_json
from tests.support.factories import Factory, phone_fields
from tests.support.fakes.google import running_google
from tests.support.paths import VECTORS
from webapp.phone import blueprint
from webapp.stores import settings

Situation = Callable[[Factory], Participant]
Circumstance = Callable[[Flask, Participant], AbstractContextManager[Any]]

ENCRYPTED = VECTORS / "device_files" / "encrypted"
GPS = (ENCRYPTED / "android_gps.enc").read_bytes()
OTHER = (ENCRYPTED / "ios_gps.enc").read_bytes()
NAME = "{id}_gps_1717236000000.csv"
ANSWERS = "{id}_surveyAnswers_Qm4vT8sZ1nB6xK2wR9cJ5hLp_1717236000000.csv"
NOW = datetime.now(UTC)


def golden(name: str) -> bytes:
    """One of the golden files."""
    return (ENCRYPTED / f"{name}.enc").read_bytes()


# --- who asks


def running_study(make: Factory) -> Study:
    """One for all who need none of their own; making a study takes longer than asking for something."""
    return db.session.scalar(db.select(Study).where(Study.name == "Running")) or make.study("Running")


def registered(make: Factory) -> Participant:
    return make.participant(running_study(make))


def not_yet_registered(make: Factory) -> Participant:
    return make.participant(running_study(make), platform=None)


def retired(make: Factory) -> Participant:
    return make.participant(running_study(make), retired_at=NOW - timedelta(hours=1))


def waiting_for_a_purge(make: Factory) -> Participant:
    return make.participant(running_study(make), purge_asked_at=NOW)


def purged(make: Factory) -> Participant:
    return make.participant(running_study(make), purged_at=NOW)


def enrolling_easily(make: Factory) -> Participant:
    return make.participant(running_study(make), has_easy_enrollment=True)


def in_study(**columns: Any) -> Situation:
    """Of a study that differs in these columns from a running one."""

    def situation(make: Factory) -> Participant:
        study = make.study()
        for name, value in columns.items():
            setattr(study, name, value)
        return make.participant(study)

    return situation


IN_STOPPED_STUDY = in_study(is_stopped_by_hand=True)
IN_HIDDEN_STUDY = in_study(hidden_at=NOW)
IN_ENDED_STUDY = in_study(end_on=date(2024, 6, 1))
IN_EASY_STUDY = in_study(has_easy_enrollment=True)


def with_a_survey(make: Factory) -> Participant:
    participant = make.participant()
    make.survey(participant.study, name="Evening")
    return participant


def with_an_unreadable_survey(make: Factory) -> Participant:
    participant = make.participant()
    make.survey(participant.study, content="not JSON")
    return participant


def registered_with_a_new_password(make: Factory) -> Participant:
    """Not the one that requests of the table carry."""
    participant = not_yet_registered(make)
    fields = phone_fields(participant, phone_number="1", new_password="another")
    assert current_app.test_client().post("/register_user", data=fields).status_code == 200
    return participant


def with_other_contents_queued(make: Factory) -> Participant:
    return _uploaded(registered(make), NAME, OTHER)


def with_these_contents_queued(make: Factory) -> Participant:
    return _uploaded(registered(make), NAME, GPS)


def with_other_contents_processed(make: Factory) -> Participant:
    participant = with_other_contents_queued(make)
    db.session.execute(db.delete(QueuedUpload))
    db.session.commit()
    return participant


def with_answers(make: Factory) -> Participant:
    return _uploaded(registered(make), ANSWERS, golden("android_survey_answers"))


def without_keys(make: Factory) -> Participant:
    participant = registered(make)
    study, store = participant.study.object_id, make.store(participant.study).store
    for path in (private_key_path(study, participant.patient_id), public_key_path(study, participant.patient_id)):
        store.delete(path + ".zst")
    return participant


def with_a_push_token(make: Factory) -> Participant:
    participant = with_a_survey(make)
    return _with_token(participant)


def with_a_push_token_but_no_survey(make: Factory) -> Participant:
    return _with_token(registered(make))


def _with_token(participant: Participant) -> Participant:
    db.session.add(PushToken(participant_id=participant.id, service="fcm", token=f"token-{participant.id}"))
    db.session.commit()
    return participant


def _uploaded(participant: Participant, name: str, file: bytes) -> Participant:
    fields = phone_fields(participant, file_name=name.format(id=participant.patient_id))
    body = bodies.android_upload(list(fields.items()), file)
    answer = current_app.test_client().post("/upload", data=body, content_type=bodies.ANDROID_CONTENT_TYPE)
    assert answer.text == "upload successful."
    return participant


# --- what goes on meanwhile


def as_always(app: Flask, participant: Participant) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def store_is_down(app: Flask, participant: Participant) -> Iterator[None]:
    class BrokenStore:
        def __getattr__(self, name: str) -> Any:
            def fail(*_: Any) -> Any:
                raise StoreUnavailable("the store is down")

            return fail

    with _instead(app.extensions, "beiwe_store", BrokenStore()):
        yield


@contextmanager
def database_is_down(app: Flask, participant: Participant) -> Iterator[None]:
    def fail(*_: Any) -> Any:
        raise OperationalError("SELECT 1", {}, Exception("no connection"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blueprint, "admit", fail)
        yield


@contextmanager
def another_request_is_quicker(app: Flask, participant: Participant) -> Iterator[None]:
    """It queues the same path while this one is being decrypted."""
    path = f"{participant.study.object_id}/{participant.patient_id}/gps/1717236000000.csv"
    row = {"path": path, "participant_id": participant.id, "study_id": participant.study_id, "size_bytes": 1}
    really = uploads.decrypt_device_file

    def decrypt(*arguments: Any) -> Any:
        with db.engine.begin() as connection:
            connection.execute(db.insert(QueuedUpload), row)
        return really(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploads, "decrypt_device_file", decrypt)
        yield


@contextmanager
def bodies_may_be_small_only(app: Flask, participant: Participant) -> Iterator[None]:
    with _instead(app.extensions, "beiwe_settings", settings().model_copy(update={"upload_max_bytes": 500})):
        yield


@contextmanager
def nothing_more_is_allowed(app: Flask, participant: Participant) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for limit in ("REQUESTS", "WRONG_PASSWORDS"):
            patch.setattr(blueprint, limit, RateLimitItemPerMinute(0))
        yield


@contextmanager
def google_listens(app: Flask, participant: Participant) -> Iterator[None]:
    """A push service, and the credentials for it."""
    with running_google() as google:
        store_credential(db.session(), CredentialKind.BACKEND, as_json(google.service_account), NOW, actor=SERVER)
        db.session.commit()
        with settings_say(fcm_url=google.url)(app, participant):
            yield
        db.session.execute(db.delete(PushCredential))
        db.session.commit()


def settings_say(**values: Any) -> Circumstance:
    """The application's settings with other values."""

    def circumstance(app: Flask, participant: Participant) -> AbstractContextManager[None]:
        settings = app.extensions["beiwe_settings"].model_copy(update=values)
        return _instead(app.extensions, "beiwe_settings", settings)

    return circumstance


@contextmanager
def _instead(values: Any, name: str, value: Any) -> Iterator[None]:
    before = values.get(name)
    values[name] = value
    try:
        yield
    finally:
        values[name] = before
