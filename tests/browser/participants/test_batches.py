"""A large batch of participants, and lines that tell of errors, in a real browser."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Route, expect

from core.database import db
from core.participants import batches
from core.participants.batches import make_next
from core.processing.claims import Scope
from core.processing.run import process_everything
from tests.browser.navigator import Portal
from tests.core.processing.test_batch import HEADER, queue
from tests.support.factories import Factory
from webapp.stores import object_store, settings


def photograph(portal: Portal, name: str) -> None:
    """Pictures at a telephone's and a laptop's width, light and dark, in the folder PICTURES where that is set."""
    folder = os.environ.get("PICTURES")
    for width in (375, 1280) if folder else ():
        portal.page.set_viewport_size({"width": width, "height": 900})
        portal.page.emulate_media(color_scheme="light")
        portal.page.screenshot(path=Path(str(folder)) / f"{name}-{width}-light.png", full_page=True)
        portal.page.emulate_media(color_scheme="dark")
        portal.page.screenshot(path=Path(str(folder)) / f"{name}-{width}-dark.png", full_page=True)


def test_a_large_batch_shows_its_progress_and_offers_its_file_when_it_is_done(
    portal: Portal, factory: Factory, quick_passwords: None, app: Flask, monkeypatch: pytest.MonkeyPatch
):
    """CLAR-32, PORTAL-122: the fragment polls until then, and stops afterwards."""
    monkeypatch.setattr(batches, "MADE_AT_ONCE", 26)
    study = factory.study("Sleep and movement")
    factory.researcher("anna", study=study)
    portal.signs_in("anna")
    portal.opens_participants()
    portal.opens(f"/view_study/{study.id}/add_participants")
    portal.page.get_by_label("How many").fill("52")
    portal.page.get_by_role("button", name="Add and download CSV").click()
    portal.sees_heading("Batch 1")
    main = portal.page.get_by_role("main")
    expect(main).to_contain_text("0 of 52 participants made")
    photograph(portal, "batch-waits")
    portal.page.set_viewport_size({"width": 375, "height": 700})
    portal.has_no_sideways_scroll()
    make_next(db.engine, object_store(), settings())
    expect(main).to_contain_text("26 of 52 participants made")
    expect(portal.page.get_by_role("progressbar")).to_have_attribute("value", "26")
    photograph(portal, "batch-works")
    make_next(db.engine, object_store(), settings())
    expect(main).to_contain_text("52 participants were made")
    expect(portal.page.locator("[data-poll]")).to_have_count(0)
    with portal.page.expect_download() as download:
        portal.page.get_by_role("button", name="Make passwords and download CSV").click()
    assert len(download.value.path().read_text().splitlines()) == 53
    photograph(portal, "batch-done")
    portal.opens(f"/view_study/{study.id}/add_participants")
    expect(portal.page.get_by_role("list", name="Batches")).to_contain_text("52 participants")
    photograph(portal, "adding")


def test_a_line_that_tells_of_an_error_goes_with_the_next_success(
    portal: Portal, factory: Factory, quick_passwords: None
):
    """OPS-34: its error belongs to an earlier request."""
    study = factory.study()
    factory.researcher("anna", study=study)
    portal.signs_in("anna")
    portal.opens_participants()
    portal.opens(f"/view_study/{study.id}/add_participants")
    portal.sees_heading("Add participants")
    failing = [True]

    def answer(route: Route) -> None:
        if failing:
            route.fulfill(
                status=500,
                content_type="text/html",
                body="<p>Something broke here</p>",
                headers={"HX-Retarget": "#problem", "HX-Reswap": "innerHTML"},
            )
        else:
            route.continue_()

    portal.page.route("**/create_new_participant", answer)
    portal.page.get_by_role("button", name="Add a participant").click()
    expect(portal.page.locator("#problem")).to_contain_text("Something broke here")
    portal.console_said("500")
    failing.clear()
    portal.page.get_by_role("button", name="Add a participant").click()
    expect(portal.page.locator(".handout")).to_have_count(1)
    expect(portal.page.locator("#problem")).to_be_empty()


def test_a_participant_whose_files_wait_is_not_shown_as_missing(
    portal: Portal, factory: Factory, quick_passwords: None
):
    """PORTAL-130: until processing has run once, nothing counts as missing; afterwards the page updates itself."""
    study = factory.study()
    participant = factory.participant(study)
    participant.activity.first_registered_at = datetime.now(UTC) - timedelta(days=9)
    db.session.commit()
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    queue(factory, participant, f"accel/{now_ms}.csv", HEADER + f"{now_ms},3,1,1,1".encode())
    factory.researcher("anna", study=study)
    portal.signs_in("anna")
    portal.opens_participants()
    portal.opens(f"/view_study/{study.id}/participant/{participant.patient_id}")
    expect(portal.page.get_by_role("heading", name="Waiting for the first processing run")).to_be_visible()
    expect(portal.page.locator(".cell.gap")).to_have_count(0)
    photograph(portal, "waits-for-first-run")
    process_everything(db.engine, object_store(), settings(), Scope())
    portal.page.locator("[data-poll]").dispatch_event("poll")
    expect(portal.page.get_by_role("heading", name="Four weeks")).to_be_visible()
