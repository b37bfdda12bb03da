"""What a researcher does on the pages of the audit trail."""

from playwright.sync_api import Locator, expect

from tests.browser.navigator import Portal


class AuditPage:
    """One of the logs."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.page = portal.page
        portal.sees_heading("Audit trail")

    @property
    def rows(self) -> Locator:
        return self.page.locator(".log > li, tbody tr")

    def lists(self, count: int) -> None:
        expect(self.rows).to_have_count(count)

    def says(self, text: str) -> None:
        expect(self.page.get_by_role("main")).to_contain_text(text)

    def opens_tab(self, name: str) -> None:
        self.page.get_by_role("navigation", name="Logs").get_by_role("link", name=name).click()
        expect(self.page.get_by_role("navigation", name="Logs").locator("[aria-current]")).to_have_text(name)

    def chooses(self, label: str, option: str) -> None:
        self.page.get_by_role("search", name="Filter").get_by_label(label).select_option(label=option)

    def types(self, label: str, text: str) -> None:
        self.page.get_by_role("search", name="Filter").get_by_label(label).fill(text)

    def shows(self) -> None:
        self.page.get_by_role("button", name="Show", exact=True).click()

    def turns_page(self, word: str) -> None:
        self.page.get_by_role("navigation", name="Pages").get_by_role("link", name=word).click()

    def downloads(self) -> str:
        """The text of the file."""
        with self.page.expect_download() as download:
            self.page.get_by_role("link", name="CSV").click()
        return download.value.path().read_text()
