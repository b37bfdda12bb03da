"""Pages of daily measures in a real browser, by mouse and keyboard (CLAR-82)."""

from datetime import date

import pytest
from playwright.sync_api import Page, expect

from core.access import Role
from core.database import db
from core.models import Participant, Study
from tests.browser.navigator import Portal
from tests.support.factories import Factory
from tests.support.measured import measured_days
from tests.support.tracked import tracked_day

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(factory: Factory) -> Study:
    study = factory.study("Sleep and mood", timezone_name="UTC")
    study.has_forest = True
    factory.researcher("anna", study=study)
    return study


@pytest.fixture
def people(factory: Factory, study: Study) -> list[Participant]:
    people = [factory.participant(study) for _ in range(3)]
    for number, person in enumerate(people):
        measured_days(person, shift=float(number))
    db.session.commit()
    return people


def is_clean(portal: Portal, axe_in: str = "") -> None:
    """The console says nothing and nothing scrolls sideways, in light and dark; axe finds nothing in one of them."""
    for width, scheme in ((375, "dark"), (1280, "light")):
        portal.page.emulate_media(reduced_motion="reduce", color_scheme=scheme)  # type: ignore[arg-type]
        portal.page.set_viewport_size({"width": width, "height": 900})
        portal.has_no_sideways_scroll()
        if scheme == axe_in:
            portal.has_no_axe_violation()
    portal.console_said()


def colours(page: Page) -> int:
    """How many colours the first drawing has."""
    return int(
        page.locator(".plot canvas").first.evaluate(
            "canvas => new Set(new Uint32Array(canvas.getContext('2d')"
            ".getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"
        )
    )


def test_mobility_and_a_track_are_read_by_keyboard(
    portal: Portal, factory: Factory, study: Study, people: list[Participant]
):
    """CLAR-82, PERM-90: a drawing and its table, narrow and wide, light and dark."""
    page, first = portal.page, people[0].patient_id
    tracked_day(factory, people[0], date(2026, 3, 12))
    factory.researcher("head", study=study, role=Role.STUDY_ADMIN)
    portal.signs_in("head")
    portal.sees_heading("Sleep and mood")
    portal.opens(f"/view_study/{study.id}/participant/{first}/measures")
    page.get_by_role("link", name="Mobility at a glance").focus()
    portal.presses("Enter")
    expect(page.get_by_role("img", name="Time at home by day")).to_be_visible()
    page.get_by_text("As a table").focus()
    portal.presses("Enter")
    expect(page.get_by_role("row", name="3 Mar 2026")).to_contain_text("imputed")
    is_clean(portal, "dark")
    page.get_by_role("link", name="Track of a day").focus()
    portal.presses("Enter")
    expect(page.get_by_role("img", name="Track of 12 Mar 2026")).to_be_visible()
    expect(page.get_by_role("row", name="12:00")).to_contain_text("5.0")
    is_clean(portal, "light")
    page.get_by_role("link", name="The day before").focus()
    portal.presses("Enter")
    expect(page.get_by_text("No GPS of 11 Mar 2026")).to_be_visible()
    is_clean(portal, "dark")


def test_measures_are_read_by_keyboard_and_compared(portal: Portal, study: Study, people: list[Participant]):
    page, first = portal.page, people[0].patient_id
    portal.signs_in("anna")
    portal.sees_heading("Sleep and mood")
    page.get_by_role("navigation", name="Study").get_by_role("link", name="Daily measures").click()
    portal.sees_heading("Daily measures")
    page.get_by_text("As a table").first.click()
    expect(page.get_by_role("table", name="Distance travelled by day")).to_be_visible()
    is_clean(portal, "light")
    page.get_by_role("link", name=first, exact=True).click()
    portal.sees_heading(first)
    distance = page.get_by_role("region", name="Distance travelled", exact=True)
    expect(distance.locator("canvas")).to_have_count(2)
    assert colours(page) > 10
    expect(distance.get_by_role("table")).not_to_be_visible()
    distance.locator(".u-over").first.hover()
    expect(distance.locator("[data-said]")).to_contain_text(": no value")
    distance.get_by_role("application").focus()
    portal.presses("End")
    expect(distance.locator("[data-said]")).to_have_text("12 Mar 2026: 21 km, 15.0 h with GPS")
    portal.presses("PageUp", "ArrowLeft", "ArrowLeft")
    expect(distance.locator("[data-said]")).to_have_text("3 Mar 2026: 12 km, imputed, 2.5 h with GPS")
    portal.presses("ArrowRight", "ArrowRight")
    expect(distance.locator("[data-said]")).to_have_text("5 Mar 2026: no value")
    is_clean(portal, "dark")
    page.get_by_label("Compare with").fill(" ".join(person.patient_id for person in people[1:]))
    portal.presses("Enter")
    expect(distance.locator("canvas")).to_have_count(4)
    distance.get_by_role("application").focus()
    portal.presses("End")
    expect(distance.locator("[data-said]")).to_contain_text(f"{people[2].patient_id}: 23 km")
    is_clean(portal)
    with page.expect_download() as download:
        distance.get_by_role("link", name="CSV of Distance travelled").click()
    assert download.value.path().read_text().count("\n") == 1 + 3 * 11
    portal.console_said()
