"""The switch for downtime (OPS-30): by command, by page, and what is served meanwhile."""

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from core.audit import SERVER
from core.database import db
from core.models import ParticipantActivity, SwitchName
from core.operations.switches import switch_of, turn_off, turn_on
from tests.support.factories import Factory, phone_fields
from tests.support.portal_visitor import Visitor


@pytest.fixture
def down(app: Flask) -> Flask:
    """The application with downtime on."""
    turn_on(db.session(), SwitchName.DOWNTIME, actor=SERVER)
    db.session.commit()
    app.extensions["beiwe_downtime"].forget()
    return app


@pytest.mark.parametrize("path", ["/upload", "/upload/ios/", "/register_user", "/mobile-heartbeat", "/graph"])
def test_phones_are_told_to_come_back(down: Flask, factory: Factory, path: str):
    """PHONE-16, OPS-30: 503 with a short text; nothing is stored."""
    participant = factory.participant()
    answer = down.test_client().post(path, data=phone_fields(participant))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "300")
    assert 0 < len(answer.data) < 100
    assert answer.content_type.startswith("text/plain")
    activity = db.session.get(ParticipantActivity, participant.id, populate_existing=True)
    assert activity is not None
    assert activity.last_activity_at is None


def test_programs_and_researchers_wait_too_and_load_balancers_do_not(down: Flask, factory: Factory):
    """OPS-30."""
    client = down.test_client()
    assert client.post("/get-studies/v1").status_code == 503
    assert client.get("/background_processing_status").status_code == 503
    visitor = Visitor(down, factory.researcher(study=factory.study()))
    page = visitor.get("/choose_study", headers={"Accept": "text/html"})
    assert page.status_code == 503
    assert "Try again in a few minutes" in page.text
    assert client.get("/healthz").status_code == 200
    assert client.get("/").status_code == 200
    assert client.get("/static/css/base.css").status_code == 200


def test_a_site_administrator_turns_it_on_and_off_on_a_page(app: Flask, factory: Factory):
    """OPS-30: it says since when and by whom, and is reached while it is on."""
    admin = factory.researcher("chief", is_site_admin=True)
    visitor = Visitor(app, admin)
    assert "Everybody is served" in visitor.get("/downtime").text
    assert visitor.post("/set_downtime", is_on="1").status_code == 302
    page = visitor.get("/downtime").text
    assert "Nobody is served" in page
    assert "turned on by chief" in page
    assert app.test_client().post("/upload").status_code == 503
    visitor.post("/set_downtime")
    assert app.test_client().post("/upload").status_code == 403


def test_commands_turn_it_on_and_off(app: Flask):
    """OPS-30: other processes notice when they look again."""
    run = app.test_cli_runner().invoke
    assert json.loads(run(args=["downtime", "show", "--json"]).stdout) == {"downtime": "off", "since": None, "by": None}
    assert json.loads(run(args=["downtime", "on", "--json"]).stdout)["downtime"] == "on"
    run(args=["downtime", "on"])  # again is no error
    app.extensions["beiwe_downtime"].forget()
    assert app.test_client().post("/upload").status_code == 503
    assert json.loads(run(args=["downtime", "off", "--json"]).stdout)["downtime"] == "off"
    assert switch_of(db.session(), SwitchName.DOWNTIME) is None


def test_a_process_looks_again_within_a_minute(down: Flask, monkeypatch: pytest.MonkeyPatch):
    """OPS-30: but not at each request."""
    switch = down.extensions["beiwe_downtime"]
    assert switch.is_on()
    turn_off(db.session(), SwitchName.DOWNTIME, actor=SERVER)
    db.session.commit()
    assert switch.is_on()
    monkeypatch.setattr("webapp.downtime.time.monotonic", lambda: switch._look_at + 1)
    assert not switch.is_on()


def test_a_database_that_does_not_answer_leaves_the_switch_as_it_was(down: Flask, monkeypatch: pytest.MonkeyPatch):
    """OPS-30: the request then fails as it would without the switch."""
    switch = down.extensions["beiwe_downtime"]
    assert switch.is_on()
    switch.forget()

    def fail(*_: Any) -> bool:
        raise OperationalError("", {}, Exception())

    monkeypatch.setattr("webapp.downtime.is_on", fail)
    assert switch.is_on()
