"""Data quantities in a real browser, by keyboard: unit, colours, flags and the table of a participant."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from playwright.sync_api import expect

from core.database import db
from core.models import Chunk, Participant, Study
from core.processing.daily_quantities import recompute_days
from core.streams import SPECS, DataStream
from tests.browser.navigator import Portal
from tests.browser.surveys.test_surveys import looks_right
from tests.support.factories import Factory

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    study = factory.study("Sleep and mood", timezone_name="UTC")
    factory.researcher("anna", study=study)
    return study


@pytest.fixture
def person(factory: Factory, study: Study) -> Participant:
    """Six hours of GPS on each of nine days, and half of that on the last."""
    person = factory.participant(study)
    of = {"participant_id": person.id, "study_id": study.id, "size_bytes": 2_000, "md5": b"m" * 16}
    for hour in (hour for hour in range(9 * 24) if hour % 4 == 0 and hour < 9 * 24 - 12):
        at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hour)
        db.session.add(Chunk(stream=SPECS[DataStream.GPS].number, time_bin=at, **of))
    db.session.flush()
    recompute_days(db.session(), person)
    db.session.commit()
    return person


def test_quantities_are_read_by_keyboard(portal: Portal, study: Study, person: Participant):
    """PORTAL-220 to PORTAL-226."""
    page = portal.page
    portal.signs_in("anna")
    portal.sees_heading("Sleep and mood")
    portal.opens(f"/dashboard/{study.id}")
    for size in ((375, "light"), (1280, "dark")):
        looks_right(portal, *size)
    page.get_by_role("link", name="GPS", exact=True).focus()
    portal.presses("Enter")
    portal.sees_heading("GPS")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=person.patient_id))
    expect(row.get_by_role("cell").nth(1)).to_have_text("12,000")
    page.get_by_label("In", exact=True).focus()
    page.keyboard.type("hours")
    page.get_by_label("Colours by").focus()
    page.keyboard.type("share")
    page.get_by_role("button", name="Show").first.focus()
    portal.presses("Enter")
    expect(row.get_by_role("cell").nth(1)).to_have_text("6 h, 25 % of what is expected")
    expect(row.get_by_role("cell").nth(7)).to_have_text("3 h, 12 % of what is expected")
    for size in ((375, "dark"), (1280, "light")):
        looks_right(portal, *size)
    page.get_by_text("Colours and flags").focus()
    portal.presses("Enter")
    page.get_by_label("A new flag").focus()
    page.keyboard.type("< 9000")
    portal.presses("Enter")
    expect(row.get_by_role("cell").nth(7)).to_contain_text("flagged")
    page.get_by_role("link", name="Before", exact=True).focus()
    portal.presses("Enter")
    expect(row.get_by_role("cell").nth(1)).to_contain_text("6 h")
    page.get_by_role("link", name=person.patient_id).focus()
    portal.presses("Enter")
    portal.sees_heading(person.patient_id)
    for size in ((375, "light"), (1280, "dark")):
        looks_right(portal, *size)
