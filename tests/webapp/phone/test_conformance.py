"""The table of answers to phones, row by row, on every form of each path; and the page that shows it."""

from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from core.database import db
from core.models import Participant, ProblemUpload, UploadRecord
from ops.phones import bodies
from tests.conftest import _forget_settings, _run, _use_settings
from tests.support.factories import Factory, phone_fields
from tests.webapp.phone.conformance import CASES, DOCUMENT, Case, page
from tests.webapp.phone.conformance.situations import NAME
from webapp import create_app

BOUNDARY = "alamofire.boundary.0123456789abcdef"
# What a good request of an endpoint carries beside the credentials.
GOOD_FIELDS = {
    "upload": {"file_name": NAME},
    "register_user": {"phone_number": "NOT_SUPPLIED", "new_password": "secret1", "device_os": "Android", "model": "x"},
    "set_password": {"new_password": "secret1"},
    "set_fcm_token": {"fcm_token": "the-token"},
}


@pytest.fixture(scope="module")
def app(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """One application and database for all cases, each of which makes its own participants; that saves a minute."""
    _run(postgres % "postgres", "CREATE DATABASE conformance TEMPLATE template_beiwe STRATEGY FILE_COPY")
    with pytest.MonkeyPatch.context() as patch:
        _use_settings(patch, tmp_path_factory.mktemp("conformance") / "var", postgres % "conformance")
        app = create_app()
        with app.app_context():
            yield app
            db.session.remove()
            db.engine.dispose()
    _forget_settings()
    _run(postgres % "postgres", "DROP DATABASE conformance WITH (FORCE)")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_phones_are_told_what_the_table_says(app: Flask, case: Case):
    """PHONE-2, PHONE-4, PHONE-5, PHONE-6, PHONE-7, PHONE-12, PHONE-20, PHONE-21, PHONE-23, PHONE-36, PHONE-58,
    PHONE-64, PHONE-65; docs/phone-api.md says which case is whose.
    """
    participant = None
    for path, status in case.spellings:
        if participant is None or not case.changes_nothing:
            participant = case.who(Factory())
        before = kept_of(participant)
        with case.during(app, participant):
            answer = ask(app, participant, case, path)
        assert (path, answer.status_code) == (path, status), answer.text
        assert case.body.holds(answer), (path, answer.text)
        assert "Set-Cookie" not in answer.headers
        assert status == 302 or "Location" not in answer.headers
        assert status not in (429, 503) or answer.headers["Retry-After"]
        if case.endpoint == "upload":
            left = [now > then for now, then in zip(kept_of(participant), before, strict=True)]
            assert left == ["in the store" in case.kept, "aside" in case.kept]


def ask(app: Flask, participant: Participant, case: Case, path: str) -> TestResponse:
    """The request as the app of the path's platform would write it."""
    sent = phone_fields(participant, **GOOD_FIELDS.get(case.endpoint, {})) | case.fields
    ids = {"id": participant.patient_id, "ID": participant.patient_id.upper()}
    fields = [(name, value.format(**ids)) for name, value in sent.items() if value is not None]
    is_ios, file = "ios" in path, case.file if case.endpoint == "upload" else None
    if case.method == "GET":
        body, content_type = b"", None
    elif is_ios and file is not None:
        body = bodies.ios_upload(fields, dict(fields).get("file_name", "x.csv"), file, BOUNDARY)
        content_type = bodies.multipart_content_type(BOUNDARY)
    elif is_ios:
        body, content_type = bodies.ios_form(fields), bodies.IOS_CONTENT_TYPE
    else:
        body, content_type = bodies.android_form(fields), bodies.ANDROID_CONTENT_TYPE
        body += b"" if file is None else b"file=" + file
    # Behind a doubled slash a client would look for a host.
    where = {"PATH_INFO": path}
    return app.test_client().open(
        "/", method=case.method, data=body, content_type=content_type, environ_overrides=where
    )


def kept_of(participant: Participant) -> list[int]:
    """How many files of the participant were taken, and how many are aside."""
    counted = (
        db.select(db.func.count()).select_from(model).where(model.participant_id == participant.id)
        for model in (UploadRecord, ProblemUpload)
    )
    return [db.session.scalar(query) or 0 for query in counted]


def test_the_page_shows_the_table_as_it_is():
    """Rerun `python -m tests.webapp.phone.conformance`."""
    assert DOCUMENT.read_text() == page()


def test_no_two_cases_have_one_name():
    """Names are how the page leads to a case."""
    assert len({case.id for case in CASES}) == len(CASES)
