"""The first day of a study: from a settings file to a purge, with a simulated phone that registers and uploads."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from playwright.sync_api import expect

from core.config import get_settings
from core.database import db
from core.participants.purging import PAUSE, purge_next
from core.processing.claims import Scope
from core.processing.run import process_everything
from ops.phones import Phone, Platform, Transport
from tests.browser.navigator import AddingPage, ParticipantPage, Portal
from tests.browser.settings.navigator import AppSettingsPage
from tests.support.factories import Factory
from tests.support.paths import VECTORS
from tests.walk.album import FOLDER, Album
from webapp.stores import object_store

SETTINGS_FILE = VECTORS / "surveys" / "export_current.json"
NAME = "Mood and movement after discharge"
ZONE = ZoneInfo("America/New_York")
pytestmark = pytest.mark.usefixtures("quick_passwords")


def test_a_first_day(app: Flask, factory: Factory, portal: Portal) -> None:
    """Each step checks what the page says, so that no picture shows an error."""
    factory.researcher("mlopez", is_site_admin=True)
    portal.page.set_viewport_size({"width": 1280, "height": 900})
    portal.page.set_default_timeout(60_000)
    album = Album(portal)
    portal.signs_in("mlopez")
    portal.sees_heading("Studies")
    creates_study(album)
    adding = adds_fifty_with_sheets(album)
    patient_id, password = adding.adds_one()
    album.takes("One more participant is added; the password is shown once.")
    phone = Phone(patient_id, password, Platform.ANDROID, Transport(portal.server))
    phone.register()
    assert phone.is_registered, phone.problems
    phone.update_settings()
    changes_a_setting(album, phone)
    uploads(album, phone)
    withdraws(album, patient_id)
    purges(album, last_in_the_list(portal))
    album.is_written("A first day")


def creates_study(album: Album) -> None:
    page = album.portal.page
    page.get_by_role("link", name="Create a study").first.click()
    album.portal.sees_heading("Create a study")
    page.get_by_label("Name", exact=True).fill(NAME)
    page.get_by_label("Time zone").select_option(value=ZONE.key)
    page.get_by_role("radio", name="From a settings file").check()
    page.get_by_label("Settings file", exact=True).set_input_files(SETTINGS_FILE)
    album.takes("A study is created from a settings file.")
    page.get_by_role("button", name="Create the study").click()
    expect(page.get_by_text(re.compile("surveys and .* came in"))).to_be_visible()
    album.takes("Its surveys, settings and interventions came in.")


def adds_fifty_with_sheets(album: Album) -> AddingPage:
    """Fifty at once, with a sheet for each; the sheets are saved as they are printed, too."""
    page = album.portal.page
    album.portal.opens_participants()
    album.takes("Nobody takes part yet.")
    page.get_by_role("main").get_by_role("link", name="Add participants").first.click()
    page.get_by_label("How many").fill("50")
    album.takes("Fifty participants are added.")
    page.get_by_role("button", name="Add and print sheets").click()
    expect(page.get_by_role("heading", name="Enrolment sheets", level=1)).to_be_visible(timeout=60_000)  # key pairs
    expect(page.locator(".print-sheet")).to_have_count(50)
    page.pdf(path=FOLDER / "sheets.pdf", format="A4")
    page.screenshot(path=FOLDER / "sheets.png")
    album.portal.opens_participants().says("50")
    album.takes("They are in the list.")
    page.get_by_role("main").get_by_role("link", name="Add participants").first.click()
    return AddingPage(album.portal)


def changes_a_setting(album: Album, phone: Phone) -> None:
    page = album.portal.page
    page.get_by_role("navigation", name="Study").get_by_role("link", name="App settings").click()
    settings = AppSettingsPage(album.portal)
    settings.types("GPS: on for", "300")
    settings.previews("1 change to save")
    album.takes("GPS is to be on for longer; the preview follows the form.")
    settings.saves()
    settings.says("0 of 1 phone")
    settings.opens("Rollout")
    album.portal.sees_heading("Rollout of app settings")
    album.takes("The phone has not fetched the change yet.")
    assert phone.update_settings().status == 200
    page.reload()
    expect(page.get_by_role("main")).to_contain_text("1 of 1")
    album.takes("The phone has fetched it.")


def uploads(album: Album, phone: Phone) -> None:
    now = datetime.now(UTC)
    for hours in range(1, 6):
        start = int((now - timedelta(hours=hours)).timestamp() * 1000)
        for alias in ("gps", "accel"):
            phone.collect(alias, start, start + 600_000)
    assert {answer.status for answer in phone.upload_round()} == {200}
    process_everything(db.engine, object_store(), get_settings(), Scope())
    album.portal.opens_participants().opens_participant(phone.patient_id)
    album.takes("What the phone has uploaded, by stream and day.")


def withdraws(album: Album, patient_id: str) -> None:
    page = album.portal.page
    participant = ParticipantPage(album.portal, patient_id)
    page.get_by_role("link", name="Manage").click()
    page.get_by_role("radio", name="Withdrawn").check()
    page.get_by_label("Reason of a withdrawal").select_option(label="Own wish")
    page.get_by_label("Last day").fill(datetime.now(ZONE).date().isoformat())
    page.get_by_role("button", name="Record it").click()
    participant.says("Uploads are taken for 14 days more.")
    album.takes("The participant withdraws, with a reason and a last day.")
    page.get_by_role("navigation", name="Study").get_by_role("link", name="Overview").click()
    expect(page.get_by_role("main")).to_contain_text("Withdr")
    album.takes("The study's page counts it.")


def last_in_the_list(portal: Portal) -> str:
    """The id of some other participant, the last of the list."""
    portal.opens_participants()
    return portal.page.locator("#list tbody tr").last.locator("a").first.inner_text()


def purges(album: Album, patient_id: str) -> None:
    """The purge begins after half an hour; here it is run as if that had passed."""
    page = album.portal.page
    album.portal.opens_participants().opens_participant(patient_id)
    page.get_by_role("link", name="Manage").click()
    page.get_by_role("link", name="Delete all data").click()
    page.get_by_label(f"Type {patient_id} to go on").fill(patient_id)
    album.takes("All data of another participant is to be deleted; the id is typed to confirm.")
    page.get_by_role("button", name="Delete all data").click()
    expect(page.get_by_role("heading", name="Deleting all data")).to_be_visible()
    album.takes("For half an hour it can be taken back.")
    assert purge_next(db.engine, object_store(), datetime.now(UTC) + PAUSE + timedelta(minutes=1))
    page.reload()
    expect(page.get_by_role("heading", name="Certificate of deletion")).to_be_visible()
    album.takes("The certificate says what was deleted.")
