"""Actions of a researcher in the portal, one class for each page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.support.factories import RESEARCHER_PASSWORD


class Portal:
    """A browser window on the portal."""

    def __init__(self, page: Page, server: str) -> None:
        self.page = page
        self.server = server
        self.said: list[str] = []
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))

    def console_said(self, *expected: str) -> None:
        """Fails on any message of the console, such as an error or a refusal by the content policy, but these.

        That a page's focus was already taken, because the test was quicker than the page, is no fault.
        """
        allowed = (*expected, "Autofocus processing was blocked")
        unexpected = [said for said in self.said if not any(text in said for text in allowed)]
        assert not unexpected, unexpected
        self.said.clear()

    def opens(self, path: str = "/") -> None:
        self.page.goto(self.server + path)

    def signs_in(self, username: str, password: str = RESEARCHER_PASSWORD) -> None:
        if not self.page.url.startswith(self.server):
            self.opens()
        self.page.get_by_label("User name").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Continue").click()

    def chooses_study(self, name: str) -> "ParticipantsPage":
        self.page.get_by_role("main").get_by_role("link", name=name).click()
        self.sees_heading(name)
        return self.opens_participants()

    def opens_participants(self) -> "ParticipantsPage":
        self.page.get_by_role("navigation", name="Study").get_by_role("link", name="Participants", exact=True).click()
        return ParticipantsPage(self)

    def signs_out(self) -> None:
        self.page.get_by_role("button", name="Account of").click()
        self.page.get_by_role("button", name="Sign out").click()
        self.sees_heading("Sign in")

    def sees_heading(self, text: str) -> None:
        expect(self.page.get_by_role("heading", name=text, level=1)).to_be_visible()
        self.page.wait_for_load_state()  # behaviours are bound by then

    def address_ends_with(self, end: str) -> None:
        expect(self.page).to_have_url(f"{self.server}{end}")

    def has_no_sideways_scroll(self) -> None:
        assert self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0, (
            self.page.url
        )

    def has_no_axe_violation(self) -> None:
        """Fails on what axe-core finds on the page."""
        found = Axe().run(self.page).response["violations"]
        assert not found, [(rule["id"], [node["html"] for node in rule["nodes"]][:3]) for rule in found]

    def presses(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def focused(self) -> Locator:
        return self.page.locator(":focus")


class ParticipantsPage:
    """A study's page."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.page = portal.page
        portal.sees_heading("Participants")

    def searches(self, text: str) -> None:
        self.page.get_by_role("textbox", name="Id or field").press_sequentially(text)

    def filters(self, word: str) -> None:
        self.page.get_by_role("navigation", name="Filter").get_by_role("link", name=word).click()

    def sorts_by(self, column: str) -> None:
        self.page.get_by_role("columnheader", name=column).get_by_role("link").click()

    def turns_page(self, word: str) -> None:
        self.page.get_by_role("navigation", name="Pages").get_by_role("link", name=word).click()

    def shows(self, first: str, count: int) -> None:
        """The first id, and how many rows."""
        expect(self.page.locator("#list tbody tr")).to_have_count(count)
        expect(self.page.locator("#list tbody a").first).to_have_text(first)

    def says(self, text: str) -> None:
        expect(self.page.get_by_role("main")).to_contain_text(text)

    def opens_participant(self, patient_id: str) -> "ParticipantPage":
        self.page.get_by_role("link", name=patient_id, exact=True).click()
        return ParticipantPage(self.portal, patient_id)

    def adds_participants(self) -> "AddingPage":
        self.page.get_by_role("main").get_by_role("link", name="Add participants").first.click()
        return AddingPage(self.portal)


class AddingPage:
    """Where participants are added."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.page = portal.page
        portal.sees_heading("Add participants")

    def adds_one(self) -> tuple[str, str]:
        """Patient id and password as shown."""
        before = self.page.locator(".handout").count()
        self.page.get_by_role("button", name="Add a participant").click()
        expect(self.page.locator(".handout")).to_have_count(before + 1)
        shown = self.page.locator(".handout").first.locator("dd .id")
        return shown.nth(0).inner_text(), shown.nth(1).inner_text()

    def downloads(self, count: int) -> str:
        """The text of the CSV file."""
        self.page.get_by_label("How many").fill(str(count))
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name="Add and download CSV").click()
        return download.value.path().read_text()


class ParticipantPage:
    """A participant's page."""

    def __init__(self, portal: Portal, patient_id: str) -> None:
        self.portal = portal
        self.page = portal.page
        portal.sees_heading(patient_id)

    def says(self, text: str) -> None:
        expect(self.page.get_by_role("main")).to_contain_text(text)

    def does_not_say(self, text: str) -> None:
        expect(self.page.get_by_role("main")).not_to_contain_text(text)

    def goes_a_day_back(self) -> None:
        self.page.get_by_role("link", name="The day before").click()

    def polls_now(self) -> None:
        """Does at once what the page does every five seconds."""
        self.page.locator("[data-poll]").dispatch_event("poll")
