"""App settings in a real browser: a change from the form to its rollout, by mouse and by keyboard."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from core.access import Role
from core.audit import COMMAND_LINE
from core.database import db
from core.models import Study
from core.participants.consents import record_consent_sent
from core.studies.settings_changes import save_app_settings
from tests.browser.navigator import Portal
from tests.browser.settings.navigator import AppSettingsPage
from tests.support.factories import Factory

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(factory: Factory) -> Study:
    """With two phones: one has the settings, one has been silent for days."""
    study = factory.study("Sleep and movement")
    factory.researcher("anna", study=study, role=Role.STUDY_ADMIN)
    now = datetime.now(UTC)
    save_app_settings(db.session(), study, {"gps_on_duration_seconds": 90}, now, actor=COMMAND_LINE)
    for patient_id, days in (("heard111", 0), ("silent11", 3)):
        participant = factory.participant(study, patient_id)
        participant.activity.last_settings_at = now - timedelta(days=days) + timedelta(seconds=days == 0)
        record_consent_sent(db.session(), participant, now)
    db.session.commit()
    return study


def opened(portal: Portal) -> AppSettingsPage:
    portal.page.emulate_media(reduced_motion="reduce")  # colours are measured at once, not half-way of a transition
    portal.signs_in("anna")
    portal.page.get_by_role("navigation", name="Study").get_by_role("link", name="App settings").click()
    return AppSettingsPage(portal)


def photograph(portal: Portal, name: str) -> None:
    """Pictures at a telephone's and a laptop's width, light and dark, in the folder PICTURES where that is set."""
    folder = os.environ.get("PICTURES")
    size = portal.page.viewport_size
    for width in (375, 1280) if folder else ():
        portal.page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            portal.page.emulate_media(color_scheme=scheme)
            portal.page.screenshot(path=Path(str(folder)) / f"{name}-{width}-{scheme}.png", full_page=True)
    portal.page.emulate_media(color_scheme="light")
    if size:
        portal.page.set_viewport_size(size)


def test_a_change_is_previewed_saved_and_followed_to_the_phones(portal: Portal, study: Study):
    """SURVEY-40 to SURVEY-43, CLAR-31, CLAR-34: the preview follows the form before anything is saved."""
    settings = opened(portal)
    settings.says("1 of 2 phones")
    portal.has_no_axe_violation()
    photograph(portal, "form")
    settings.previews("On 90 s of every 690 s")
    settings.types("GPS: on for", "900")
    settings.previews("On 900 s of every 1,500 s: 60.0 % of the day")
    settings.previews("1 change to save")
    settings.previews("because of GPS")
    settings.ticks("Shift positions")
    settings.previews("cannot be compared")
    settings.writes_section("Privacy", "Kept safe")
    expect(portal.page.locator("#consent-preview")).to_contain_text("Kept safe")
    photograph(portal, "preview")
    portal.has_no_axe_violation()
    settings.saves()
    settings.says("Changed: Shift positions, GPS: on for, Consent section “Privacy”.")
    settings.says("0 of 2 phones")
    settings.opens("Rollout")
    portal.sees_heading("Rollout of app settings")
    portal.has_no_axe_violation()
    photograph(portal, "rollout")
    portal.page.go_back()
    settings.opens("History")
    portal.sees_heading("History of app settings")
    expect(portal.page.get_by_role("main")).to_contain_text("3 settings changed by anna")
    portal.has_no_axe_violation()
    photograph(portal, "history")
    portal.page.get_by_role("link", name="Settings from then on").first.click()
    expect(portal.page.get_by_role("main")).to_contain_text("They hold today.")
    portal.has_no_axe_violation()
    photograph(portal, "version")
    portal.opens(f"/device_settings/{study.id}/consent")
    portal.has_no_axe_violation()
    photograph(portal, "consents")
    portal.page.get_by_role("link", name="Version 2").click()
    expect(portal.page.locator("ins")).to_have_text("Kept safe")
    portal.has_no_axe_violation()
    photograph(portal, "consent")


def test_a_wrong_number_is_told_at_its_field_and_the_default_is_one_key_away(portal: Portal, study: Study):
    """SURVEY-42: by keyboard; what was typed stays."""
    settings = opened(portal)
    settings.types("Send the message after", "20")
    settings.types("About page", "Written anew")
    settings.page.get_by_role("button", name="Save app settings").focus()
    portal.presses("Enter")
    settings.says("Nothing was saved: 1 setting cannot be as typed.")
    portal.console_said("422")
    expect(portal.focused).to_contain_text("Nothing was saved")
    portal.has_no_axe_violation()
    photograph(portal, "wrong")
    portal.page.get_by_role("link", name="Send the message after").click()
    expect(settings.page.get_by_label("About page")).to_have_value("Written anew")
    mark = settings.default_of("heartbeat_timer_minutes")
    expect(mark).to_contain_text("Default: 60 minutes")
    mark.get_by_role("button").focus()
    portal.presses("Enter")
    expect(settings.page.get_by_label("Send the message after")).to_have_value("60")
    expect(mark).to_be_hidden()
    expect(portal.focused).to_have_attribute("name", "heartbeat_timer_minutes")
    settings.saves()
    settings.says("Changed: About page.")


def test_the_pages_fit_a_small_screen(portal: Portal, study: Study):
    """PORTAL-10: no sideways scroll from 375 to 2,560 pixels."""
    opened(portal)
    for width in (375, 768, 1280, 2560):
        portal.page.set_viewport_size({"width": width, "height": 900})
        for path in ("", "/history", "/rollout", "/consent", "/consent/1"):
            portal.opens(f"/device_settings/{study.id}{path}")
            portal.has_no_sideways_scroll()


def test_without_javascript_a_button_shows_the_preview_and_saving_works(
    chromium, assets: None, server: str, study: Study
):
    """SURVEY-42, SURVEY-43: real forms underneath."""
    context: BrowserContext = chromium.new_context(java_script_enabled=False)
    context.set_default_timeout(10_000)
    try:
        portal = Portal(context.new_page(), server)
        portal.signs_in("anna")
        portal.opens(f"/device_settings/{study.id}")
        page = portal.page
        page.get_by_label("GPS: on for", exact=True).fill("900")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#preview")).to_contain_text("On 900 s of every 1,500 s")
        expect(page.get_by_label("GPS: on for", exact=True)).to_have_value("900")
        page.get_by_role("button", name="Save app settings").click()
        expect(page.get_by_role("main")).to_contain_text("Changed: GPS: on for.")
    finally:
        context.close()
