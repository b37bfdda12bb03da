"""An answer that calls for somebody: a scale, a rule, a phone's answer, its score, the alert, the file with labels."""

import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyreadstat
import pytest
from flask import Flask
from playwright.sync_api import expect
from pydantic import SecretStr

from core.answer_alerts.telling import refuse_message, tell_of_alerts
from core.config import load_settings
from core.database import db
from core.models import AlertRule, Participant, Survey
from core.outgoing.delivering import deliver_waiting
from core.streams import Platform
from core.surveys.drafts import draft_of
from tests.browser.navigator import Portal
from tests.browser.surveys.designer import DesignerPage
from tests.support.answering import file_of, process, submits
from tests.support.factories import Factory
from tests.support.fakes.sinks import MailSink, running_mail_sink
from tests.walk.album import Album

pytestmark = pytest.mark.usefixtures("quick_passwords")
GIVEN = (1, 2, 1, 3, 1, 2, 2, 0, 1)


def test_an_alert(app: Flask, factory: Factory, portal: Portal) -> None:
    """Each step checks what the page says, so that no picture shows an error."""
    study = factory.study("Mood after discharge")
    nurse = factory.researcher("mlopez", study=study)
    nurse.mail_address = "mlopez@example.org"
    person = factory.participant(study, platform=Platform.IOS)
    db.session.commit()
    portal.page.set_viewport_size({"width": 1440, "height": 900})
    portal.page.emulate_media(reduced_motion="reduce")
    album = Album(portal)
    portal.signs_in("mlopez")
    begins_with_a_template(album)
    makes_a_rule(album)
    publishes(album)
    with running_mail_sink() as mail:
        answers(album, person, mail)
    acknowledges(album)
    exports(album)
    album.is_written("An answer that calls for somebody")


def goes_to(album: Album, name: str) -> None:
    album.portal.page.get_by_role("navigation", name="Study").get_by_role("link", name=name).first.click()


def begins_with_a_template(album: Album) -> None:
    page = album.portal.page
    goes_to(album, "Surveys")
    page.get_by_role("link", name="Templates").click()
    album.takes("Published scales that are free to use, and surveys that teams of this site keep.")
    page.get_by_role("link", name="PHQ-9", exact=True).click()
    album.takes("A scale with its source, its terms, its score, and what it asks that somebody must act on.")
    page.get_by_role("button", name="Make a survey of it").click()
    expect(page.get_by_text("The survey was made as a draft")).to_be_visible()
    album.takes("The survey is a draft; a rule should be made before it is published.")


def makes_a_rule(album: Album) -> None:
    page = album.portal.page
    page.get_by_role("link", name="Make a rule").click()
    page.get_by_label("hurting yourself").check()
    page.get_by_role("button", name="Go on").click()
    for answer in ("Several days", "More than half the days", "Nearly every day"):
        page.get_by_label(answer).check()
    album.takes("Which answers raise an alert, who is told at once, and who if nobody acknowledges.")
    page.get_by_role("button", name="Make the rule").click()
    expect(page.get_by_text("The rule was saved.")).to_be_visible()
    album.takes("The rule is in force. The page says that it is no emergency service.")


def publishes(album: Album) -> None:
    page = album.portal.page
    goes_to(album, "Surveys")
    page.get_by_role("link", name="PHQ-9", exact=True).click()
    page.get_by_role("navigation", name="Survey").get_by_role("link", name="Questions", exact=True).click()
    DesignerPage(album.portal).publishes()
    expect(page.get_by_text("Version 1 is published")).to_be_visible()


def answers(album: Album, person: Participant, mail: MailSink) -> None:
    db.session.rollback()
    survey = db.session.scalars(db.select(Survey)).one()
    content = json.loads(draft_of(db.session(), survey).content)
    db.session.execute(db.update(AlertRule).values(effective_from=datetime.now(UTC) - timedelta(minutes=5)))
    given = {question["question_id"]: choice for question, choice in zip(content, GIVEN, strict=True)}
    db.session.refresh(person, ["activity", "study"])
    submits(person, survey, datetime.now(UTC), file_of(given, Platform.IOS, content))
    process()
    settings = load_settings(mail_url=SecretStr(mail.url))
    tell_of_alerts(db.session(), settings, datetime.now(UTC))
    db.session.commit()
    assert deliver_waiting(db.engine, settings, refuse=refuse_message) == 1
    assert person.patient_id in str(mail.mails[0]) and "hurting" not in str(mail.mails[0])
    goes_to(album, "Alerts")
    album.takes("A phone has answered. The alert is in the portal, and its mail is on the way.")


def acknowledges(album: Album) -> None:
    page = album.portal.page
    page.get_by_role("table").get_by_role("link").first.click()
    album.takes("What was answered, who has seen it, who was told.")
    page.get_by_label("What was done").fill("Called in the afternoon; an appointment for tomorrow.")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("Acknowledged. Messages")).to_be_visible()
    album.takes("Acknowledged with a note: nobody is told any more.")


def exports(album: Album) -> None:
    page = album.portal.page
    goes_to(album, "Surveys")
    page.get_by_role("link", name="PHQ-9", exact=True).click()
    page.get_by_role("navigation", name="Survey").get_by_role("link", name="Answers").click()
    album.takes("The survey's answers: rates, questions, submissions, scores.")
    page.get_by_role("link", name="Submissions").first.click()
    page.get_by_role("table").get_by_role("link").first.click()
    expect(page.get_by_text("13").first).to_be_visible()
    album.takes("The submission with its score, 13: moderate.")
    page.go_back()
    page.get_by_role("link", name="Export").first.click()
    page.get_by_label("SPSS").check()
    album.takes("The answers as a file with labels.")
    page.get_by_role("button", name="Prepare the file").click()
    with page.expect_download(timeout=120_000) as download:
        page.get_by_role("link", name="Download").first.click(timeout=120_000)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "answers.sav"
        download.value.save_as(file)
        columns, meta = pyreadstat.read_sav(str(file), output_format="dict")
    assert list(columns["phq9"]) == [13.0]
    assert any("hurting yourself" in label for label in meta.column_labels if label)
