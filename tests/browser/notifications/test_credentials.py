"""The page of push credentials, in a real browser."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.navigator import Portal
from tests.browser.surveys.test_surveys import looks_right
from tests.core.notifications.test_credentials import SERVICES
from tests.support.factories import Factory

pytestmark = pytest.mark.usefixtures("quick_passwords")


def test_a_file_is_refused_stored_and_removed(portal: Portal, factory: Factory, tmp_path: Path):
    """PORTAL-270."""
    factory.researcher("mlopez", is_site_admin=True)
    page = portal.page
    portal.signs_in("mlopez")
    page.get_by_role("button", name="Account of").click()
    page.get_by_role("link", name="Push credentials").click()
    portal.sees_heading("Push credentials")
    for size in ((375, "light"), (1280, "dark")):
        looks_right(portal, *size)
    file = tmp_path / "google-services.json"
    file.write_text("{}")
    page.get_by_label("google-services.json").set_input_files(file)
    page.get_by_role("button", name="Store Android app").click()
    expect(page.get_by_text("There is no project_info")).to_be_visible()
    file.write_text(json.dumps(SERVICES))
    page.get_by_label("google-services.json").set_input_files(file)
    page.get_by_role("button", name="Store Android app").click()
    expect(page.get_by_text("Android app: the file was stored.")).to_be_visible()
    for size in ((375, "dark"), (1280, "light")):
        looks_right(portal, *size)
    page.get_by_role("button", name="Remove Android app").click()
    expect(page.get_by_text("Android app: removed.")).to_be_visible()
    portal.console_said("422")
