"""The page Alerts: troubles, who is told, what was sent and whether it arrived (CLAR-62)."""

from datetime import timedelta

import pytest
from flask import Flask
from pydantic import SecretStr

from core.config import load_settings
from core.database import db
from core.models import OutgoingMessage, SystemEvent
from core.outgoing.delivering import deliver_waiting
from core.outgoing.queueing import queue_mail
from tests.support.factories import Factory
from tests.support.fakes.sinks import running_mail_sink
from tests.support.portal_visitor import Visitor
from tests.support.this_hour import this_hour

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def visitor(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Visitor:
    monkeypatch.setenv("SYSADMIN_EMAILS", "operator@x.example")
    app: Flask = request.getfixturevalue("app")
    factory: Factory = request.getfixturevalue("factory")
    return Visitor(app, factory.researcher("mlopez", is_site_admin=True))


def test_a_site_without_troubles_says_so_and_how_to_try(visitor: Visitor):
    page = visitor.get("/alerts").text
    assert "There was none so far" in page and "operator@x.example" in page and "No mail server (MAIL_URL)" in page


def test_troubles_are_listed_and_shown_on_every_page_while_they_last(visitor: Visitor):
    """CLAR-62: a banner for those concerned."""
    now = this_hour()
    db.session.add(SystemEvent(kind="sender silent", text="No push was sent.", began_at=now - timedelta(hours=2)))
    over = SystemEvent(kind="tokens lost", subject="fcm", text="Firebase lost 12.", began_at=now, ended_at=now)
    db.session.add(over)
    db.session.commit()
    page = visitor.get("/alerts").text
    assert "Lasts" in page and "Firebase lost 12." in page and page.count("No push was sent.") == 1
    assert "No push was sent." in visitor.get("/choose_study").text


def test_a_test_alert_is_written_and_its_way_is_shown(visitor: Visitor):
    assert visitor.post("/alerts/test").location == "/alerts"
    page = visitor.get("/alerts").text
    assert "1 test on the way" in page and "This is a test of alerts." in page and "Waits" in page
    with running_mail_sink() as sink:
        deliver_waiting(db.engine, load_settings(mail_url=SecretStr(sink.url)))
        assert "mlopez asked for this test" in str(sink.mails[0])
    assert "Delivered" in visitor.get("/alerts").text


def test_a_message_that_was_given_up_can_be_tried_again(visitor: Visitor):
    queue_mail(db.session(), "nobody@x.example", "One", "Text", about="a matter", now=this_hour())
    db.session.commit()
    with running_mail_sink() as sink:
        deliver_waiting(db.engine, load_settings(mail_url=SecretStr(sink.url)))
    page = visitor.get("/alerts").text
    assert "Given up" in page and "refuses the recipient (550)" in page
    number = db.session.scalar(db.select(OutgoingMessage.id))
    assert visitor.post("/alerts/again", message=str(number)).location == "/alerts"
    assert "Waits" in visitor.get("/alerts").text
    for wrong in ("", "0", "x", "9" * 30):
        assert visitor.post("/alerts/again", message=wrong).status_code == 404
