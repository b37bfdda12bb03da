"""The page with the switch for downtime, in a real browser."""

from playwright.sync_api import expect

from tests.browser.portal import Portal
from tests.factories import Factory


def test_a_site_administrator_finds_the_switch_and_uses_it(portal: Portal, factory: Factory, quick_passwords: None):
    """OPS-30: reached from the account's menu, on a phone's screen as well, and while downtime is on."""
    factory.researcher("chief", is_site_admin=True)
    factory.study("Mood and movement"), factory.study("Sleep")
    portal.signs_in("chief")
    portal.page.get_by_role("button", name="Account of").click()
    portal.page.get_by_role("link", name="Downtime").click()
    portal.sees_heading("Downtime")
    portal.page.get_by_role("button", name="Turn downtime on").click()
    expect(portal.page.get_by_text("turned on by chief")).to_be_visible()
    portal.page.set_viewport_size({"width": 375, "height": 700})
    portal.has_no_sideways_scroll()
    portal.opens("/choose_study")
    portal.sees_heading("Not available at the moment")
    portal.console_said("503")
    portal.opens("/downtime")
    portal.page.get_by_role("button", name="Turn downtime off").click()
    expect(portal.page.get_by_text("Everybody is served again")).to_be_visible()
