"""What a researcher does on the pages of app settings."""

from playwright.sync_api import Locator, expect

from tests.browser.navigator import Portal


class AppSettingsPage:
    """The form of app settings with its preview."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.page = portal.page
        portal.sees_heading("App settings")

    def types(self, label: str, value: str) -> None:
        self.page.get_by_label(label, exact=True).fill(value)

    def ticks(self, label: str) -> None:
        self.page.get_by_role("checkbox", name=label, exact=True).click()

    def saves(self) -> None:
        self.page.get_by_role("button", name="Save app settings").click()

    def writes_section(self, title: str, text: str) -> None:
        self.page.get_by_role("group", name=title).get_by_label("Text on the page").fill(text)

    @property
    def preview(self) -> Locator:
        return self.page.locator("#preview")

    def previews(self, text: str) -> None:
        expect(self.preview).to_contain_text(text)

    def default_of(self, name: str) -> Locator:
        """What says that the setting differs from its default."""
        return self.page.locator(f".default[data-for={name}]")

    def says(self, text: str) -> None:
        expect(self.page.get_by_role("main")).to_contain_text(text)

    def opens(self, name: str) -> None:
        """One of the pages that the head of this one links to."""
        self.page.get_by_role("navigation", name="More on app settings").get_by_role("link", name=name).click()
