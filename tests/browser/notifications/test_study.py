"""Notifications of a study and a participant, by mouse and by keyboard, narrow and wide."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from core.database import db
from core.models import NotificationAttempt, Participant, PushToken, ScheduledEvent, Study, Survey
from core.models.survey import SurveyVersion
from tests.browser.navigator import Portal
from tests.browser.surveys.test_surveys import looks_right
from tests.support.factories import Factory

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def person(factory: Factory) -> Participant:
    """A participant with a survey that was sent, one that was refused, and one to come."""
    study: Study = factory.study("Mood and movement")
    factory.researcher("mlopez", study=study)
    person, survey = factory.participant(study), factory.survey(study, name="Evening check")
    now = datetime.now(UTC)
    db.session.add(PushToken(participant_id=person.id, service="fcm", token="the-token"))
    events(person, survey, now)
    db.session.commit()
    return person


def events(person: Participant, survey: Survey, now: datetime) -> None:
    version = db.session.scalars(db.select(SurveyVersion.id).where(SurveyVersion.survey_id == survey.id)).first()
    for days, status in ((2, "success"), (1, "QUOTA_EXCEEDED: too many messages")):
        at = now - timedelta(days=days)
        of = {"survey_version_id": version, "participant_id": person.id, "scheduled_at": at, "attempted_at": at}
        db.session.add(NotificationAttempt(**of, kind="weekly", status=status))
    for hours in (-24, 3):
        at = now + timedelta(hours=hours)
        db.session.add(ScheduledEvent(survey_id=survey.id, participant_id=person.id, scheduled_at=at))


def test_from_the_study_to_the_reason_of_one_notification(portal: Portal, person: Participant):
    """CLAR-62, PORTAL-140."""
    page = portal.page
    portal.signs_in("mlopez")
    page.get_by_role("navigation", name="Study").get_by_role("link", name="Notifications").click()
    portal.sees_heading("Notifications")
    expect(page.get_by_role("region", name="The coming 24 hours", exact=True)).to_contain_text("Evening check")
    for size in ((375, "light"), (1280, "dark"), (1280, "light")):
        looks_right(portal, *size)
    page.get_by_role("region", name="Not reached", exact=True).get_by_role("link", name=person.patient_id).click()
    expect(page.get_by_text("QUOTA_EXCEEDED")).to_be_visible()
    for size in ((375, "dark"), (1280, "light")):
        looks_right(portal, *size)
    page.get_by_role("link", name="Why not sent?").first.click()
    expect(page.get_by_role("heading", name="Why was this not sent?")).to_be_visible()
    expect(page.locator(".banner:visible")).to_contain_text("No credentials")
    for size in ((375, "light"), (1280, "dark")):
        looks_right(portal, *size)


def test_quiet_hours_and_a_message_by_keyboard(portal: Portal, person: Participant):
    """CLAR-54, NOTIF-70."""
    page = portal.page
    portal.signs_in("mlopez")
    portal.sees_heading("Mood and movement")
    portal.opens(f"/view_study/{person.study_id}/notifications")
    page.get_by_label("No push from").focus()
    page.keyboard.type("1030PM")
    page.get_by_label("No push until").focus()
    page.keyboard.type("0700AM")
    portal.presses("Enter")
    expect(page.get_by_text("The hours were saved.")).to_be_visible()
    expect(page.get_by_label("No push from")).to_have_value("22:30")
    portal.opens(f"/view_study/{person.study_id}/notifications/message")
    page.get_by_label("everybody who takes part").focus()
    portal.presses("Space")
    page.get_by_label("Text", exact=True).focus()
    page.keyboard.type("Please call us")
    page.get_by_role("button", name="See whom it reaches").focus()
    portal.presses("Enter")
    expect(page.get_by_text("It reaches nobody.")).to_be_visible()
    expect(page.get_by_text("no credentials")).to_be_visible()
    expect(page.get_by_label("Text", exact=True)).to_have_value("Please call us")
    for size in ((375, "dark"), (1280, "light")):
        looks_right(portal, *size)
