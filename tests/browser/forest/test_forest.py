"""Forest's pages in a real browser: analyses queued in bulk, watched, cancelled, and switched on for nights."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask import Flask
from playwright.sync_api import expect

from core.audit import COMMAND_LINE
from core.database import db
from core.forest.tasks import claim_next
from core.models import ForestTask, Study
from core.studies.changing import set_forest
from tests.browser.navigator import Portal
from tests.browser.surveys.test_surveys import looks_right
from tests.support.factories import Factory

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    """Forest is on; of four participants one is of the study team."""
    study = factory.study("Mood and movement")
    factory.researcher("head", is_site_admin=True)
    for number in range(4):
        factory.participant(study, is_test=number == 3)
    set_forest(db.session(), study, True, actor=COMMAND_LINE)
    db.session.commit()
    return study


def test_analyses_are_queued_in_bulk_watched_and_cancelled(portal: Portal, study: Study):
    """PORTAL-250 to PORTAL-252, FOREST-21, CLAR-81."""
    page = portal.page
    portal.signs_in("head")
    portal.opens(f"/studies/{study.id}/forest/tasks")
    looks_right(portal, 375, "dark")
    page.get_by_role("link", name="Queue the first analyses").focus()
    portal.presses("Enter")
    portal.sees_heading("Queue analyses")
    for name, day in (("First day", "2026-03-02"), ("Last day", "2026-03-08")):
        page.get_by_label(name).fill(day)
    page.get_by_role("button", name="Queue them").focus()
    portal.presses("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    for name in ("Jasmine", "Willow", "All participants"):
        page.get_by_label(name).focus()
        portal.presses("Space")
    for size in ((375, "light"), (1280, "dark")):
        looks_right(portal, *size)
    page.get_by_role("button", name="Queue them").focus()
    portal.presses("Enter")
    expect(page.get_by_text("6 tasks queued.")).to_be_visible()
    portal.sees_heading("Forest")
    tasks = page.get_by_role("table", name="Forest tasks")
    expect(tasks.get_by_text("Queued", exact=True)).to_have_count(7)  # a column has the word as well

    claimed = db.session.get_one(ForestTask, claim_next(db.engine, datetime.now(UTC)))
    claimed.progress = "fetching data: 3 of 9 files"
    db.session.commit()
    page.locator("[data-poll]").dispatch_event("poll")
    expect(tasks.get_by_text("fetching data: 3 of 9 files")).to_be_visible()
    for size in ((375, "dark"), (1280, "light")):
        looks_right(portal, *size)

    tasks.get_by_role("button", name="Cancel").first.focus()
    portal.presses("Enter")
    expect(page.get_by_text("The task was cancelled.")).to_be_visible()
    expect(tasks.get_by_text("Cancelled")).to_have_count(1)
    long = "\n".join(["Notes", "fv2abcde/gps/2026-03-02 14_00_00+00_00.csv: " + "a long line " * 20])
    db.session.execute(sa.update(ForestTask).values(report=long, trace=long))
    db.session.commit()
    tasks.get_by_role("link", name="Willow of").first.focus()
    portal.presses("Enter")
    expect(page.get_by_text("a long line")).to_have_count(2)
    for width in (375, 320):
        looks_right(portal, width, "light")

    page.get_by_role("link", name="Forest", exact=True).first.click()
    page.get_by_role("link", name="Nightly").focus()
    portal.presses("Enter")
    portal.sees_heading("Nightly analyses")
    page.get_by_role("button", name="Switch on").focus()
    portal.presses("Enter")
    expect(page.get_by_role("button", name="Switch off")).to_be_visible()
    for size in ((375, "dark"), (1280, "light")):
        looks_right(portal, *size)
    db.session.expire_all()
    assert study.has_nightly_forest
