"""What people do on the pages of researchers, links and teams."""

import re

from playwright.sync_api import Locator, expect

from tests.browser.navigator import Portal


class ResearchersPage:
    """The list of researchers."""

    def __init__(self, portal: Portal) -> None:
        self.portal, self.page = portal, portal.page

    def opens(self) -> None:
        self.page.get_by_role("button", name="Account of").click()
        self.page.get_by_role("navigation", name="Account").get_by_role("link", name="Researchers").click()
        self.portal.sees_heading("Researchers")

    def filters(self, text: str) -> None:
        self.page.get_by_role("textbox", name="Name or study").press_sequentially(text)

    def shows(self, *names: str) -> None:
        expect(self.page.locator("#found tbody th a")).to_have_text(list(names))

    def opens_person(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).click()
        self.portal.sees_heading(name)

    def invites(self, name: str, study: str, role: str) -> str:
        """The link that invites the person."""
        self.page.get_by_role("link", name="Invite somebody").click()
        self.portal.sees_heading("Invite somebody")
        self.page.get_by_label("User name").fill(name)
        self.page.get_by_label("Study", exact=True).select_option(label=study)
        self.page.get_by_label("Role in the study").select_option(label=role)
        self.page.get_by_role("button", name="Make the link").click()
        self.portal.sees_heading(f"A link for {name}")
        return self.page.locator("#secret").inner_text()


class LinkPage:
    """The page behind a one-time link."""

    def __init__(self, portal: Portal, link: str) -> None:
        self.portal, self.page = portal, portal.page
        self.page.goto(link)

    def sets(self, password: str, again: str | None = None) -> None:
        self.page.get_by_label("Your password").fill(password)
        self.page.get_by_label("The same again").fill(password if again is None else again)
        self.page.get_by_role("button", name="Set the password").click()


class TeamPage:
    """The team of a study."""

    def __init__(self, portal: Portal) -> None:
        self.portal, self.page = portal, portal.page

    def opens(self) -> None:
        self.page.get_by_role("navigation", name="Study").get_by_role("link", name="Team", exact=True).click()
        self.portal.sees_heading("Team")

    def line(self, name: str) -> Locator:
        return self.page.locator(".people > li", has=self.page.get_by_text(name, exact=True))

    def adds(self, name: str, role: str) -> None:
        form = self.page.get_by_role("region", name="Add somebody who has an account")
        form.get_by_label("User name").fill(name)
        form.get_by_label("Role").select_option(label=role)
        form.get_by_role("button", name="Add to the team").click()

    def changes(self, name: str, role: str, ends_on: str = "") -> None:
        line = self.line(name)
        line.locator("summary").click()
        line.get_by_label("Role").select_option(label=role)
        line.get_by_label("Last day").fill(ends_on)
        line.get_by_role("button", name="Save the role").click()

    def removes(self, name: str) -> None:
        self.line(name).get_by_role("button", name=re.compile("Remove")).click()
