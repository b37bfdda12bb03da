"""Signing in with a second factor, and the account's page, in a real Chromium with a virtual authenticator."""

import re
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from playwright.sync_api import Page, expect

from core.access import Role
from core.database import db
from core.models import Intervention, Passkey, PortalSession, Researcher, Study
from tests.browser.navigator import Portal
from tests.support.factories import RESEARCHER_PASSWORD, Factory

TO_OTHER_TABS = "new BroadcastChannel('session')"
pytestmark = pytest.mark.usefixtures("quick_passwords")


class AccountPage:
    """The account's page."""

    def __init__(self, portal: Portal) -> None:
        self.portal, self.page = portal, portal.page

    def opens(self) -> None:
        self.page.get_by_role("button", name="Account of").click()
        self.page.get_by_role("navigation", name="Account").get_by_role("link", name="Account", exact=True).click()
        self.portal.sees_heading("Account")

    def unfolds(self, text: str) -> None:
        self.page.locator("details:not([open]) > summary", has_text=text).click()

    def sets_app_up(self) -> str:
        """Scans the code, as far as a test can; returns the secret."""
        self.page.locator("#app-own-password").fill(RESEARCHER_PASSWORD)
        self.page.get_by_role("button", name="Show the code to scan").click()
        secret = self.page.locator(".secret").inner_text()
        self.page.get_by_label("Code", exact=True).fill(pyotp.TOTP(secret).now())
        self.page.get_by_role("button", name="Confirm").click()
        self.portal.sees_heading("Recovery codes")
        return secret

    def adds_passkey(self, name: str) -> None:
        self.unfolds("Add a passkey")
        self.page.get_by_label("Name", exact=True).fill(name)
        self.page.locator("#new-passkey-own-password").fill(RESEARCHER_PASSWORD)
        self.page.get_by_role("button", name="Add it").click()


def with_authenticator(page: Page) -> None:
    """Gives the browser a device that makes passkeys and always says yes."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Mood and movement")


@pytest.fixture
def researcher(factory: Factory, study: Study) -> Researcher:
    return factory.researcher("mlopez", study=study, role=Role.STUDY_ADMIN)


@pytest.fixture
def account(portal: Portal, researcher: Researcher) -> AccountPage:
    """The page of somebody who has just signed in under the server's name; passkeys need one."""
    portal.server = portal.server.replace("127.0.0.1", "localhost")
    portal.signs_in("mlopez")
    account = AccountPage(portal)
    account.opens()
    return account


def test_an_app_is_set_up_and_asked_for(account: AccountPage):
    """PORTAL-50, PORTAL-54."""
    portal, page = account.portal, account.page
    secret = account.sets_app_up()
    codes = page.locator(".codes li").all_inner_texts()
    assert len(codes) == 10
    portal.has_no_axe_violation()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("10 codes left")).to_be_visible()
    portal.signs_out()
    portal.signs_in("mlopez")
    expect(page.get_by_text("do not match an account that can sign in")).to_be_visible()
    page.get_by_label("Code, if you use one").fill(pyotp.TOTP(secret).at(datetime.now(UTC) + timedelta(seconds=30)))
    portal.signs_in("mlopez")
    portal.sees_heading("Mood and movement")


def test_a_passkey_is_added_used_and_removed(account: AccountPage):
    """PORTAL-54: a passkey stands in for the code; the second one is told apart by its name."""
    portal, page = account.portal, account.page
    with_authenticator(page)
    account.adds_passkey("work laptop")
    portal.sees_heading("Recovery codes")
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("strong").filter(has_text="work laptop")).to_be_visible()
    account.adds_passkey("same device")
    expect(page.get_by_text("has a passkey of this account already")).to_be_visible()
    portal.signs_out()
    page.get_by_label("User name").fill("mlopez")
    page.get_by_label("Password").fill(RESEARCHER_PASSWORD)
    page.get_by_role("button", name="Use a passkey").click()
    portal.sees_heading("Mood and movement")
    db.session.expire_all()
    assert db.session.scalars(db.select(Passkey)).one().last_used_at is not None
    account.opens()
    account.unfolds("Remove work laptop")
    page.locator("[id^=passkey-][id$=own-password]").fill(RESEARCHER_PASSWORD)
    page.locator("form", has=page.get_by_role("button", name="Remove it")).get_by_role(
        "button", name="Use a passkey instead"
    ).click()
    expect(page.get_by_text("The passkey was removed.")).to_be_visible()


def test_a_passkey_with_a_wrong_password_opens_nothing(account: AccountPage):
    """PORTAL-50: one answer to everything wrong; the passkey is good for the next try."""
    portal, page = account.portal, account.page
    with_authenticator(page)
    account.adds_passkey("work laptop")
    portal.sees_heading("Recovery codes")
    portal.signs_out()
    for password, is_right in (("wrong", False), (RESEARCHER_PASSWORD, True)):
        page.get_by_label("User name").fill("mlopez")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Use a passkey").click()
        if not is_right:
            expect(page.get_by_text("do not match an account that can sign in")).to_be_visible()
    portal.sees_heading("Mood and movement")


def test_the_strength_of_a_password_follows_the_typing(account: AccountPage):
    """PORTAL-40, PORTAL-60."""
    page = account.page
    page.get_by_label("New password", exact=True).press_sequentially("Password1!", delay=5)
    expect(page.locator("#strength")).to_contain_text("Weak")
    page.get_by_label("New password", exact=True).fill("Correct horse 1! battery")
    expect(page.locator("#strength .kept")).to_have_count(6)
    account.portal.has_no_axe_violation()


def test_the_page_holds_on_a_phone_and_in_the_dark(account: AccountPage):
    page, portal = account.page, account.portal
    page.get_by_label("Name of a new key").fill("nightly job")
    page.get_by_role("button", name="Make a key").click()
    portal.sees_heading("New API key")
    portal.has_no_axe_violation()
    account.opens()
    page.get_by_label("Dark").check()
    page.get_by_role("button", name="Use these colours").click()
    expect(page.locator("html")).to_have_attribute("data-appearance", "dark")
    portal.has_no_axe_violation()
    page.set_viewport_size({"width": 375, "height": 700})
    portal.has_no_sideways_scroll()
    portal.has_no_axe_violation()


@pytest.mark.parametrize("is_remembered", [True, False])
def test_a_form_outlasts_the_session(portal: Portal, study: Study, researcher: Researcher, is_remembered: bool):
    """CLAR-24: kept in the tab, filled in again after signing in, sent only by the person."""
    page = portal.page
    portal.signs_in("mlopez")
    portal.opens(f"/edit_study/{study.id}")
    page.locator("#new_study_name").fill("Mood, movement and sleep")
    end_sessions()
    page.get_by_role("button", name="Rename").click()
    portal.sees_heading("Sign in")
    expect(page.get_by_text("What you typed is kept in this tab")).to_be_visible()
    if not is_remembered:  # sign-in leads elsewhere then
        db.session.execute(db.update(Researcher).values(last_page=None))
        db.session.commit()
    portal.signs_in("mlopez")
    if not is_remembered:
        page.get_by_role("link", name="Go back to what you typed").click()
    expect(page.get_by_text("What you typed is in the form again")).to_be_visible()
    expect(page.locator("#new_study_name")).to_have_value("Mood, movement and sleep")
    db.session.expire_all()
    assert db.session.get_one(Study, study.id).name == "Mood and movement"
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_text("The study was renamed.")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_kept_form_is_for_the_same_person_only(
    portal: Portal, study: Study, researcher: Researcher, factory: Factory
):
    """CLAR-24: two people in one browser."""
    factory.researcher("other", study=study, role=Role.STUDY_ADMIN)
    page = portal.page
    portal.signs_in("mlopez")
    portal.opens(f"/edit_study/{study.id}")
    page.locator("#new_study_name").fill("Secret plan")
    end_sessions()
    page.get_by_role("button", name="Rename").click()
    portal.sees_heading("Sign in")
    portal.signs_in("other")
    portal.sees_heading("Mood and movement")
    portal.opens(f"/edit_study/{study.id}")
    expect(page.locator("#new_study_name")).to_have_value("Mood and movement")
    assert page.evaluate("sessionStorage.length") == 0


def test_a_kept_form_goes_to_its_own_row(portal: Portal, study: Study, researcher: Researcher):
    """CLAR-24: forms of a list share an address; what was typed never lands in another row's form."""
    for name in ("Discharge", "Visit"):
        db.session.add(Intervention(study_id=study.id, name=name))
    db.session.commit()
    page = portal.page
    portal.signs_in("mlopez")

    def is_interrupted() -> None:
        portal.opens(f"/interventions/{study.id}")
        page.get_by_label("Name of Visit").fill("Second visit")
        end_sessions()
        page.locator("form", has=page.get_by_label("Name of Visit")).get_by_role("button", name="Rename").click()
        portal.sees_heading("Sign in")

    is_interrupted()
    portal.signs_in("mlopez")
    expect(page.get_by_text("What you typed is in the form again")).to_be_visible()
    expect(page.get_by_label("Name of Visit")).to_have_value("Second visit")
    expect(page.get_by_label("Name of Discharge")).to_have_value("Discharge")

    is_interrupted()
    db.session.execute(db.delete(Intervention).where(Intervention.name == "Visit"))
    db.session.commit()
    portal.signs_in("mlopez")
    expect(page.get_by_text("edit_intervention: Second visit")).to_be_visible()
    expect(page.get_by_label("Name of Discharge")).to_have_value("Discharge")


def test_a_page_warns_before_the_session_ends(portal: Portal, study: Study, researcher: Researcher):
    """PORTAL-27: ninety seconds before; staying extends it; after the end the page is left."""
    page = portal.page
    portal.signs_in("mlopez")
    portal.sees_heading("Mood and movement")
    seen(timedelta(minutes=28, seconds=50))
    portal.opens(f"/edit_study/{study.id}")
    db.session.execute(db.text("UPDATE portal_sessions SET seen_at = now() - interval '28 minutes 50 seconds'"))
    db.session.commit()
    page.evaluate("document.body.dataset")
    page.evaluate(
        "fetch('/session_left').then(a => a.json()).then(d => new BroadcastChannel('session').postMessage(d))"
    )
    warning = page.get_by_role("alert").filter(has_text=re.compile("You will be signed out in [0-9]+ seconds"))
    expect(warning).to_be_visible()
    warning.get_by_role("button", name="Stay signed in").click()
    expect(warning).to_be_hidden()
    page.locator("#new_study_name").fill("Typed before the end")
    end_sessions()
    page.evaluate(f"{TO_OTHER_TABS}.postMessage({{idle: 0, most: 0}})")
    portal.sees_heading("Sign in")
    expect(page.get_by_text("You were signed out")).to_be_visible()
    expect(page.get_by_text("What you typed is kept in this tab")).to_be_visible()
    portal.console_said("401")


def end_sessions() -> None:
    """Ends all sessions, as the idle time does."""
    seen(timedelta(hours=1))


def seen(ago: timedelta) -> None:
    db.session.execute(db.update(PortalSession).values(seen_at=datetime.now(UTC) - ago))
    db.session.commit()
