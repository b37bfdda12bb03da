"""An alert's whole way as people have it: portal, phone, processing and mail, over HTTP and SMTP alone (CLAR-58)."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from core.audit import SERVER
from core.database import db
from core.models import Participant, Survey, SurveyType
from core.surveys.drafts import publish_draft, save_draft
from core.surveys.saving import SurveyChanges, create_survey, save_survey
from ops.phones import Phone, Platform, Transport
from tests.support.answering import queue
from tests.support.commands import command
from tests.support.factories import PASSWORD, RESEARCHER_PASSWORD, Factory
from tests.support.fakes.sinks import MailSink, running_mail_sink
from tests.support.gunicorn import gunicorn
from tests.support.ports import wait_until

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
QUESTION: dict[str, Any] = {
    "question_id": "low",
    "question_type": "radio_button",
    "question_text": "How do you feel?",
    "answers": [{"text": "very bad"}],
    "required": True,
    "display_if": None,
}
PROMISED_SECONDS = 120


class Browser:
    """A person at the portal: pages and forms with cookies, and nothing else."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()))

    def get(self, path: str) -> str:
        """The text of a page."""
        return self._open(Request(f"{self._server}{path}", headers={"Accept": "text/html"}))

    def post(self, page: str, path: str, **fields: str) -> str:
        """Sends a form that is on the page; the text of the page that follows."""
        found = TOKEN.search(self.get(page))
        form = fields | ({"csrf_token": found[1]} if found else {})
        data = urlencode(form).encode()
        return self._open(Request(f"{self._server}{path}", data, {"Accept": "text/html", "Referer": self._server}))

    def _open(self, request: Request) -> str:
        with self._opener.open(request, timeout=30) as answer:
            text: str = answer.read().decode()
            return text


@pytest.fixture
def mail() -> Iterator[MailSink]:
    with running_mail_sink() as sink:
        yield sink


def published(participant: Participant) -> Survey:
    session, now = db.session(), datetime.now(UTC)
    survey = create_survey(session, participant.study, SurveyType.TRACKING, now, actor=SERVER)
    save_survey(session, survey, SurveyChanges(name="Evening"), now, actor=SERVER)
    save_draft(session, survey, [QUESTION], {}, number=survey.edit_number, now=now, actor=SERVER)
    assert publish_draft(session, survey, number=survey.edit_number, now=now, actor=SERVER)
    session.commit()
    return survey


def backlog(factory: Factory, participant: Participant, people: int, files: int) -> None:
    """Uploads of others that wait for processing."""
    rows = "".join(f"{1_717_236_000_000 + n * 200},2024-06-01T10:00:00.000,0.1,0.2,0.3\n" for n in range(2_000))
    contents = f"timestamp,accuracy,x,y,z\n{rows}".encode()
    for _ in range(people):
        other = factory.participant(participant.study)
        for number in range(files):
            queue(other, f"accel/{1_717_236_000_000 + number * 3_600_000}.csv", contents)


@pytest.mark.parametrize(
    ("people", "files"), [(0, 0), pytest.param(60, 40, marks=pytest.mark.long, id="beside a backlog")]
)
def test_from_the_rule_in_the_portal_to_the_mail_and_the_acknowledgement(
    factory: Factory, mail: MailSink, people: int, files: int
):
    """CLAR-58: within two minutes from the upload, and nothing of Prefect has a part in the mail."""
    participant = factory.participant(platform=None)
    survey, study = published(participant), participant.study
    nurse = factory.researcher("nurse", study=study)
    nurse.mail_address = "nurse@x.example"
    db.session.commit()
    backlog(factory, participant, people, files)
    with gunicorn(MAIL_URL=mail.url, DOMAIN_NAME="beiwe.example", WEB_WORKERS="2") as server:
        person, of = Browser(server), f"/view_study/{study.id}/alerts"
        person.post("/", "/validate_login", username="nurse", password=RESEARCHER_PASSWORD)
        form = f"{of}/rules/new?survey={survey.id}&question=low"
        fields = {"survey": str(survey.id), "question": "low", "options": "very bad", "comparison": "any of"}
        assert "The rule was saved" in person.post(form, f"{of}/rules/new", recipients=str(nurse.id), **fields)

        phone = Phone(participant.patient_id, PASSWORD, Platform.IOS, Transport(server))
        phone.register()
        phone.download_surveys()
        phone.answer_surveys(int(time.time() * 1_000))
        began = time.monotonic()
        assert {answer.status for answer in phone.upload_round()} == {200}
        report = command("process-uploads")
        processed = time.monotonic()
        assert report["failed"] == 0
        wait_until(lambda: bool(mail.mails), PROMISED_SECONDS)
        arrived = time.monotonic()
        assert arrived - began < PROMISED_SECONDS
        print(f"upload to mail {arrived - began:.1f} s; after processing {max(arrived - processed, 0):.1f} s")

        (one,) = mail.mails
        link = re.search(r"https://beiwe\.example(/\S+)", str(one.get_payload()))
        assert link and one["To"] == "nurse@x.example" and "very bad" not in one.as_string()
        assert "very bad" in person.get(link[1])
        person.post(link[1], f"{link[1]}/acknowledge", note="Called.")
        assert "Called." in person.get(link[1]) and "Nothing to look at" in person.get(of)
    assert len(mail.mails) == 1
