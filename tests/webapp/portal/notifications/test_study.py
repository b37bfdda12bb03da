"""A study's notifications: the coming day, delivery, quiet hours, and messages (CLAR-54, CLAR-62, NOTIF-70)."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

import pytest
from flask import Flask

from core.audit import SERVER
from core.database import db
from core.models import (
    CredentialKind,
    NotificationAttempt,
    Participant,
    PushToken,
    ScheduledEvent,
    Study,
    Survey,
    SystemEvent,
)
from core.models.survey import SurveyVersion
from core.notifications.credentials import store_credential
from tests.core.notifications.test_credentials import as_json
from tests.support.factories import Factory
from tests.support.fakes.google import FakeGoogle, running_google
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture(autouse=True)
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGoogle]:
    """Stands in for Google; must be there before the application reads its settings."""
    with running_google() as fake:
        monkeypatch.setenv("FCM_URL", fake.url)
        yield fake


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Mood")


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("mlopez", study=study))


@pytest.fixture
def survey(factory: Factory, study: Study) -> Survey:
    return factory.survey(study, name="Evening")


@pytest.fixture
def person(factory: Factory, study: Study) -> Participant:
    """A participant whose phone has a token."""
    person = factory.participant(study)
    db.session.add(PushToken(participant_id=person.id, service="fcm", token="the-token"))
    db.session.commit()
    return person


@pytest.fixture
def credentials(app: Flask, google: FakeGoogle) -> None:
    store_credential(
        db.session(), CredentialKind.BACKEND, as_json(google.service_account), datetime.now(UTC), actor=SERVER
    )
    db.session.commit()


def an_event(person: Participant, survey: Survey, at: datetime) -> None:
    db.session.add(ScheduledEvent(participant_id=person.id, survey_id=survey.id, scheduled_at=at))
    db.session.commit()


def an_attempt(person: Participant, survey: Survey, at: datetime, status: str) -> None:
    version = db.session.scalars(db.select(SurveyVersion.id).where(SurveyVersion.survey_id == survey.id)).first()
    db.session.add(
        NotificationAttempt(
            survey_version_id=version, participant_id=person.id, kind="weekly", scheduled_at=at, status=status
        )
    )
    db.session.commit()


def test_without_credentials_the_page_says_so_and_the_coming_day_is_counted(
    visitor: Visitor, study: Study, survey: Survey, person: Participant, factory: Factory
):
    """CLAR-62, NOTIF-33."""
    soon = datetime.now(UTC) + timedelta(hours=2)
    an_event(person, survey, soon)
    an_event(factory.participant(study), survey, soon)
    page = visitor.get(f"/view_study/{study.id}/notifications").text
    assert "Push messages are not set up." in page
    assert '<td class="num">2</td><td class="num">1</td>' in page  # asked, with a token


def test_who_was_not_reached_is_listed_with_the_reason_and_downloaded(
    visitor: Visitor, study: Study, survey: Survey, person: Participant
):
    """CLAR-62: what a spreadsheet would run as a formula stays a text."""
    an_attempt(person, survey, datetime.now(UTC) - timedelta(hours=3), "=SUM(1) the service said no")
    page = visitor.get(f"/view_study/{study.id}/notifications").text
    assert person.patient_id in page and "the service said no" in page
    file = visitor.get(f"/view_study/{study.id}/notifications/not_reached.csv")
    assert file.mimetype == "text/csv" and person.patient_id in file.text and ",=SUM" not in file.text


def test_quiet_hours_are_set_refused_and_taken_back(visitor: Visitor, study: Study):
    """CLAR-54."""
    address = f"/view_study/{study.id}/notifications/quiet_hours"
    hours = {"quiet_from": "22:30", "quiet_until": "07:00", "rests_from": "", "rests_until": ""}
    assert visitor.post(address, **hours).status_code == 302
    db.session.refresh(study)
    assert (study.quiet_from, study.quiet_until) == (time(22, 30), time(7))
    assert (study.resends_rest_from, study.resends_rest_until) == (None, None)
    for wrong in ({"quiet_until": ""}, {"quiet_from": "25:00"}, {"quiet_until": "22:30"}):
        answer = visitor.post(address, **(hours | wrong))
        assert answer.status_code == 422 and 'role="alert"' in answer.text
    assert visitor.post(address).status_code == 302
    db.session.refresh(study)
    assert study.quiet_from is None


@pytest.mark.usefixtures("credentials")
def test_a_message_is_previewed_and_then_sent(
    visitor: Visitor, study: Study, person: Participant, factory: Factory, google: FakeGoogle
):
    """NOTIF-70: counted first; a participant without a token is named with the reason."""
    factory.participant(study)
    address = f"/view_study/{study.id}/notifications/message"
    shown = visitor.post(address, to="all", text=" Call us 😀 <b> ")
    assert "1 phone with Android" in shown.text and "Not 1 participant: The phone has told" in shown.text
    assert google.messages == []
    sent = visitor.post(address, to="all", text="Call us 😀 <b>", confirmed="Call us 😀 <b>")
    assert sent.status_code == 302
    assert "accepted for 1 of 1 participant" in visitor.get(sent.location).text
    (message,) = google.messages
    assert "Call us 😀 <b>" in str(message)


def test_a_message_to_nobody_or_without_a_text_is_refused(visitor: Visitor, study: Study, factory: Factory):
    """NOTIF-70: also to a participant of another study."""
    stranger = factory.participant(factory.study("Other"))
    address = f"/view_study/{study.id}/notifications/message"
    for fields, said in (
        ({"to": "ids", "ids": "", "text": "x"}, "Nobody is chosen."),
        ({"to": "ids", "ids": stranger.patient_id, "text": "x"}, "There is no participant"),
        ({"to": "all", "text": " "}, "A message has 1 to"),
    ):
        answer = visitor.post(address, **fields)
        assert answer.status_code == 422 and said in answer.text


@pytest.mark.usefixtures("credentials")
def test_a_survey_is_sent_now_and_is_in_the_history(
    visitor: Visitor, study: Study, survey: Survey, person: Participant, google: FakeGoogle
):
    """PORTAL-137, PORTAL-140, NOTIF-70."""
    address = f"/{study.id}/send_survey_notification/{person.patient_id}"
    assert visitor.post(address).status_code == 400
    assert visitor.post(address, survey_id="999").status_code == 404
    sent = visitor.post(address, survey_id=str(survey.id))
    page = visitor.get(sent.location).text
    assert f"Evening was sent to {person.patient_id}" in page and "by mlopez" in page and "Accepted" in page
    assert len(google.messages) == 1


@pytest.mark.usefixtures("credentials")
def test_a_second_press_of_the_button_sends_nothing(
    visitor: Visitor, study: Study, survey: Survey, person: Participant, google: FakeGoogle
):
    """NOTIF-70: of the form for a survey, and of that for a text."""
    history = f"/view_study/{study.id}/participant/{person.patient_id}/notification_history"
    key = key_in(visitor.get(history).text)
    assert key != key_in(visitor.get(history).text)
    sends = [
        (f"/{study.id}/send_survey_notification/{person.patient_id}", {"survey_id": str(survey.id)}),
        (f"/view_study/{study.id}/notifications/message", {"to": "all", "text": "Hello", "confirmed": "Hello"}),
    ]
    for count, (address, fields) in enumerate(sends, 1):
        preview = {name: value for name, value in fields.items() if name != "confirmed"}
        key = key if count == 1 else key_in(visitor.post(address, **preview).text)
        for _ in range(2):
            answered = visitor.post(address, **fields, form_key=key)
        assert "nothing was sent a second time" in visitor.get(answered.location).text
        assert len(google.messages) == count


def key_in(page: str) -> str:
    """The key of the form on a page."""
    return page.partition('name="form_key" value="')[2].partition('"')[0]


def test_a_survey_that_cannot_be_sent_says_why(visitor: Visitor, study: Study, survey: Survey, person: Participant):
    """PORTAL-137: the reason is shown, and in the history."""
    sent = visitor.post(f"/{study.id}/send_survey_notification/{person.patient_id}", survey_id=str(survey.id))
    page = visitor.get(sent.location).text
    assert page.count("no credentials") == 2


def test_why_something_was_not_sent_names_the_first_condition_and_what_to_do(
    visitor: Visitor, study: Study, survey: Survey, person: Participant
):
    """CLAR-62."""
    at = datetime.now(UTC) - timedelta(hours=1)
    an_event(person, survey, at)
    history = visitor.get(f"/view_study/{study.id}/participant/{person.patient_id}/notification_history").text
    assert "Scheduled" in history and "Why not sent?" in history
    why = f"/view_study/{study.id}/participant/{person.patient_id}/notification_history/why"
    page = visitor.get(f"{why}?survey={survey.id}&at={at:%Y-%m-%dT%H:%M:%S.%fZ}").text
    assert "No credentials for the token" in page and "A site administrator uploads them." in page
    assert visitor.get(f"{why}?survey={survey.id}&at=soon").status_code == 400
    assert visitor.get(f"{why}?survey=77&at=2026-01-01").status_code == 404


@pytest.mark.parametrize(("until", "status"), [("2026-03-01", 200), ("soon", 400), ("9999-12-31", 400)])
def test_the_history_goes_back_by_two_weeks(
    visitor: Visitor, study: Study, person: Participant, until: str, status: int
):
    """PORTAL-140."""
    address = f"/view_study/{study.id}/participant/{person.patient_id}/notification_history?until={until}"
    assert visitor.get(address).status_code == status


def test_a_trouble_that_lasts_is_told_to_site_administrators_and_the_study(
    app: Flask, factory: Factory, visitor: Visitor, study: Study
):
    """CLAR-62: in a banner, until it is over."""
    row = SystemEvent(kind="sender silent", text="No push notification has been sent.", began_at=datetime.now(UTC))
    db.session.add(row)
    db.session.commit()
    administrator = Visitor(app, factory.researcher("admin", is_site_admin=True))
    assert "No push notification has been sent." in administrator.get("/manage_firebase_credentials").text
    assert "No push notification has been sent." in visitor.get(f"/view_study/{study.id}/notifications").text
    assert "No push notification has been sent." not in visitor.get(f"/view_study/{study.id}/surveys").text
    row.ended_at = datetime.now(UTC)
    db.session.commit()
    assert "No push notification has been sent." not in administrator.get("/manage_firebase_credentials").text
