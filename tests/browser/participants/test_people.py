"""The participants' pages in a real browser: by mouse, by keyboard, without a violation that axe-core finds."""

import os
import re
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from playwright.sync_api import expect

from core.database import db
from core.models import CustomField, Participant, Study
from core.participants.editing import values_of
from tests.browser.navigator import ParticipantsPage, Portal
from tests.support.factories import Factory

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    study = factory.study("Sleep")
    db.session.add(CustomField(study_id=study.id, name="Site"))
    db.session.commit()
    factory.intervention(study, "Discharge")
    for n in range(1, 5):
        factory.participant(study, f"person{n}1")
    factory.researcher("anna", study=study)
    return study


@pytest.fixture
def people(portal: Portal, study: Study) -> ParticipantsPage:
    portal.signs_in("anna")
    return portal.opens_participants()


def value(study: Study, patient_id: str, heading: str) -> str | None:
    """A participant's value of that field or intervention, as the database has it."""
    db.session.rollback()
    db.session.expire_all()
    person = db.session.scalars(sa.select(Participant).where(Participant.patient_id == patient_id)).one()
    column = db.session.scalar(
        sa.text("SELECT 'field:' || id FROM custom_fields WHERE name = :n"), {"n": heading}
    ) or db.session.scalar(sa.text("SELECT 'intervention:' || id FROM interventions WHERE name = :n"), {"n": heading})
    return values_of(db.session(), person.id).get(str(column))


def test_a_cell_is_edited_in_its_place_by_keyboard(people: ParticipantsPage, study: Study):
    """PORTAL-133: Enter saves, Escape leaves it as it was, and a wrong date says so."""
    page, portal = people.page, people.portal
    page.get_by_role("link", name="Edit Site of person11").focus()
    portal.presses("Enter")
    field = page.get_by_role("textbox", name="Site of person11")
    expect(field).to_be_focused()
    page.keyboard.type("Boston")
    portal.presses("Enter")
    expect(page.get_by_role("link", name="Edit Site of person11: Boston")).to_be_visible()
    assert value(study, "person11", "Site") == "Boston"
    page.get_by_role("link", name="Edit Site of person11").click()
    page.get_by_role("textbox", name="Site of person11").fill("Rome")
    portal.presses("Escape")
    expect(page.get_by_role("link", name="Edit Site of person11: Boston")).to_be_visible()
    assert value(study, "person11", "Site") == "Boston"
    portal.has_no_axe_violation()


def test_values_of_several_are_set_after_a_look_and_undone(people: ParticipantsPage, study: Study):
    """CLAR-25."""
    page = people.page
    page.get_by_role("checkbox", name="Select person11").check()
    page.get_by_role("checkbox", name="Select person21").check()
    expect(page.get_by_text("With 2 selected:")).to_be_visible()
    page.get_by_role("button", name="Set a value").click()
    people.portal.sees_heading("Set a value")
    people.portal.has_no_axe_violation()
    page.get_by_label("Field or intervention").select_option(label="Discharge (date)")
    page.get_by_label("Value", exact=True).fill("2026-03-01")
    page.get_by_role("button", name="Show what changes").click()
    expect(page.get_by_text("2 participants had none.")).to_be_visible()
    assert value(study, "person11", "Discharge") is None
    page.get_by_role("button", name="Set it").click()
    people.portal.sees_heading("Participants")
    assert value(study, "person21", "Discharge") == "2026-03-01"
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone for 2 participants.")).to_be_visible()
    assert value(study, "person21", "Discharge") is None


def test_columns_and_filters_are_chosen_in_sheets(people: ParticipantsPage):
    """PORTAL-113."""
    page = people.page
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("checkbox", name="Created").check()
    people.portal.has_no_axe_violation()
    page.get_by_role("button", name="Show these columns").click()
    expect(page.get_by_role("columnheader", name="Created")).to_be_visible()
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("combobox", name="Phone").select_option(label="iOS")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("heading", name="Nobody is here")).to_be_visible()
    expect(page.get_by_role("link", name="Show all participants")).to_be_visible()


def test_a_file_is_previewed_beside_its_form_and_imported(people: ParticipantsPage, study: Study, tmp_path: Path):
    """CLAR-38: the chosen file stays in the form, so that it need not be chosen again."""
    page = people.page
    file = tmp_path / "fields.csv"
    file.write_text("Patient ID,Site\nperson11,Lagos\nnobody11,x\n")
    page.get_by_role("link", name="Import CSV").click()
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Show what it changes").click()
    expect(page.get_by_role("heading", name="Nothing was imported: 1 error")).to_be_visible()
    people.portal.has_no_axe_violation()
    file.write_text("Patient ID,Site\nperson11,Lagos\n")
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Show what it changes").click()
    expect(page.get_by_role("heading", name="1 participant would change")).to_be_visible()
    page.get_by_role("button", name="Import", exact=True).click()
    people.portal.sees_heading("Participants")
    assert value(study, "person11", "Site") == "Lagos"
    people.portal.console_said("422")


def test_a_participant_is_managed_from_one_page(people: ParticipantsPage, study: Study):
    """PORTAL-135, CLAR-35, CLAR-36: each step is said on every page of the participant."""
    page, portal = people.page, people.portal
    people.opens_participant("person11")
    tabs = page.get_by_role("navigation", name="Pages of this participant")
    for tab in ("Fields and phones", "Problem uploads", "Notes", "History", "Manage"):
        tabs.get_by_role("link", name=tab).click()
        expect(tabs.get_by_role("link", name=tab)).to_have_attribute("aria-current", "page")
        portal.has_no_axe_violation()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused until somebody ends it.")).to_be_visible()
    page.get_by_role("button", name="End the pause").click()
    page.get_by_role("radio", name="Withdrawn").check()
    page.get_by_label("Reason of a withdrawal").select_option(label="Own wish")
    page.get_by_label("Last day").fill(datetime.now(study.zone).date().isoformat())
    page.get_by_role("button", name="Record it").click()
    expect(page.get_by_text("Uploads are taken for 14 days more.")).to_be_visible()
    page.get_by_role("button", name="It was a mistake: go on").click()
    page.get_by_role("button", name="Retire person11").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("The participant takes part again.")).to_be_visible()


def test_a_new_phone_gets_a_sheet_of_one_page_of_paper(people: ParticipantsPage, tmp_path: Path):
    """CLAR-33: looked at as it is printed, without the portal around it."""
    page, portal = people.page, people.portal
    people.opens_participant("person11")
    page.get_by_role("link", name="Manage").click()
    page.get_by_role("link", name="Prepare a new phone").click()
    page.get_by_role("radio", name="Android").check()
    page.get_by_role("button", name="Make the password and the sheet").click()
    portal.sees_heading("Enrolment sheet")
    portal.has_no_axe_violation()
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Print")).to_be_hidden()
    expect(page.locator(".print-sheet svg").first).to_be_visible()
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=Path(folder) / "sheet-printed.png", full_page=True)
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(path=tmp_path / "sheet.pdf", format="A4"))) == 1


def test_a_purge_is_confirmed_by_the_id_and_taken_back(people: ParticipantsPage, study: Study):
    """PORTAL-136."""
    page, portal = people.page, people.portal
    people.opens_participant("person41")
    page.get_by_role("link", name="Manage").click()
    page.get_by_role("link", name="Delete all data").click()
    page.get_by_label("Type person41 to go on").fill("person41")
    page.get_by_role("button", name="Delete all data").click()
    expect(page.get_by_role("heading", name="Deleting all data")).to_be_visible()
    portal.has_no_axe_violation()
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("The purge was taken back; everything is as it was.")).to_be_visible()


def test_interventions_and_the_overview_by_keyboard(portal: Portal, study: Study):
    """PORTAL-73, PORTAL-170."""
    portal.signs_in("anna")
    portal.sees_heading("Sleep")
    portal.has_no_axe_violation()
    page = portal.page
    page.get_by_role("link", name="Interventions").focus()
    portal.presses("Enter")
    portal.sees_heading("Interventions")
    page.get_by_label("Name", exact=True).focus()
    page.keyboard.type("Visit 2")
    portal.presses("Enter")
    expect(page.get_by_label("Name of Visit 2")).to_be_visible()
    portal.has_no_axe_violation()
    page.get_by_role("link", name="Delete Visit 2").click()
    page.get_by_label("Type Visit 2 to go on").fill("Visit 2")
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("Visit 2 was deleted.")).to_be_visible()
