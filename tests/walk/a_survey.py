"""A survey from the first question to the answers of a phone: built, tried, scheduled, published, answered, changed."""

import re
from datetime import UTC, datetime

import pytest
from flask import Flask
from playwright.sync_api import expect

from core.config import get_settings
from core.database import db
from core.models import Study
from core.processing.claims import Scope
from core.processing.run import process_everything
from ops.phones import Phone, Platform, Transport
from tests.browser.navigator import Portal
from tests.browser.surveys.designer import DesignerPage
from tests.support.factories import PASSWORD, Factory
from tests.walk.album import Album
from webapp.stores import object_store

pytestmark = pytest.mark.usefixtures("quick_passwords")


def test_a_survey(app: Flask, factory: Factory, portal: Portal) -> None:
    """Each step checks what the page says, so that no picture shows an error."""
    study = factory.study("Mood and movement")
    factory.researcher("mlopez", study=study)
    portal.page.set_viewport_size({"width": 1440, "height": 900})
    portal.page.emulate_media(reduced_motion="reduce")
    album = Album(portal)
    portal.signs_in("mlopez")
    builds(album)
    tries(album)
    schedules(album)
    publishes(album)
    answers(album, factory, study)
    changes(album)
    album.is_written("A survey")


def goes_to(album: Album, tab: str) -> None:
    album.portal.page.get_by_role("navigation", name="Survey").get_by_role("link", name=tab, exact=True).click()


def builds(album: Album) -> None:
    page = album.portal.page
    page.get_by_role("navigation", name="Study").get_by_role("link", name="Surveys").click()
    album.takes("The study has no survey yet.")
    page.get_by_role("button", name="New survey").click()
    designer = DesignerPage(album.portal)
    album.takes("A new survey is empty, and no phone has it.")
    designer.adds("Text to read", "Think of the last 24 hours.")
    designer.adds("Slider", "How low did you feel at worst?")
    designer.adds("One answer", "Did you take your medicine?")
    designer.gives_answers("yes", "partly", "no")
    designer.adds("Several answers", "What kept you from it?")
    designer.gives_answers("I forgot", "Side effects", "Cost, or no refill")
    designer.asks_only("if any of these holds")
    designer.compares(0, "3 Did you take your medicine?", "is", "no")
    page.get_by_role("button", name="Condition", exact=True).click()
    designer.compares(1, "3 Did you take your medicine?", "is", "partly")
    designer.is_saved()
    expect(designer.row(3)).to_contain_text("has a warning")
    album.takes("A question is shown depending on an earlier answer; a comma in an answer is warned of.")
    designer.answer(2).fill("Cost or no refill")
    expect(designer.row(3)).not_to_contain_text("has a warning")


def tries(album: Album) -> None:
    page = album.portal.page
    goes_to(album, "Preview")
    page.get_by_role("link", name="Draft", exact=True).click()
    phone = page.get_by_role("region", name="Preview on a phone")
    album.takes("The draft is tried on a phone's screen, with what the ways through it are.")
    for choose in (None, None, "partly"):
        if choose:
            phone.get_by_label(choose).check()
        phone.get_by_role("button", name="Next").click()
    expect(phone).to_contain_text("What kept you from it?")
    album.takes("The condition is at work.")


def schedules(album: Album) -> None:
    page = album.portal.page
    goes_to(album, "Times")
    page.get_by_role("button", name="Add a weekly time").click()
    page.get_by_role("region", name="Weekly times").get_by_label("At", exact=True).fill("20:00")
    page.get_by_role("button", name="Add random times").click()
    expect(page.get_by_role("region", name="The coming four weeks")).to_contain_text("20:00")
    album.takes("Every evening, and three times a day at random: the coming four weeks, before saving.")
    page.get_by_role("button", name="Save the times").click()
    expect(page.get_by_text("The times were saved.")).to_be_visible()


def publishes(album: Album) -> None:
    page = album.portal.page
    goes_to(album, "Survey")
    page.get_by_role("textbox", name="Name").fill("Evening check")
    page.get_by_role("button", name="Rename").click()
    goes_to(album, "Questions")
    DesignerPage(album.portal).publishes()
    expect(page.get_by_text("Version 1 is published")).to_be_visible()
    album.takes("Version 1 is published: this is what phones get.")


def answers(album: Album, factory: Factory, study: Study) -> None:
    person = factory.participant(db.session.get_one(Study, study.id), platform=None)
    phone = Phone(person.patient_id, PASSWORD, Platform.ANDROID, Transport(album.portal.server))
    phone.register()
    phone.download_surveys()
    assert [survey["name"] for survey in phone.surveys] == ["Evening check"]
    assert any(phone.surveys[0]["timings"])
    phone.answer_surveys(int(datetime.now(UTC).timestamp() * 1000))
    assert {answer.status for answer in phone.upload_round()} == {200}
    process_everything(db.engine, object_store(), get_settings(), Scope())
    album.portal.opens_participants().opens_participant(person.patient_id)
    album.takes("A phone has fetched the survey, answered it, and uploaded answers and timings.")


def changes(album: Album) -> None:
    page = album.portal.page
    page.get_by_role("navigation", name="Study").get_by_role("link", name="Surveys").click()
    page.get_by_role("link", name="Evening check", exact=True).click()
    goes_to(album, "Questions")
    designer = DesignerPage(album.portal)
    designer.chooses(2)
    page.get_by_role("button", name="Delete answer 2").click()
    expect(page.get_by_role("dialog")).to_contain_text("What should these conditions become?")
    album.takes("An answer that a condition names is deleted: the designer asks what becomes of it.")
    page.get_by_role("dialog").get_by_role("button", name="Change the answers").click()
    designer.is_saved()
    goes_to(album, "Survey")
    page.get_by_role("link", name=re.compile("Compare it")).click()
    album.takes("The draft beside what is published.")
