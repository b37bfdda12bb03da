"""Studies in a real browser: create from a file, edit, import; by keyboard, without a violation that axe-core finds."""

import re

import pytest
from flask import Flask
from playwright.sync_api import expect

from tests.browser.navigator import Portal
from tests.support.factories import Factory
from tests.support.paths import VECTORS

pytestmark = pytest.mark.usefixtures("quick_passwords")
FILE = VECTORS / "surveys" / "export_current.json"


@pytest.fixture
def boss(app: Flask, factory: Factory, portal: Portal) -> Portal:
    factory.researcher("anna", is_site_admin=True)
    portal.signs_in("anna")
    portal.sees_heading("Studies")
    return portal


def test_a_study_is_created_from_a_file(boss: Portal):
    """PORTAL-80 to PORTAL-83: the zone begins at the browser's own."""
    page = boss.page
    boss.has_no_axe_violation()
    page.get_by_role("link", name="Create a study").first.click()
    boss.sees_heading("Create a study")
    expect(page.get_by_label("Time zone")).not_to_have_value("")
    boss.has_no_axe_violation()
    page.get_by_label("Name", exact=True).fill("Sleep & mood")
    page.get_by_role("radio", name="From a settings file").check()
    page.get_by_label("Settings file", exact=True).set_input_files(FILE)
    page.get_by_role("button", name="Create the study").click()
    expect(page.get_by_text("Sleep & mood was created.")).to_be_visible()
    expect(page.get_by_text(re.compile("surveys and .* came in"))).to_be_visible()


def test_a_study_is_starred_edited_and_stopped_by_keyboard(boss: Portal, factory: Factory):
    """PORTAL-72, PORTAL-90, PORTAL-95."""
    study, page = factory.study("Sleep"), boss.page
    boss.opens("/manage_studies")
    page.get_by_role("button", name="Star Sleep").focus()
    boss.presses("Enter")
    expect(page.get_by_role("button", name="Star Sleep")).to_have_attribute("aria-pressed", "true")
    boss.opens(f"/edit_study/{study.id}")
    boss.has_no_axe_violation()
    page.get_by_label("Time zone").select_option(value="Asia/Tokyo")
    page.get_by_role("button", name="Show what changes").click()
    page.get_by_role("button", name="Change it to Tokyo").click()
    expect(page.get_by_text("The time zone was changed.")).to_be_visible()
    page.locator("#stop_name").focus()
    page.keyboard.type("Sleep")
    boss.presses("Enter")
    expect(page.get_by_text("The study is stopped.")).to_be_visible()
    page.get_by_role("button", name="Reopen the study").click()
    expect(page.get_by_text("The study was reopened.")).to_be_visible()


def test_a_settings_file_is_previewed_and_imported(boss: Portal, factory: Factory):
    """SURVEY-53."""
    study, page = factory.study("Sleep"), boss.page
    boss.opens(f"/import_study_settings_file/{study.id}")
    page.get_by_label("Settings file").set_input_files(VECTORS / "surveys" / "export_bad.json")
    page.get_by_role("button", name="Show what it changes").click()
    expect(page.get_by_role("heading", name=re.compile("Nothing was imported"))).to_be_visible()
    boss.has_no_axe_violation()
    page.get_by_label("Settings file").set_input_files(FILE)
    page.get_by_role("button", name="Show what it changes").click()
    expect(page.get_by_role("heading", name="What would change")).to_be_visible()
    boss.has_no_axe_violation()
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text(re.compile("Imported: 3 surveys added"))).to_be_visible()
    boss.console_said("422")
