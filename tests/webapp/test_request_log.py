"""Ids of requests, and lines of the log."""

import json
import logging
import re
import sys
from typing import Any

import pytest
from flask import Flask
from pydantic import SecretStr

from core.accounts.api_keys import create_api_key
from core.audit import SERVER
from core.config import Settings
from core.database import db
from core.logs import REQUEST_ID, JsonLines, ReadableLines, exception_text
from tests.support.factories import Factory, phone_fields
from tests.support.portal_visitor import Visitor
from webapp import create_app
from webapp.portal.access.rules import ATTRIBUTE, AccessRule

AT_HOME = {"Host": "beiwe.example.org", "X-Forwarded-Proto": "https"}
MADE = re.compile(r"[0-9a-f]{16}")


@pytest.fixture
def production(settings: Settings) -> Flask:
    values = {
        "environment": "production",
        "trusted_proxy_hops": 1,
        "domain_name": "beiwe.example.org",
        "flask_secret_key": SecretStr("x" * 40),
    }
    return create_app(settings.model_copy(update=values))


def lines(captured: Any) -> list[dict[str, Any]]:
    """What was logged, all of it JSON."""
    return [json.loads(line) for line in captured.readouterr().err.splitlines()]


def test_the_proxys_id_is_taken_and_returned(production: Flask):
    """OPS-33."""
    answer = production.test_client().get("/healthz", headers={"X-Request-ID": "edge-1.a_B"})
    assert answer.headers["X-Request-ID"] == "edge-1.a_B"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a"}', "ä"])
def test_an_id_of_another_form_is_replaced(production: Flask, given: str):
    """OPS-33: it cannot inject text into the log."""
    answer = production.test_client().get("/healthz", headers={"X-Request-ID": given})
    assert MADE.fullmatch(answer.headers["X-Request-ID"])


def test_without_a_proxy_an_id_is_made(app: Flask):
    """OPS-33: every request gets another."""
    client = app.test_client()
    made = {client.get("/healthz", headers={"X-Request-ID": "mine"}).headers["X-Request-ID"] for _ in range(3)}
    assert len(made) == 3 and all(MADE.fullmatch(one) for one in made)


def test_every_answer_has_an_id_also_a_refusal(production: Flask):
    """OPS-33."""
    answers = [
        production.test_client().get("/", headers={"Host": "other.example.org"}),
        production.test_client().get("/no/such/page", headers=AT_HOME),
    ]
    assert [answer.status_code for answer in answers] == [400, 404]
    assert all(MADE.fullmatch(answer.headers["X-Request-ID"]) for answer in answers)


def test_in_production_a_request_is_one_json_line(production: Flask, capsys: pytest.CaptureFixture[str]):
    """OPS-33: by its endpoint, without what was asked."""
    answer = production.test_client().get("/?page=/secret&token=hunter2", headers=AT_HOME)
    (line,) = lines(capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("time"))
    assert line.pop("duration_ms") > 0
    assert line == {
        "level": "info",
        "logger": "webapp.request_log",
        "event": "request",
        "method": "GET",
        "endpoint": "access.sign_in",
        "status": 200,
        "request_id": answer.headers["X-Request-ID"],
    }


def test_a_failure_is_logged_with_its_request_and_without_values(production: Flask, capsys: pytest.CaptureFixture[str]):
    """OPS-33: where it happened, and no local variable, path or body."""

    def fail() -> None:
        password = "hunter2"
        raise ValueError(f"cannot be read\nDETAIL: {password}")

    production.view_functions["access.validate_login"] = fail
    setattr(fail, ATTRIBUTE, AccessRule())
    answer = production.test_client().post("/validate_login", headers=AT_HOME, data={"username": "Jane Doe"})
    assert answer.status_code == 500
    printed = capsys.readouterr().err
    failure, request = (json.loads(line) for line in printed.splitlines())
    assert failure["event"] == "request failed" and "ValueError: cannot be read" in failure["exception"]
    assert "test_request_log.py" in failure["exception"]
    assert failure["request_id"] == request["request_id"] == answer.headers["X-Request-ID"]
    assert "hunter2" not in printed and "Jane" not in printed and "/validate_login" not in printed


def test_a_request_of_a_study_is_logged_with_its_ids(
    app: Flask, factory: Factory, settings: Settings, capsys: pytest.CaptureFixture[str]
):
    """OPS-33: ids of study and participant, not names."""
    study = factory.study("A study's name")
    participant = factory.participant(study)
    production = create_app(settings.model_copy(update={"environment": "production", "trusted_proxy_hops": 1}))
    visitor = Visitor(production, factory.researcher(study=study))
    for path in (f"/view_study/{study.id}", f"/view_study/{study.id}/participant/{participant.patient_id}"):
        assert visitor.get(path, headers={"X-Forwarded-Proto": "https"}).status_code == 200
    printed = capsys.readouterr().err
    of_study, of_participant = (json.loads(line) for line in printed.splitlines())
    assert of_study["study"] == study.object_id and "participant" not in of_study
    assert of_participant["participant"] == participant.patient_id
    assert study.name not in printed


def test_a_refusal_names_the_account_and_the_route(
    app: Flask, factory: Factory, settings: Settings, capsys: pytest.CaptureFixture[str]
):
    """OPS-33: with the address, for investigations; the address of a phone is never logged."""
    study, person = factory.study(), factory.researcher("mlopez")
    access_key, _ = create_api_key(db.session(), person, "x", actor=SERVER)
    db.session.commit()
    production = create_app(settings.model_copy(update={"environment": "production", "trusted_proxy_hops": 1}))
    behind = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}
    visitor = Visitor(production, person)
    assert visitor.get(f"/view_study/{study.id}", headers=behind).status_code == 403
    keys = {"access_key": access_key, "secret_key": "wrong"}
    assert visitor.open("/get-studies/v1", method="POST", data=keys, headers=behind).status_code == 403
    assert visitor.open("/upload", method="POST", data={"patient_id": "x"}, headers=behind).status_code == 403
    page, api, phone = lines(capsys)
    assert (page["account"], page["endpoint"], page["status"]) == (person.id, "studies.overview", 403)
    assert page["address"] == api["address"] == "198.51.100.7"
    assert api["endpoint"] == "data_api.get_studies" and phone["status"] == 403 and "address" not in phone
    assert "mlopez" not in str((page, api)) and access_key not in str(api)


def test_an_upload_leaves_no_password_key_or_body_in_the_log(
    app: Flask, factory: Factory, settings: Settings, capsys: pytest.CaptureFixture[str]
):
    """OPS-33."""
    participant = factory.participant()
    values = {
        "environment": "production",
        "trusted_proxy_hops": 1,
        "domain_name": "beiwe.example.org",
        "flask_secret_key": SecretStr(settings.secret_key),
    }
    production = create_app(settings.model_copy(update=values))
    fields = phone_fields(participant, file_name=f"{participant.patient_id}_gps_1717236000000.csv", file="the body")
    with production.app_context():
        assert production.test_client().post("/upload", data=fields, headers=AT_HOME).status_code == 200
    printed = capsys.readouterr().err
    assert '"endpoint": "phone.upload"' in printed
    assert not any(text in printed for text in (fields["password"], "the body", "PRIVATE KEY"))


def test_in_development_lines_are_for_people(app: Flask, capsys: pytest.CaptureFixture[str]):
    """OPS-33: requests are not among them."""
    with app.test_client().get("/healthz") as answer:
        assert answer.status_code == 200
    logging.getLogger("core.somewhere").warning("a disk is full", extra={"study": "abc"})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("warning core.somewhere: a disk is full  study=abc")


def test_only_known_fields_reach_a_line():
    """OPS-33."""
    record = logging.makeLogRecord({"name": "core", "msg": "done\nwith it", "password": "hunter2", "participant": "p1"})
    for formatter in (JsonLines(), ReadableLines()):
        assert "hunter2" not in formatter.format(record)
    line = JsonLines().format(record)
    assert len(line.splitlines()) == 1 and json.loads(line)["participant"] == "p1"


def test_a_failures_text_tells_causes_and_no_more_than_first_lines():
    """OPS-33: the row that a constraint refused is in the second."""
    message = "refused\nDETAIL: Key (name)=(Jane Doe) exists"
    try:
        try:
            raise KeyError("a")
        except KeyError as error:
            raise ValueError(message) from error
    except ValueError:
        text = exception_text(sys.exc_info()[1])  # type: ignore[arg-type]
    assert text.index("KeyError: 'a'") < text.index("ValueError: refused")
    assert "Jane" not in text


def test_the_id_goes_with_its_request(app: Flask):
    """OPS-33: what is logged afterwards belongs to no request; a streamed answer still does."""
    seen = []

    @app.get("/streamed")
    def streamed() -> Any:
        return app.response_class(
            (seen.append(REQUEST_ID.get()) or str(n) for n in range(2)), content_type="text/plain"
        )

    answer = app.test_client().get("/streamed", buffered=True)
    assert answer.text == "01" and seen == [answer.headers["X-Request-ID"]] * 2
    answer.close()
    assert REQUEST_ID.get() is None
