"""From an upload to a signed message: nothing lost, nothing twice, and a receiver that fails (CLAR-75)."""

import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from pydantic import SecretStr
from sqlalchemy.orm import Session

from core.access import Role
from core.audit import SERVER
from core.config import Settings, load_settings
from core.database import db
from core.models import (
    AuditRecord,
    OutgoingMessage,
    Participant,
    ParticipantActivity,
    Pause,
    Researcher,
    Study,
    Submission,
    Survey,
    Webhook,
    WebhookEvent,
)
from core.outgoing import pruning
from core.outgoing.delivering import deliver_waiting
from core.outgoing.pruning import prune_outgoing
from core.participants.rows import delete_rows
from core.processing import batch
from core.streams import DataStream, Platform
from core.webhooks.listing import MessageState, message_of_webhook, messages_of, webhooks_of
from core.webhooks.managing import (
    AddressRules,
    WebhookForm,
    WebhookRefused,
    new_key,
    replace_key,
    save_webhook,
    send_again,
    send_failed_again,
    send_test,
    switch_off,
    switch_on,
)
from core.webhooks.raising import note_answers, note_processed_data
from core.webhooks.results import OFF_AFTER, note_results
from core.webhooks.silence import watch_silence
from core.webhooks.telling import tell_of_events
from tests.support.answering import CONTENT, file_of, process, queue, submission, submits
from tests.support.factories import Factory
from tests.support.fakes.sinks import MailSink, WebhookSink, running_mail_sink, running_webhook_sink
from tests.support.gunicorn import gunicorn
from tests.support.ports import wait_until
from tests.support.this_hour import this_hour
from webapp.watching import refuse

HOUR = timedelta(hours=1)
LONG_AGO = datetime.now(UTC) - timedelta(days=60)
GIVEN: dict[str, Any] = {"mood": 0, "why": (), "energy": 2, "hours": "7", "rest": "I am not well"}
ACCELERATION = b"timestamp,UTC time,accuracy,x,y,z\n1767225600000,2026-01-01T00:00:00.000,2,0.1,0.2,0.3\n"
ALL = ("data.processed", "answer.arrived", "participant.silent")


@dataclass
class Told:
    """A study with a webhook that is told of everything, a participant and an administrator."""

    factory: Factory
    mail: MailSink
    hook: WebhookSink
    study: Study = field(init=False)
    head: Researcher = field(init=False)
    person: Participant = field(init=False)
    survey: Survey = field(init=False)
    number: int = field(init=False)
    sent: int = 0

    def __post_init__(self) -> None:
        self.study = self.factory.study("Mood")
        self.head = self.factory.researcher("head", study=self.study, role=Role.STUDY_ADMIN)
        self.head.mail_address = "head@x.example"
        self.person = self.factory.participant(self.study, platform=Platform.IOS)
        self.survey = self.factory.survey(self.study, name="Evening", content=json.dumps(CONTENT))
        db.session.commit()
        self.number = self.makes().id

    @property
    def webhook(self) -> Webhook:
        return db.session.get_one(Webhook, self.number)

    @property
    def settings(self) -> Settings:
        return load_settings(domain_name="beiwe.example", mail_url=SecretStr(self.mail.url))

    def makes(self, *events: str, at: datetime = LONG_AGO, **form: Any) -> Webhook:
        wanted = WebhookForm("Warehouse", self.hook.url, events or ALL, **form)
        webhook = save_webhook(db.session(), self.study, wanted, at, rules=AddressRules(is_strict=False), actor=SERVER)
        db.session.commit()
        return webhook

    def answers(self, survey: Survey | None = None) -> str:
        self.sent += 1
        at = this_hour() - HOUR + timedelta(minutes=self.sent)
        path = submits(self.person, survey or self.survey, at, file_of(GIVEN, Platform.IOS))
        process()
        return path

    def tells(self, at: datetime | None = None) -> int:
        count = tell_of_events(db.session(), self.settings, at or datetime.now(UTC))
        db.session.commit()
        return count

    def delivers(self, at: datetime | None = None, *, is_once: bool = False) -> None:
        db.session.commit()

        def note(session: Session, results: Any, now: datetime) -> None:
            note_results(session, self.settings, results, now)

        def once() -> int:
            return deliver_waiting(db.engine, self.settings, lambda: at or datetime.now(UTC), refuse, note_results=note)

        while once() and not is_once:
            pass
        for row in list(db.session):
            if isinstance(row, OutgoingMessage | Webhook):
                db.session.expire(row)

    def tests(self, at: datetime | None = None) -> None:
        send_test(db.session(), self.study, self.webhook, at or datetime.now(UTC), actor=SERVER)
        db.session.commit()

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.hook.posted]

    @property
    def kinds(self) -> list[str]:
        return sorted(body["type"] for body in self.bodies)


@pytest.fixture
def told(app: Flask, factory: Factory) -> Iterator[Told]:
    with running_mail_sink() as mail, running_webhook_sink() as hook:
        yield Told(factory, mail, hook)


def state(told: Told, wanted: MessageState | None = None) -> int:
    return len(messages_of(db.session(), told.webhook, wanted)[0])


def test_an_upload_is_told_once_signed_and_without_what_was_answered(told: Told):
    """CLAR-75, CLAR-58: through the real processing; ids and a link; other surveys are left out by the filter."""
    other = told.factory.survey(told.study, content=json.dumps(CONTENT))
    told.makes("answer.arrived", survey_ids=[other.id])
    queue(told.person, "accel/1767225600000.csv", ACCELERATION)
    path = told.answers()
    for _ in range(2):
        told.tells()
        told.delivers()
    assert told.kinds == ["answer.arrived", "data.processed"]
    by_kind = {body["type"]: body for body in told.bodies}
    answer, data = by_kind["answer.arrived"], by_kind["data.processed"]
    number = submission(path).id
    place = f"/view_study/{told.study.id}/survey/{told.survey.id}/answers/submissions/{number}"
    assert answer["study_id"] == told.study.object_id
    assert answer["data"]["participant_id"] == told.person.patient_id
    assert answer["data"]["survey_id"] == told.survey.object_id
    assert answer["data"]["submission_id"] == number
    assert answer["data"]["link"] == f"https://beiwe.example{place}"
    assert data["data"]["streams"] == ["accelerometer", "survey_answers"]
    assert data["data"]["first_time_bin"] == "2026-01-01T00:00:00+00:00" and data["data"]["chunks"] == 2
    headers, body = told.hook.posted[0]
    assert headers["webhook-id"] == json.loads(body)["id"]
    key = base64.b64decode(told.webhook.signing_key.removeprefix("whsec_"))
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mark = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mark}"
    assert not any(b"not well" in body for _, body in told.hook.posted)


def test_processing_that_is_killed_and_run_again_tells_once(told: Told, monkeypatch: pytest.MonkeyPatch):
    """CLAR-75: the event is of the batch's transaction. What is sent again as a duplicate is not told."""
    path = submits(told.person, told.survey, this_hour() - HOUR, file_of(GIVEN, Platform.IOS))
    with monkeypatch.context() as patch:

        def killed(*_: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(batch, "record_hour", killed)
        with pytest.raises(KeyboardInterrupt):
            process()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(WebhookEvent)) == 0
    process()
    again = path.removeprefix(f"{told.study.object_id}/{told.person.patient_id}/")
    queue(told.person, again.replace(".csv", ".csv-duplicate-abcdefghij"), file_of(GIVEN, Platform.IOS))
    process()
    told.tells()
    told.delivers()
    assert told.kinds.count("answer.arrived") == 1
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Submission)) >= 1


def test_a_study_without_webhooks_costs_no_statement_and_a_thousand_cost_few(told: Told):
    """CLAR-75: one statement for a batch; five for up to 500 events; the events of a switched-off webhook go."""
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    other = told.factory.participant(told.factory.study())
    several = [(DataStream.GPS, this_hour() - HOUR), (DataStream.GPS, this_hour()), (DataStream.WIFI, this_hour())]
    assert (other.study.is_told_of_data, told.person.study.is_told_of_data) == (False, True)
    numbers = db.session.scalars(
        sa.text(
            "INSERT INTO participants (patient_id, study_id, password_hash)"
            " SELECT 'p' || n, :study, '' FROM generate_series(1111, 2110) AS n WHERE position('0' in n::text) = 0"
            " RETURNING id"
        ),
        {"study": told.study.id},
    ).all()
    db.session.commit()
    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        note_processed_data(db.session(), other, several)
        assert statements == []
        note_processed_data(db.session(), told.person, several)
        note_processed_data(db.session(), told.person, [])
        assert len(statements) == 1
        row = {"study_id": told.study.id, "kind": "data.processed", "data": {"chunks": 1}, "at": datetime.now(UTC)}
        db.session.execute(sa.insert(WebhookEvent), [row | {"participant_id": number} for number in numbers])
        db.session.commit()
        statements.clear()
        counts = [told.tells(), told.tells(), told.tells()]
        assert sum(counts) == len(numbers) + 1 and max(counts) == 500
        assert len(statements) <= 3 * 5
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)
    messages = db.session.scalar(sa.select(sa.func.count()).select_from(OutgoingMessage))
    assert messages == len(numbers) + 1


def test_a_receiver_that_fails_and_comes_back_gets_the_same_contents_and_id(told: Told):
    """CLAR-75: others wait with the first while it fails, and all come when it is back."""
    told.hook.answers = [500, 302, 503]
    at = datetime.now(UTC)
    told.tests(at)
    told.delivers(at)
    assert told.webhook.failing_since and state(told, MessageState.FAILED) == 1
    told.answers()
    told.tells(at + timedelta(seconds=1))
    told.delivers(at + timedelta(seconds=2))
    assert len(told.hook.posted) == 1  # the new ones wait
    for seconds in (20, 60):
        told.delivers(at + timedelta(seconds=seconds))
    failed = [body for _, body in told.hook.posted]
    for minutes in (5, 10, 30, 80):
        told.delivers(at + timedelta(minutes=minutes))
    assert state(told, MessageState.DELIVERED) == 3 and told.webhook.failing_since is None
    ids = [headers["webhook-id"] for headers, _ in told.hook.posted]
    assert len(set(ids)) == 3 and len(ids) > 3
    bodies = {
        headers["webhook-id"]: {b for h, b in told.hook.posted if h["webhook-id"] == headers["webhook-id"]}
        for headers, _ in told.hook.posted
    }
    assert all(len(different) == 1 for different in bodies.values()) and failed


def test_a_receiver_that_hangs_leaves_time_for_others(told: Told, monkeypatch: pytest.MonkeyPatch):
    """CLAR-75: at most one round of tries, however much waits."""
    monkeypatch.setattr("core.outgoing.addresses.SECONDS", 0.2)
    told.hook.seconds = 1.0
    at = datetime.now(UTC)
    for _ in range(30):
        send_test(db.session(), told.study, told.webhook, at, actor=SERVER)
    db.session.commit()
    told.delivers(at)
    assert told.webhook.failed_tries == 8
    waiting = db.session.scalars(sa.select(OutgoingMessage.next_try_at)).all()
    assert set(waiting) == {told.webhook.rests_until}


def test_long_failure_switches_off_with_an_alert_and_nothing_old_is_sent_by_itself(told: Told):
    """CLAR-75: after five days and ten tries; the study's administrators get a mail; sending again is by hand."""
    at = datetime.now(UTC)
    told.tests(at)
    told.hook.answers = [500] * 1_000
    hours = 0
    while told.webhook.is_on and hours < 24 * 7:
        if hours % 24 == 0:
            told.tests(at + timedelta(hours=hours))
        told.delivers(at + timedelta(hours=hours))
        hours += 6
    assert OFF_AFTER <= timedelta(hours=hours) <= OFF_AFTER + timedelta(hours=12)
    assert told.webhook.off_because and "answered 500" in told.webhook.off_because
    told.delivers(at + timedelta(hours=hours))
    (mail,) = told.mail.mails
    assert mail["To"] == "head@x.example" and "switched off" in str(mail["Subject"])
    assert f"view_study/{told.study.id}/webhooks/{told.webhook.id}" in str(mail.get_payload())
    assert state(told, MessageState.GIVEN_UP) == state(told) > 0
    assert db.session.scalars(sa.select(AuditRecord.action).where(AuditRecord.action == "webhook.off")).all()
    told.answers()
    later = at + timedelta(hours=hours + 1)
    told.tells(later)
    told.hook.answers, told.hook.posted = [], []
    assert send_failed_again(db.session(), told.study, told.webhook, later, actor=SERVER) == 0  # it is off
    switch_on(db.session(), told.study, told.webhook, later, actor=SERVER)
    told.delivers(later)
    assert told.hook.posted == []
    failed = state(told, MessageState.GIVEN_UP)
    assert send_failed_again(db.session(), told.study, told.webhook, later, actor=SERVER) == failed
    told.delivers(later)
    assert len(told.hook.posted) == failed == state(told, MessageState.DELIVERED)
    one = message_of_webhook(db.session(), told.webhook, messages_of(db.session(), told.webhook)[0][0].id)
    assert one and send_again(db.session(), told.study, told.webhook, one, later, actor=SERVER)
    assert not send_again(db.session(), told.study, told.webhook, one, later, actor=SERVER)
    told.delivers(later)
    assert told.hook.posted[-1][0]["webhook-id"] == str(one.uuid) and len(told.hook.posted) == failed + 1


def test_a_single_message_that_is_given_up_is_told_and_forgotten(told: Told):
    """CLAR-75: ten days later one failure does not switch the webhook off."""
    at = datetime.now(UTC)
    told.tests(at)
    told.hook.answers = [500] * 1_000
    for hours in range(0, 84, 6):
        told.delivers(at + timedelta(hours=hours))
    assert state(told, MessageState.GIVEN_UP) == 1 and told.webhook.is_on and told.webhook.failing_since is None
    (mail,) = told.mail.mails
    assert "did not take 1 message" in str(mail["Subject"])
    told.hook.answers = [500]
    told.tests(at + timedelta(days=10))
    told.delivers(at + timedelta(days=10, seconds=1))
    assert told.webhook.is_on and len(told.mail.mails) == 1


def test_a_receiver_that_is_gone_is_not_tried_again(told: Told):
    """410 says so; people who lost the right to manage webhooks gets no mail."""
    told.hook.answers = [410]
    told.factory.role(told.head, told.study, Role.STUDY_RESEARCHER)
    other = told.factory.researcher("other", study=told.study, role=Role.STUDY_ADMIN)
    other.mail_address = "other@x.example"
    told.tests()
    told.delivers(is_once=True)
    assert not told.webhook.is_on
    told.factory.role(other, told.study, None)
    told.delivers()
    assert told.mail.mails == []


def test_both_keys_sign_for_a_day(told: Told):
    """CLAR-75: the receiver changes over without losing a message."""
    former = told.webhook.signing_key
    new = replace_key(db.session(), told.study, told.webhook, datetime.now(UTC), actor=SERVER)
    told.tests()
    told.delivers()
    headers, body = told.hook.posted[0]
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    marks = [
        base64.b64encode(hmac.new(base64.b64decode(key[6:]), text, hashlib.sha256).digest()).decode()
        for key in (new, former)
    ]
    assert headers["webhook-signature"].split() == [f"v1,{mark}" for mark in marks]
    told.webhook.former_key_until = datetime.now(UTC)
    told.tests()
    told.delivers()
    assert len(told.hook.posted[1][0]["webhook-signature"].split()) == 1


def test_silence_is_told_once_and_so_is_the_end_of_it(told: Told):
    """CLAR-75, CLAR-62: of registered participants of running studies, neither retired, test nor paused."""
    now = datetime.now(UTC)

    def heard(person: Participant, hours: int) -> None:
        values = {"last_upload_at": now - timedelta(hours=hours)}
        db.session.execute(sa.update(ParticipantActivity).filter_by(participant_id=person.id).values(**values))
        db.session.commit()

    def looks(hours: float = 0) -> int:
        count = watch_silence(db.session(), told.settings, now + timedelta(hours=hours))
        db.session.commit()
        return count

    paused = told.factory.participant(told.study)
    db.session.add(Pause(participant_id=paused.id, starts_at=now - HOUR, made_by="x"))
    left_out = [
        told.factory.participant(told.study, is_test=True),
        told.factory.participant(told.study, retired_at=now),
        told.factory.participant(told.study, platform=None),
        told.factory.participant(told.factory.study()),
        paused,
    ]
    for person in left_out:
        heard(person, 50)
    heard(told.person, 47)
    assert looks() == 0
    heard(told.person, 49)
    assert (looks(), looks(), looks(5)) == (1, 0, 0)
    heard(told.person, 0)
    assert (looks(), looks()) == (1, 0)
    assert looks(49) == 1  # the next silence
    told.delivers(now + timedelta(hours=50))
    order = ["participant.silent", "participant.heard_again"]
    silent, heard_again, _ = sorted(told.bodies, key=lambda each: (each["timestamp"], order.index(each["type"])))
    assert (silent["type"], heard_again["type"]) == ("participant.silent", "participant.heard_again")
    assert silent["data"]["participant_id"] == told.person.patient_id and silent["data"]["silent_after_hours"] == 48
    assert silent["data"]["silent_since"] == heard_again["data"]["silent_since"]
    told.study.end_on = date(2020, 1, 1)
    heard(told.person, 60)
    assert looks() == 0
    told.study.end_on = None
    told.makes("participant.silent", at=now)
    assert looks(60) == 0  # silent before the second webhook was made, and told to the first before


def test_what_was_before_the_webhook_or_while_it_was_off_is_not_told(told: Told):
    switch_off(db.session(), told.study, told.webhook, datetime.now(UTC), actor=SERVER)
    told.answers()
    assert told.tells() == 0
    switch_on(db.session(), told.study, told.webhook, datetime.now(UTC), actor=SERVER)
    note_answers(db.session(), [submission(told.answers()).id])
    db.session.execute(sa.update(WebhookEvent).values(at=datetime.now(UTC) - HOUR))
    assert told.tells() > 0
    told.delivers()
    assert told.hook.posted == []


def test_a_purge_takes_what_webhooks_were_told_of_the_participant(told: Told):
    """CLAR-74: of the log and of what waits; messages of others stay."""
    told.answers()
    told.tells()
    told.tests()
    told.answers()
    deleted = dict(delete_rows(db.session(), told.person.id, []))
    assert deleted["outgoing_messages"] == 2 and deleted["webhook_events"] == 2
    assert [line.kind for line in messages_of(db.session(), told.webhook)[0]] == ["webhook.test"]


def test_the_examples_of_the_document_verify_a_message_that_was_delivered(told: Told):
    """CLAR-75: Python and the shell, as docs/webhooks.md has them."""
    told.tests()
    told.delivers()
    (headers, body), key = told.hook.posted[0], told.webhook.signing_key
    text = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
    python, shell = (re.findall(rf"```{name}\n(.*?)```", text, re.DOTALL)[0] for name in ("python", "sh"))
    names: dict[str, Any] = {}
    exec(python, names)  # noqa: S102  the document's own example
    is_genuine = names["is_genuine"]
    assert is_genuine(key, headers, body)
    assert not is_genuine(key, headers, body + b" ")
    assert not is_genuine(new_key(), headers, body)
    assert not is_genuine(key, headers | {"webhook-timestamp": "1767225600"}, body)
    with TemporaryDirectory() as folder:
        (Path(folder) / "body").write_bytes(body)
        told.hook.posted.clear()
        given = {"KEY": key, "ID": headers["webhook-id"], "TIMESTAMP": headers["webhook-timestamp"]}
        environment = {**os.environ, **given, "URL": told.hook.url}
        run = subprocess.run(["sh", "-ec", shell], cwd=folder, env=environment, capture_output=True, text=True)
    assert run.stdout.splitlines()[0] == headers["webhook-signature"], run.stderr
    assert told.hook.posted[0][1] == body and is_genuine(key, told.hook.posted[0][0], body)


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"name": " "}, "name"),
        ({"address": "http://10.0.0.1/"}, "address"),
        ({"address": "http://127.0.0.1/"}, "address"),
        ({"events": ["webhook.test"]}, "events"),
        ({"silent_after_hours": 5}, "silent_after_hours"),
        ({"silent_after_hours": None}, "silent_after_hours"),
        ({"survey_ids": [999_999]}, "survey_ids"),
    ],
)
def test_what_cannot_be_saved_is_refused_at_its_field(told: Told, changes: dict[str, Any], at: str):
    form = {"name": "A", "address": "https://x.example/", "events": ALL} | changes
    with pytest.raises(WebhookRefused) as refused:
        save_webhook(db.session(), told.study, WebhookForm(**form), this_hour(), actor=SERVER)
    assert refused.value.field == at


def test_private_addresses_are_refused_at_each_try_unless_the_setting_allows_them(told: Told):
    """CLAR-75: also an address that was saved when it was allowed."""
    told.tests()
    strict = load_settings(environment="test")
    assert not strict.webhooks_to_private_addresses
    strict = strict.model_copy(update={"environment": "production"})
    deliver_waiting(db.engine, strict, refuse=refuse)
    assert told.hook.posted == []
    (line,), _ = messages_of(db.session(), told.webhook, MessageState.FAILED)
    assert line.problem == "The address must begin with https://."
    allowing = strict.model_copy(update={"webhooks_to_private_addresses": True})
    deliver_waiting(db.engine, allowing, lambda: datetime.now(UTC) + HOUR, refuse)
    assert len(told.hook.posted) == 1


def test_an_address_that_cannot_be_read_stops_no_other(told: Told):
    other = told.makes()
    told.tests()
    db.session.execute(sa.text("UPDATE webhooks SET address = 'v1.broken' WHERE id = :id"), {"id": other.id})
    db.session.commit()
    for webhook in (other, told.webhook):
        db.session.expire(webhook)
    assert {line.host for line in webhooks_of(db.session(), told.study)} == {None, f"127.0.0.1:{told.hook.port}"}
    told.answers()
    told.tells()
    told.delivers()
    assert told.kinds == ["answer.arrived", "data.processed", "webhook.test"]
    problems = {each.problem for each in messages_of(db.session(), other)[0]}
    assert problems == {"Not sent: its address cannot be read with this server's FLASK_SECRET_KEY."}


def test_old_messages_of_the_log_go_also_those_that_were_given_up(told: Told, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pruning, "check_clock", lambda _: None)
    told.tests()
    switch_off(db.session(), told.study, told.webhook, datetime.now(UTC), actor=SERVER)
    db.session.execute(sa.update(OutgoingMessage).values(created_at=this_hour() - timedelta(days=400)))
    assert [count for _, count in prune_outgoing(db.session(), 365, this_hour())] == [1]


def test_the_web_server_tells_and_delivers_by_itself(told: Told):
    """CLAR-75: the threads of the real gunicorn, from a processed answer to the receiver; each message once."""
    told.answers()
    db.session.commit()
    with gunicorn(DOMAIN_NAME="beiwe.example", WEB_WORKERS="2"):
        wait_until(lambda: len(told.hook.posted) >= 2, 60)
    assert sorted(json.loads(body)["type"] for _, body in told.hook.posted) == ["answer.arrived", "data.processed"]
