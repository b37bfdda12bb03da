"""Webhooks in the portal: made, tested, their log; who may see what (CLAR-75, PERM-95)."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from core.access import Role
from core.audit import SERVER
from core.database import db
from core.limits import limit_session
from core.models import AuditRecord, OutgoingMessage, Researcher, Study, Webhook
from core.models.researcher import requester_of
from core.outgoing.delivering import deliver_waiting
from core.streams import DataStream
from core.webhooks.managing import AddressRules, WebhookForm, save_webhook
from core.webhooks.raising import note_processed_data
from core.webhooks.telling import tell_of_events
from tests.support.factories import Factory
from tests.support.fakes.sinks import WebhookSink, running_webhook_sink
from tests.support.portal_visitor import Visitor
from tests.support.sites import TwoSites
from webapp.stores import settings
from webapp.watching import refuse

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def hook() -> Iterator[WebhookSink]:
    with running_webhook_sink() as sink:
        yield sink


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Mood")


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("head", study=study, role=Role.STUDY_ADMIN))


def deliver() -> None:
    db.session.commit()
    while deliver_waiting(db.engine, settings(), refuse=refuse):
        pass


def test_made_tested_looked_at_sent_again_switched_and_deleted(visitor: Visitor, study: Study, hook: WebhookSink):
    """CLAR-75: the key is shown once, the address's path never in lists; each step is in the audit trail."""
    at = f"/view_study/{study.id}/webhooks"
    assert "No webhooks yet" in visitor.get(at).text
    form = {"name": "Warehouse", "address": hook.url, "events": "answer.arrived", "silent_after_hours": "48"}
    made = visitor.post(f"{at}/new", **form)
    key = re.search(r"whsec_[A-Za-z0-9+/]+=", made.text)
    number = db.session.scalar(db.select(Webhook.id))
    one = f"{at}/{number}"
    assert key and "a-secret" in visitor.get(f"{one}/change").text
    for page in (at, one, f"{one}/change"):
        assert key[0] not in visitor.get(page).text
    for page in (at, one):
        assert f"127.0.0.1:{hook.port}" in visitor.get(page).text and "a-secret" not in visitor.get(page).text
    hook.answers = [410]
    assert visitor.post(f"{one}/test").location == one
    deliver()
    page = visitor.get(f"{one}?state=given_up").text
    assert "The address answered 410." in page and "1 message did not arrive" in page and "webhook.test" in page
    assert "None of this state" in visitor.get(f"{one}?state=delivered").text
    message = str(db.session.scalar(db.select(OutgoingMessage.id)))
    assert visitor.post(f"{one}/again", message=message).location == one
    assert "It waits to be sent already." in visitor.get(visitor.post(f"{one}/again", message=message).location).text
    deliver()
    assert "taken" in visitor.get(one).text and len(hook.posted) == 2
    assert visitor.post(f"{one}/again", message="999999").status_code == 404
    visitor.post(f"{one}/switch", wanted="off")
    assert "switch it on first" in visitor.get(visitor.post(f"{one}/again").location).text
    visitor.post(f"{one}/switch", wanted="on")
    assert "0 messages on the way" in visitor.get(visitor.post(f"{one}/again").location).text
    replaced = visitor.post(f"{one}/key").text
    assert "The former key signs as well until" in replaced and key[0] not in replaced
    changed = visitor.post(f"{one}/change", **(form | {"name": "Other <b>", "events": "data.processed"}))
    assert changed.location == one and "Other &lt;b&gt;" in visitor.get(one).text
    assert visitor.post(f"{one}/delete").location == at
    assert visitor.get(one).status_code == 404 and db.session.scalar(db.select(OutgoingMessage.id)) is None
    actions = set(db.session.scalars(db.select(AuditRecord.action).where(AuditRecord.action.like("webhook.%"))))
    verbs = ("create", "test", "send_again", "off", "on", "key", "change", "delete")
    assert actions == {f"webhook.{verb}" for verb in verbs}
    kept = str(db.session.scalars(db.select(AuditRecord.detail)).all())
    assert "a-secret" not in kept and "whsec" not in kept


def test_what_is_refused_stands_at_its_field_with_what_was_typed(visitor: Visitor, study: Study):
    answer = visitor.post(
        f"/view_study/{study.id}/webhooks/new",
        name="Ours",
        address="http://10.0.0.1/",
        events="answer.arrived",
        silent_after_hours="soon",
    )
    assert answer.status_code == 422 and "The address must begin with https://." in answer.text
    assert 'value="http://10.0.0.1/"' in answer.text and 'value="soon"' in answer.text
    assert re.search(r'value="answer.arrived" checked', answer.text)


def test_the_server_has_switched_it_off(visitor: Visitor, study: Study):
    """CLAR-75: the pages say so in a banner, and what to do."""
    form = WebhookForm("Warehouse", "https://x.example/", ["answer.arrived"])
    webhook = save_webhook(db.session(), study, form, datetime.now(UTC), actor=SERVER)
    webhook.is_on, webhook.off_since, webhook.off_because = False, datetime.now(UTC), "Nothing has arrived since May."
    db.session.commit()
    at = f"/view_study/{study.id}/webhooks"
    assert "was switched off.</strong> Nothing has arrived since May." in visitor.get(at).text
    assert "The server has switched this webhook off" in visitor.get(f"{at}/{webhook.id}").text


def test_roles_that_are_limited_to_a_site_have_no_webhooks(app: Flask, factory: Factory):
    """PERM-95: what is told is of the whole study; the database itself hides messages about other sites."""
    sites = TwoSites(factory)
    sites.fill_the_others()
    rules, form = AddressRules(is_strict=False), WebhookForm("W", "http://127.0.0.1:9/", ["data.processed"])
    now = datetime.now(UTC)
    webhook = save_webhook(db.session(), sites.study, form, now, rules=rules, actor=SERVER)
    db.session.commit()
    for person in (sites.north[0], sites.south[0]):
        note_processed_data(db.session(), person, [(DataStream.GPS, now)])
    tell_of_events(db.session(), settings(), now)
    db.session.commit()
    one = f"/view_study/{sites.study.id}/webhooks/{webhook.id}"
    limited = sites.limited(Role.STUDY_RESEARCHER, may_change_study=True)
    assert Visitor(app, limited).get(one).status_code == 403
    page = Visitor(app, sites.admin).get(one).text
    assert sites.north[0].patient_id in page and sites.south[0].patient_id in page
    with Session(db.engine) as session:
        limit_session(session, requester_of(session, session.get_one(Researcher, limited.id)).limits)
        about = sa.select(OutgoingMessage.participant_id).where(OutgoingMessage.webhook_id == webhook.id)
        assert session.scalars(about).all() == [sites.north[0].id]
