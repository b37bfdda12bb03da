"""The page with the switch for downtime, in a real browser."""

from flask import Flask
from playwright.sync_api import expect

from core.audit import SERVER
from core.database import db
from core.models import SwitchName
from core.operations.switches import turn_on
from tests.browser.navigator import Portal
from tests.support.factories import Factory


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
    portal.page.get_by_role("link", name="To the switch for downtime").click()
    portal.sees_heading("Downtime")
    portal.page.get_by_role("button", name="Turn downtime off").click()
    expect(portal.page.get_by_text("Everybody is served again")).to_be_visible()


def test_during_downtime_signing_in_leads_to_the_switch_and_others_are_told(
    portal: Portal, factory: Factory, quick_passwords: None, app: Flask
):
    """OPS-30: the sign-in page is served; what it leads to is served too, or says clearly that it is not."""
    factory.researcher("chief", is_site_admin=True)
    factory.researcher("mlopez", study=factory.study())
    turn_on(db.session(), SwitchName.DOWNTIME, actor=SERVER)
    db.session.commit()
    app.extensions["beiwe_downtime"].forget()
    portal.opens("/choose_study")
    portal.console_said("503")
    portal.page.get_by_role("link", name="Sign in as site administrator").click()
    portal.signs_in("mlopez")
    portal.sees_heading("Not available at the moment")
    expect(portal.page.get_by_text("This site is being worked on")).to_be_visible()
    expect(portal.page.get_by_role("link", name="Try again")).to_be_visible()
    portal.console_said("503")
    portal.page.context.clear_cookies()
    portal.opens("/")
    portal.signs_in("chief")
    portal.sees_heading("Downtime")
    portal.page.get_by_role("button", name="Turn downtime off").click()
    expect(portal.page.get_by_role("heading", name="Everybody is served")).to_be_visible()
