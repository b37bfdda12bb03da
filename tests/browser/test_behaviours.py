"""Behaviours work in what HTMX swaps in, not only in the page as it was loaded."""

import pytest
from playwright.sync_api import BrowserContext, Route, expect

from tests.browser.navigator import Portal
from tests.support.factories import Factory

pytestmark = pytest.mark.usefixtures("quick_passwords")
SWAPPED = """
<div id="later" data-poll="1" hx-get="{path}?later=1" hx-trigger="poll" hx-swap="none"></div>
<div id="wide" class="scroll" data-newest-last><table><tbody><tr>{cells}</tr></tbody></table></div>
"""


def test_a_copy_button_that_was_swapped_in_copies(portal: Portal, factory: Factory, context: BrowserContext):
    """The password of a participant who has just been added is in a fragment."""
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    study = factory.study("Sleep")
    factory.researcher("anna", study=study)
    portal.signs_in("anna")
    _, password = portal.opens_participants().adds_participants().adds_one()
    portal.page.get_by_role("button", name="Copy the password").click()
    expect(portal.page.locator("#said")).to_have_text("Copied")
    assert portal.page.evaluate("navigator.clipboard.readText()") == password


def test_polling_and_scrolling_begin_in_what_was_swapped_in_and_end_with_it(portal: Portal, factory: Factory):
    """A part that HTMX swaps in is polled and scrolled like one of the page, until it is removed."""
    study = factory.study("Sleep")
    factory.researcher("anna", study=study)
    portal.page.clock.install()
    portal.signs_in("anna")
    portal.opens_participants()
    path = f"/view_study/{study.id}/participants/figures"
    polled: list[str] = []

    def answer(route: Route) -> None:
        if "later" in route.request.url:
            polled.append(route.request.url)
            route.fulfill(body="", content_type="text/html")
        else:
            cells = "<td>wide&nbsp;cell</td>" * 200
            route.fulfill(body=SWAPPED.format(path=path, cells=cells), content_type="text/html")

    portal.page.route("**/figures*", answer)
    portal.page.locator("[data-poll]").first.dispatch_event("poll")
    expect(portal.page.locator("#later")).to_have_count(1)
    assert portal.page.evaluate("document.querySelector('#wide').scrollLeft") > 0
    with portal.page.expect_request("**/figures?later=1"):
        portal.page.clock.run_for(1_500)
    portal.page.evaluate("document.querySelector('#later').remove()")
    portal.page.clock.run_for(1_500)
    polled.clear()
    portal.page.clock.run_for(4_000)
    assert not polled
