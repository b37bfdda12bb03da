"""Downloading data in a real browser (PORTAL-240 to PORTAL-242)."""

import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.database import db
from core.exports.standing import DIED, sole_builder
from core.models import Chunk, Export, Study
from core.streams import SPECS, DataStream
from tests.browser.navigator import Portal
from tests.core.processing.test_batch import HEADER, process, queue
from tests.support.exporting import build_exports
from tests.support.factories import Factory
from webapp.portal.downloads import views

pytestmark = pytest.mark.usefixtures("quick_passwords")
AT_MS = 1700002800000


@pytest.fixture
def study(factory: Factory) -> Study:
    study = factory.study("Sleep and movement")
    factory.researcher("anna", study=study)
    for patient_id in ("first111", "second11"):
        participant = factory.participant(study, patient_id)
        queue(factory, participant, f"accel/{AT_MS}.csv", HEADER + f"{AT_MS},3,1,1,1".encode())
    assert not process().failures
    return study


def photograph(portal: Portal, name: str) -> None:
    """Pictures at a telephone's and a laptop's width, light and dark, in the folder PICTURES where that is set."""
    folder = os.environ.get("PICTURES")
    for width in (375, 1280) if folder else ():
        portal.page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            portal.page.emulate_media(color_scheme=scheme)
            portal.page.screenshot(path=Path(str(folder)) / f"{name}-{width}-{scheme}.png", full_page=True)


def test_the_size_follows_the_choice_and_the_file_holds_it(portal: Portal, study: Study):
    """PORTAL-240, PORTAL-242."""
    portal.page.emulate_media(reduced_motion="reduce")
    portal.signs_in("anna")
    portal.page.get_by_role("navigation", name="Study").get_by_role("link", name="Data", exact=True).click()
    portal.sees_heading("Download data")
    size = portal.page.locator("#size")
    expect(size).to_contain_text("Participants with data")
    files = size.locator("div", has_text="Files").locator("dd")
    expect(files).to_have_text("2")
    portal.has_no_axe_violation()
    portal.page.get_by_role("checkbox", name="second11").focus()
    portal.presses("Space")
    expect(files).to_have_text("1")
    portal.page.get_by_label("From the hour of").fill("2023-11-14T18:00")
    expect(size).to_contain_text("2023-11-14 23:00 UTC")
    photograph(portal, "downloads")
    with portal.page.expect_download() as download:
        portal.page.get_by_role("button", name="Download").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == ["second11/accelerometer/2023-11-14 23_00_00+00_00.csv"]
    assert download.value.suggested_filename.startswith("Sleep and movement 2")
    portal.page.get_by_role("checkbox", name="GPS").check()
    expect(size).to_contain_text("Nothing matches")


def test_a_wrong_range_is_told_at_its_field(portal: Portal, study: Study):
    """PORTAL-5, PORTAL-241: what was typed stays."""
    portal.signs_in("anna")
    portal.opens(f"/data_access_web_form/{study.id}")
    portal.page.get_by_label("From the hour of").fill("2024-01-02T00:00")
    portal.page.get_by_label("To the hour of").fill("2024-01-01T00:00")
    expect(portal.page.locator("#size")).to_contain_text("The end is before the start.")
    portal.page.get_by_role("button", name="Download").click()
    expect(portal.page.locator("#end-error")).to_have_text("The end is before the start.")
    expect(portal.page.get_by_label("From the hour of")).to_have_value("2024-01-02T00:00")
    portal.console_said("422")


def test_the_size_of_a_large_study_comes_after_its_form(portal: Portal, study: Study, monkeypatch: pytest.MonkeyPatch):
    """PORTAL-242: ids are typed there."""
    monkeypatch.setattr(views, "MOST_LISTED", 1)
    portal.signs_in("anna")
    portal.opens(f"/data_access_web_form/{study.id}")
    files = portal.page.locator("#size div", has_text="Files").locator("dd")
    expect(files).to_have_text("2")
    portal.page.get_by_label("Ids").fill("second11")
    expect(files).to_have_text("1")
    portal.has_no_axe_violation()


def test_the_page_fits_a_small_screen_with_many_participants(portal: Portal, study: Study, factory: Factory):
    """PORTAL-10: no sideways scroll; all streams can be reached."""
    for n in range(30):
        factory.participant(study, f"many{n + 11}".replace("0", "a"))
    chunk = {"study_id": study.id, "stream": SPECS[DataStream.GPS].number, "time_bin": datetime.now(UTC)}
    first = db.session.scalar(db.text("SELECT id FROM participants ORDER BY id LIMIT 1"))
    db.session.add(Chunk(participant_id=first, size_bytes=None, path="x", **chunk))
    db.session.commit()
    portal.signs_in("anna")
    for width in (375, 1280, 2560):
        portal.page.set_viewport_size({"width": width, "height": 900})
        portal.opens(f"/data_access_web_form/{study.id}")
        expect(portal.page.locator("#size")).to_contain_text("1 file of unknown size")
        portal.has_no_sideways_scroll()
    portal.has_no_axe_violation()


def test_an_export_shows_its_progress_and_then_its_file(portal: Portal, study: Study):
    """PORTAL-242, CLAR-74: the list follows by itself; nothing polls when all are done."""
    portal.page.emulate_media(reduced_motion="reduce")
    portal.signs_in("anna")
    portal.opens(f"/data_access_web_form/{study.id}")
    portal.page.get_by_role("link", name="Exports").click()
    portal.sees_heading("Exports")
    expect(portal.page.get_by_role("heading", name="No exports")).to_be_visible()
    portal.has_no_axe_violation()
    photograph(portal, "exports-none")
    portal.page.go_back()
    portal.page.get_by_role("radio", name="Parquet tables").focus()
    portal.presses("Space")
    photograph(portal, "prepare")
    portal.page.get_by_role("button", name="Prepare in the background").focus()
    portal.presses("Enter")
    portal.sees_heading("Exports")
    first = portal.page.locator(".export").first
    expect(first).to_contain_text("Waiting")
    portal.has_no_axe_violation()
    working = {"state": "running", "files_total": 2, "files_done": 1, "bytes_done": 12_345}
    with sole_builder(db.engine):
        db.session.execute(db.update(Export).values(working))
        db.session.commit()
        expect(first).to_contain_text("1 of 2 files, 12.3 kB written")
        portal.has_no_axe_violation()
        photograph(portal, "exports-working")
        db.session.execute(db.update(Export).values(state="queued"))
        db.session.commit()
    build_exports()
    ready = first.get_by_role("link", name="Download Sleep and movement tables")
    expect(ready).to_be_visible()
    assert portal.page.locator("#exports").get_attribute("data-poll") is None
    for state, reason in (("failed", DIED), ("cancelled", None), ("expired", None)):
        one = {"study_id": study.id, "asked_by": "berta", "kind": "streams", "form": "csv", "choice": {}}
        db.session.add(Export(state=state, reason=reason, file_name=f"Sleep and movement {state}.zip", **one))
    db.session.commit()
    portal.page.reload()
    portal.has_no_axe_violation()
    photograph(portal, "exports")
    for width in (375, 1280):
        portal.page.set_viewport_size({"width": width, "height": 900})
        portal.has_no_sideways_scroll()
    with portal.page.expect_download() as download:
        portal.page.get_by_role("link", name="Download Sleep and movement tables").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert "accelerometer/participant=first111/day=2023-11-14/data.parquet" in archive.namelist()
    portal.page.get_by_role("button", name="Run again: Sleep and movement failed.zip").click()
    expect(portal.page.locator(".export", has_text="failed.zip")).to_contain_text("Waiting")
    portal.page.get_by_role("button", name="Cancel: Sleep and movement failed.zip").click()
    expect(portal.page.locator(".export", has_text="failed.zip")).to_contain_text("Cancelled")
