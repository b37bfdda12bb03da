"""A webhook from the form to a message that is sent again, by keyboard; narrow and wide, light and dark."""

from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import expect

from core.access import Role
from core.database import db
from core.models import Study
from core.outgoing.delivering import deliver_waiting
from tests.browser.navigator import Portal
from tests.browser.surveys.test_surveys import looks_right
from tests.support.factories import Factory
from tests.support.fakes.sinks import WebhookSink, running_webhook_sink
from webapp.stores import settings
from webapp.watching import refuse

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def hook() -> Iterator[WebhookSink]:
    with running_webhook_sink() as sink:
        yield sink


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    study = factory.study("Mood and movement")
    factory.researcher("mlopez", study=study, role=Role.STUDY_ADMIN)
    factory.survey(study, name="Evening check")
    return study


def looks_right_everywhere(portal: Portal) -> None:
    for size in ((375, "light"), (375, "dark"), (1280, "dark"), (1280, "light")):
        looks_right(portal, *size)


def deliver() -> None:
    db.session.commit()
    while deliver_waiting(db.engine, settings(), refuse=refuse):
        pass


def test_from_the_form_to_a_message_that_is_sent_again_by_keyboard(portal: Portal, study: Study, hook: WebhookSink):
    """CLAR-75."""
    page = portal.page
    portal.signs_in("mlopez")
    portal.opens(f"/view_study/{study.id}/webhooks")
    looks_right_everywhere(portal)
    page.get_by_role("link", name="Make the first one").focus()
    portal.presses("Enter")
    page.get_by_label("Name").focus()
    page.keyboard.type("Data warehouse")
    portal.presses("Tab")
    page.keyboard.type(hook.url)
    page.get_by_role("button", name="Make the webhook").focus()
    portal.presses("Enter")
    expect(page.get_by_text("Choose what the address is told of.")).to_be_visible()
    portal.console_said("422")
    expect(page.get_by_label("Name")).to_have_value("Data warehouse")
    looks_right_everywhere(portal)
    page.get_by_label("An answer arrived").focus()
    portal.presses("Space")
    page.get_by_role("button", name="Make the webhook").focus()
    portal.presses("Enter")
    expect(page.get_by_text("The key is not shown again")).to_be_visible()
    looks_right_everywhere(portal)
    page.get_by_role("link", name="Go on to the webhook").focus()
    portal.presses("Enter")
    expect(page.get_by_text("No messages yet")).to_be_visible()
    hook.answers = [410]
    page.get_by_role("button", name="Send a test").focus()
    portal.presses("Enter")
    expect(page.get_by_text("A test is on the way.")).to_be_visible()
    deliver()
    page.reload()
    expect(page.get_by_text("The address answered 410.")).to_be_visible()
    page.locator("summary", has_text="Contents").focus()
    portal.presses("Enter")
    expect(page.get_by_text('"type": "webhook.test"')).to_be_visible()
    looks_right_everywhere(portal)
    page.get_by_role("button", name="Send the failed ones again").focus()
    portal.presses("Enter")
    expect(page.get_by_text("1 message on the way again.")).to_be_visible()
    deliver()
    page.reload()
    expect(page.get_by_text("taken")).to_be_visible()
    page.get_by_role("button", name="Send again webhook.test").focus()
    portal.presses("Enter")
    expect(page.get_by_text("with the same contents and id")).to_be_visible()
    deliver()
    assert len({body for _, body in hook.posted}) == 1 and len(hook.posted) == 3
    page.get_by_text("Replace the key").focus()
    portal.presses("Enter")
    looks_right_everywhere(portal)
    portal.console_said()
