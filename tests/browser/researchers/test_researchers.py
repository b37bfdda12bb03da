"""Inviting, teams and accounts in a real Chromium: by mouse and keyboard, without a violation that axe-core finds."""

import re
from datetime import date, timedelta

import pytest
from flask import Flask
from playwright.sync_api import Browser, expect

from core.access import Role
from core.database import db
from core.models import CustomField, Study
from tests.browser.navigator import Portal
from tests.browser.researchers.navigator import LinkPage, ResearchersPage, TeamPage
from tests.support.factories import RESEARCHER_PASSWORD, Factory

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    return factory.study("Sleep and mood")


@pytest.fixture
def leader(factory: Factory, study: Study, portal: Portal) -> Portal:
    """An administrator of the study, signed in."""
    factory.researcher("leader", study=study, role=Role.STUDY_ADMIN)
    portal.signs_in("leader")
    portal.sees_heading(study.name)
    return portal


def test_somebody_is_invited_and_signs_in(leader: Portal, chromium: Browser):
    """PORTAL-191, CLAR-26: the link is copied, opened in another browser, and works once."""
    page, list_page = leader.page, ResearchersPage(leader)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    list_page.opens()
    leader.has_no_axe_violation()
    link = list_page.invites("new.person", "Sleep and mood", "Viewer")
    leader.has_no_axe_violation()
    page.get_by_role("button", name="Copy the link").click()
    assert page.evaluate("navigator.clipboard.readText()") == link
    context = chromium.new_context()
    other = Portal(context.new_page(), leader.server)
    opened = LinkPage(other, link)
    other.sees_heading("Welcome, new.person")
    other.has_no_axe_violation()
    opened.sets("Correct horse 1! and more", "another")
    expect(other.page.get_by_text("The two passwords differ.")).to_be_visible()
    other.has_no_axe_violation()
    opened.sets("Correct horse 1! and more")
    other.sees_heading("Sign in")
    other.signs_in("new.person", "Correct horse 1! and more")
    other.sees_heading("Sleep and mood")
    LinkPage(other, link)
    other.sees_heading("This link was used")
    other.has_no_axe_violation()
    other.console_said("422", "410")
    context.close()


def test_a_link_for_somebody_else_offers_to_switch(leader: Portal):
    """PORTAL-191."""
    list_page = ResearchersPage(leader)
    list_page.opens()
    link = list_page.invites("new.person", "Sleep and mood", "Researcher")
    LinkPage(leader, link)
    leader.sees_heading("This link is for new.person")
    leader.has_no_axe_violation()
    leader.page.get_by_role("button", name="Sign out and go on as new.person").click()
    leader.sees_heading("Welcome, new.person")


def test_the_team_is_changed(leader: Portal, factory: Factory, study: Study):
    """PERM-60, PERM-96: added, changed with a last day, removed."""
    factory.researcher("some.one")
    factory.researcher("the.boss", is_site_admin=True)
    team, soon = TeamPage(leader), date.today() + timedelta(days=40)
    team.opens()
    leader.has_no_axe_violation()
    team.adds("the.boss", "Viewer")
    expect(leader.page.get_by_text("No account of that name can be added here.")).to_be_visible()
    leader.has_no_axe_violation()
    team.adds("some.one", "Viewer")
    expect(team.line("some.one")).to_contain_text("Viewer")
    team.changes("some.one", "Analyst", "2020-01-01")
    expect(leader.page.get_by_text("That day is over.")).to_be_visible()
    leader.page.get_by_label("Last day").first.fill(str(soon))
    leader.page.get_by_role("button", name="Save the role").first.click()
    expect(team.line("some.one")).to_contain_text(f"until {soon.day} {soon:%b %Y}")
    expect(team.line("some.one")).to_contain_text("Analyst")
    team.removes("some.one")
    expect(leader.page.get_by_text("some.one has no role")).to_be_visible()
    expect(team.line("some.one")).to_have_count(0)
    leader.console_said("422")


def test_the_list_is_filtered_and_a_role_changed_by_keyboard(leader: Portal, factory: Factory, study: Study):
    """PORTAL-190, PORTAL-192."""
    for name in ("anna.k", "berta.m"):
        factory.researcher(name, study=study)
    list_page, page = ResearchersPage(leader), leader.page
    list_page.opens()
    list_page.shows("anna.k", "berta.m", "leader")
    leader.presses("/")
    page.keyboard.type("bert")
    list_page.shows("berta.m")
    list_page.opens_person("berta.m")
    leader.has_no_axe_violation()
    page.locator(".change > summary").focus()
    leader.presses("Enter", "Tab")
    page.keyboard.type("Viewer")
    page.get_by_role("button", name="Save the role").focus()
    leader.presses("Enter")
    expect(page.get_by_text("berta.m is viewer of Sleep and mood.")).to_be_visible()


def test_a_site_administrator_deactivates_and_deletes(portal: Portal, factory: Factory, study: Study):
    """PERM-61, PORTAL-194, PORTAL-195."""
    factory.researcher("the.boss", is_site_admin=True)
    person, page = factory.researcher("leaver", study=study), portal.page
    portal.signs_in("the.boss")
    portal.sees_heading(study.name)
    portal.opens(f"/edit_researcher/{person.id}")
    portal.has_no_axe_violation()
    page.get_by_label("Your own password").fill("wrong")
    page.get_by_role("button", name="Make a site administrator").click()
    expect(page.get_by_text("This is not your current password.")).to_be_visible()
    page.get_by_label("Your own password").fill(RESEARCHER_PASSWORD)
    page.get_by_role("button", name="Make a site administrator").click()
    expect(page.get_by_text("leaver is a site administrator now.")).to_be_visible()
    portal.has_no_axe_violation()
    site = page.get_by_role("region", name="Site administrator")
    site.get_by_label("Your own password").fill(RESEARCHER_PASSWORD)
    site.get_by_role("button", name="Take the role away").click()
    page.get_by_role("button", name="Deactivate").click()
    expect(page.get_by_text("leaver was deactivated")).to_be_visible()
    portal.has_no_axe_violation()
    page.get_by_label("Type leaver to go on").fill("leaver")
    page.get_by_role("button", name="Delete the account").click()
    expect(page.get_by_text("leaver was deleted.")).to_be_visible()
    portal.console_said("422")


@pytest.mark.long
def test_pages_fit_narrow_screens_in_light_and_dark(leader: Portal, factory: Factory, study: Study):
    """PERM-93: nothing scrolls sideways at 375 px, and contrast holds in both schemes."""
    factory.researcher("a.person.with.a.rather.long.name", study=study, role=Role.STUDY_ANALYST)
    for scheme in ("light", "dark"):
        leader.page.emulate_media(color_scheme=scheme)
        for width in (375, 1280):
            leader.page.set_viewport_size({"width": width, "height": 800})
            for path, heading in (
                ("/manage_researchers", "Researchers"),
                ("/create_new_researcher", "Invite somebody"),
                (f"/view_study/{study.id}/team", "Team"),
                ("/who_may_do_what", "Who may do what"),
            ):
                leader.opens(path)
                leader.sees_heading(heading)
                leader.has_no_sideways_scroll()
                leader.has_no_axe_violation()


def test_the_table_of_rights_is_reached_from_the_menu(leader: Portal):
    """PERM-93."""
    leader.page.get_by_role("button", name="Account of").click()
    leader.page.get_by_role("navigation", name="Account").get_by_role("link", name="Who may do what").click()
    leader.sees_heading("Who may do what")
    row = leader.page.get_by_role("row", name=re.compile("Download participants' data"))
    expect(row.get_by_text("yes")).to_have_count(5)


@pytest.mark.parametrize("width", [375, 1280])
def test_a_role_is_limited_to_a_site(leader: Portal, factory: Factory, study: Study, width: int):
    """PERM-95: given on the team page; the person then sees what the role covers, and enrols into it."""
    field = CustomField(study_id=study.id, name="Clinic")
    db.session.add(field)
    db.session.commit()
    factory.researcher("some.one", study=study)
    team, page = TeamPage(leader), leader.page
    leader.opens(f"/view_study/{study.id}/team")
    page.set_viewport_size({"width": width, "height": 900})
    team.limits("some.one", "Clinic")
    expect(page.get_by_text("Name at least one value of the field.")).to_be_visible()
    leader.has_no_axe_violation()
    page.get_by_label("Values, one a line").first.fill("North\nSouth")
    page.get_by_role("button", name="Save the role").first.click()
    expect(team.line("some.one")).to_contain_text("limited to Clinic North, South")
    team.opens_change("some.one")
    leader.has_no_axe_violation()
    leader.has_no_sideways_scroll()
    leader.signs_out()
    leader.signs_in("some.one")
    leader.sees_heading(study.name)
    leader.opens(f"/view_study/{study.id}/add_participants")
    expect(page.get_by_text("Your role in this study is limited to North, South")).to_be_visible()
    leader.has_no_axe_violation()
    leader.has_no_sideways_scroll()
    one = page.get_by_role("region", name="One participant")
    one.get_by_label("Clinic").select_option("South")
    one.get_by_role("button", name="Add a participant").click()
    expect(one.get_by_text("The password is not shown again")).to_be_visible()
    leader.has_no_axe_violation()
    leader.console_said("422")
