"""From an upload to an acknowledged alert: nothing lost, nothing twice (CLAR-58)."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from pydantic import SecretStr
from sqlalchemy.orm import Session

from core.access import Role
from core.accounts.roles import set_role
from core.answer_alerts import telling
from core.answer_alerts.listing import AlertState, alerts_of, messages_about, open_alert_count
from core.answer_alerts.managing import (
    NoteRefused,
    RuleForm,
    RuleRefused,
    acknowledge,
    edited_since,
    remove_rule,
    save_rule,
    watchable,
)
from core.answer_alerts.raising import raise_alerts
from core.answer_alerts.telling import refuse_message, tell_of_alerts
from core.audit import SERVER
from core.config import Settings, load_settings
from core.database import db
from core.models import (
    AlertRule,
    AnswerAlert,
    Comparison,
    OutgoingMessage,
    Participant,
    Researcher,
    Study,
    Submission,
    Survey,
)
from core.outgoing.delivering import deliver_waiting
from core.streams import Platform
from tests.support.answering import CONTENT, file_of, process, submission, submits
from tests.support.factories import Factory
from tests.support.fakes.sinks import MailSink, WebhookSink, running_mail_sink, running_webhook_sink
from tests.support.this_hour import this_hour

HOUR = timedelta(hours=1)
BAD: dict[str, Any] = {"mood": 0, "why": (), "energy": 2, "hours": "7", "rest": "I am not well"}
GOOD: dict[str, Any] = {"mood": 2, "energy": 8, "hours": "8", "rest": "well"}
BEFORE = datetime.now(UTC) - timedelta(days=1)


@dataclass
class Watched:
    """A study with a survey, a participant, and somebody who is told of low mood."""

    factory: Factory
    mail: MailSink
    hook: WebhookSink
    study: Study = field(init=False)
    nurse: Researcher = field(init=False)
    chief: Researcher = field(init=False)
    person: Participant = field(init=False)
    survey: Survey = field(init=False)
    sent: int = 0

    def __post_init__(self) -> None:
        self.study = self.factory.study("Mood")
        self.nurse, self.chief = (self.factory.researcher(name, study=self.study) for name in ("nurse", "chief"))
        self.nurse.mail_address, self.chief.mail_address = "nurse@x.example", "chief@x.example"
        self.person = self.factory.participant(self.study, platform=Platform.IOS)
        self.survey = self.factory.survey(self.study, name="Evening", content=json.dumps(CONTENT))
        db.session.commit()

    @property
    def settings(self) -> Settings:
        return load_settings(domain_name="beiwe.example", mail_url=SecretStr(self.mail.url))

    def rule(self, question: int = 0, at: datetime = BEFORE, **form: Any) -> AlertRule:
        asked = watchable(CONTENT)[question]
        wanted: dict[str, Any] = {"comparison": Comparison.ANY_OF, "options": ["bad"], "recipients": [self.nurse.id]}
        rule, _ = save_rule(
            db.session(), self.study, self.survey, asked, RuleForm(**(wanted | form)), at, is_strict=False, actor=SERVER
        )
        db.session.commit()
        return rule

    def answers(self, given: dict[str, Any], person: Participant | None = None) -> str:
        """A submission, uploaded now and processed."""
        self.sent += 1
        at = this_hour() - HOUR + timedelta(minutes=self.sent)
        path = submits(person or self.person, self.survey, at, file_of(given, Platform.IOS))
        process()
        return path

    def pass_by(self, at: datetime | None = None) -> None:
        """What the web process does every few seconds."""
        now = at or datetime.now(UTC)
        tell_of_alerts(db.session(), self.settings, now)
        db.session.commit()
        while deliver_waiting(db.engine, self.settings, lambda: now, refuse_message):
            pass
        for row in list(db.session):
            if isinstance(row, AnswerAlert | OutgoingMessage):
                db.session.expire(row)

    def open(self) -> int:
        return open_alert_count(db.session(), self.study.id)


@pytest.fixture
def watched(app: Flask, factory: Factory) -> Iterator[Watched]:
    with running_mail_sink() as mail, running_webhook_sink() as hook:
        yield Watched(factory, mail, hook)


def alerts() -> list[AnswerAlert]:
    return list(db.session.scalars(db.select(AnswerAlert).order_by(AnswerAlert.id)))


def test_from_the_upload_to_the_mail_the_webhook_and_the_acknowledgement(watched: Watched):
    """CLAR-58: in the portal, by mail and webhook, once; the messages hold ids and a link, and no answer."""
    rule = watched.rule(webhook_address=watched.hook.url)
    watched.answers(GOOD)
    assert watched.open() == 0
    watched.answers(BAD)
    assert watched.open() == 1
    for _ in range(3):
        watched.pass_by()
    (mail,), ((headers, body),) = watched.mail.mails, watched.hook.posted
    text = f"{mail['Subject']} {mail.get_payload()}"
    (alert,) = alerts()
    assert mail["To"] == "nurse@x.example" and watched.person.patient_id in text
    assert f"https://beiwe.example/view_study/{watched.study.id}/alerts/{alert.id}" in text
    said = json.loads(body)
    assert said["type"] == "answer_alert.raised" and said["data"]["question"] == "mood" and rule.webhook_key
    assert headers["webhook-signature"].startswith("v1,")
    for private in ("bad", "not well", "How was your mood"):
        assert private not in text and private not in body.decode()
    assert acknowledge(db.session(), alert, "Called, all is well.", datetime.now(UTC), actor=SERVER)
    assert not acknowledge(db.session(), alert, "Me too.", datetime.now(UTC), actor=SERVER)
    assert (alert.note, watched.open()) == ("Called, all is well.", 0)


def test_failing_and_slow_sinks_lose_nothing_and_repeat_nothing(watched: Watched, monkeypatch: pytest.MonkeyPatch):
    """CLAR-58: mail and webhook refuse, hang, and come back."""
    monkeypatch.setattr("core.outgoing.addresses.SECONDS", 0.3)
    watched.rule(webhook_address=watched.hook.url)
    watched.mail.answer, watched.hook.answers = "451 later", [500]
    watched.answers(BAD)
    at = datetime.now(UTC)
    watched.pass_by(at)
    watched.hook.seconds = 1.0
    watched.pass_by(at + timedelta(minutes=1))
    (alert,) = alerts()
    assert {bool(message.problem) for message in messages_about(db.session(), alert)} == {True}
    watched.mail.answer, watched.hook.seconds = None, 0.0
    for minutes in (5, 10, 15):
        watched.pass_by(at + timedelta(minutes=minutes))
    assert len(watched.mail.mails) == 1
    assert {headers["webhook-id"] for headers, _ in watched.hook.posted} and watched.open() == 1
    assert len({headers["webhook-id"] for headers, _ in watched.hook.posted}) == 1
    assert all(message.delivered_at for message in messages_about(db.session(), alert))


def test_older_submissions_are_listed_and_nobody_is_told(watched: Watched):
    """CLAR-58: a rule acts on what is uploaded after it was made."""
    path = watched.answers(BAD)
    watched.rule(at=datetime.now(UTC))
    watched.pass_by()
    lines, _ = alerts_of(db.session(), watched.study, AlertState.EARLIER)
    assert [line.alert.submission_id for line in lines] == [submission(path).id]
    assert (watched.open(), watched.mail.mails) == (0, [])


def test_what_is_read_later_or_again_raises_nothing(watched: Watched):
    """CLAR-58: imports, reprocessing and duplicates."""
    watched.rule()
    number = submission(watched.answers(BAD)).id
    watched.pass_by()
    raise_alerts(db.session(), [number], is_new=True)
    raise_alerts(db.session(), [number], is_new=False)
    db.session.commit()
    watched.pass_by()
    assert (len(alerts()), len(watched.mail.mails)) == (1, 1)
    other = submission(watched.answers(BAD)).id
    db.session.execute(db.delete(AnswerAlert).where(AnswerAlert.submission_id == other))
    raise_alerts(db.session(), [other], is_new=False)
    db.session.commit()
    watched.pass_by()
    assert [alert.is_listed_only for alert in alerts()] == [False, True] and len(watched.mail.mails) == 1


def test_nobody_acknowledges_and_others_are_told_once(watched: Watched):
    """CLAR-58: what nobody acknowledged escalates."""
    watched.rule(escalation=[watched.chief.id], escalates_after_minutes=30)
    watched.answers(BAD)
    at = datetime.now(UTC)
    for minutes in (0, 29, 31, 32, 90):
        watched.pass_by(at + timedelta(minutes=minutes))
    assert [mail["To"] for mail in watched.mail.mails] == ["nurse@x.example", "chief@x.example"]
    assert "Nobody acknowledged" in str(watched.mail.mails[1]["Subject"])


def test_what_was_acknowledged_neither_escalates_nor_is_sent_late(watched: Watched):
    watched.rule(escalation=[watched.chief.id], escalates_after_minutes=30)
    watched.mail.answer = "451 later"
    watched.answers(BAD)
    at = datetime.now(UTC)
    watched.pass_by(at)
    acknowledge(db.session(), alerts()[0], "Seen in the portal.", at, actor=SERVER)
    watched.mail.answer = None
    for minutes in (5, 40):
        watched.pass_by(at + timedelta(minutes=minutes))
    assert watched.mail.mails == []
    assert "was acknowledged" in (messages_about(db.session(), alerts()[0])[0].problem or "")


def test_rights_are_looked_at_before_each_try(watched: Watched):
    """CLAR-58: a mail that waits is not sent to somebody who has left the study; the alert says who was not told."""
    watched.rule(recipients=[watched.nurse.id, watched.chief.id])
    watched.mail.answer = "451 later"
    watched.answers(BAD)
    at = datetime.now(UTC)
    watched.pass_by(at)
    set_role(db.session(), watched.study, watched.nurse, None, actor=SERVER)
    db.session.commit()
    watched.mail.answer = None
    watched.pass_by(at + timedelta(minutes=5))
    assert [mail["To"] for mail in watched.mail.mails] == ["chief@x.example"]
    watched.answers(BAD)
    watched.pass_by(at + timedelta(minutes=6))
    assert alerts()[1].untold == "nurse: no right to read answers of the study"


def test_where_nobody_can_be_told_the_alert_says_so(watched: Watched):
    watched.rule()
    watched.nurse.mail_address = None
    watched.answers(BAD)
    watched.pass_by()
    assert alerts()[0].untold == "Nobody could be told. nurse: no mail address in the account"
    assert watched.open() == 1


def test_a_file_that_cannot_be_read_matches_unsurely(watched: Watched):
    """In doubt somebody looks."""
    watched.rule()
    submits(watched.person, watched.survey, this_hour() - HOUR, b"\x00\x01 no answers")
    process()
    assert [alert.is_unsure for alert in alerts()] == [True] and watched.open() == 1


def test_a_question_that_was_edited_matches_unsurely_and_the_rule_says_so(watched: Watched):
    rule = watched.rule()
    edited = [CONTENT[0] | {"answers": [{"text": "very bad"}, *CONTENT[0]["answers"][1:]]}, *CONTENT[1:]]
    submits(watched.person, watched.survey, this_hour() - HOUR, file_of(BAD, Platform.IOS, edited))
    process()
    assert [alert.is_unsure for alert in alerts()] == [True]
    assert edited_since(rule, watchable(edited)[0]) and not edited_since(rule, watchable(CONTENT)[0])
    assert edited_since(rule, None)


def test_sliders_and_typed_numbers_are_compared(watched: Watched):
    for question, value in ((2, 3.0), (3, 7.5)):
        watched.rule(question, comparison=Comparison.BELOW, options=(), value=value)
    watched.answers(BAD)
    watched.answers(GOOD)
    assert watched.open() == 2


def test_a_removed_rule_raises_nothing_and_its_alerts_stay(watched: Watched):
    watched.rule()
    watched.answers(BAD)
    rule = db.session.scalars(db.select(AlertRule)).one()
    remove_rule(db.session(), watched.study, rule, datetime.now(UTC), actor=SERVER)
    db.session.commit()
    watched.answers(BAD)
    assert len(alerts()) == 1


def test_an_upload_that_waits_while_a_rule_is_changed_is_told_of(watched: Watched):
    """CLAR-58: it was uploaded after the rule was made, whatever was changed since."""
    watched.rule()
    submits(watched.person, watched.survey, this_hour() - HOUR, file_of(BAD, Platform.IOS))
    rule = db.session.scalars(db.select(AlertRule)).one()
    form = RuleForm(Comparison.ANY_OF, options=["bad", "so; so"], recipients=[watched.nurse.id])
    asked, now = watchable(CONTENT)[0], datetime.now(UTC)
    save_rule(db.session(), watched.study, watched.survey, asked, form, now, rule=rule, actor=SERVER)
    db.session.commit()
    process()
    assert watched.open() == 1


def test_a_submission_that_is_written_while_a_rule_is_made_is_listed(watched: Watched):
    """CLAR-58: its transaction did not see the rule, so making the rule waits for it."""
    number = submission(watched.answers(BAD)).id
    engine, study_id, survey_id, nurse = db.engine, watched.study.id, watched.survey.id, watched.nurse.id

    def make() -> int:
        with Session(engine) as session:
            study, survey = session.get_one(Study, study_id), session.get_one(Survey, survey_id)
            form = RuleForm(Comparison.ANY_OF, options=["bad"], recipients=[nurse])
            _, older = save_rule(session, study, survey, watchable(CONTENT)[0], form, datetime.now(UTC), actor=SERVER)
            session.commit()
            return older

    with Session(engine) as writing, ThreadPoolExecutor(1) as threads:
        again = sa.text(
            "INSERT INTO submissions (path, participant_id, survey_id, submitted_at, received_at, is_new)"
            " SELECT path || '2', participant_id, survey_id, submitted_at, now(), true FROM submissions"
            " WHERE id = :number RETURNING id"
        )
        new = writing.scalar(again, {"number": number})
        answers = sa.text(
            "INSERT INTO submitted_answers (submission_id, place, participant_id, wording_id, state, choices)"
            " SELECT :new, place, participant_id, wording_id, state, choices FROM submitted_answers"
            " WHERE submission_id = :number"
        )
        writing.execute(answers, {"number": number, "new": new})
        raise_alerts(writing, [new], is_new=True)
        made = threads.submit(make)
        with pytest.raises(TimeoutError):
            made.result(0.5)
        writing.commit()
        assert made.result(30) == 2
    assert {alert.submission_id for alert in alerts()} == {number, new}


def test_a_changed_condition_acts_from_now_on(watched: Watched):
    watched.rule()
    watched.answers(GOOD)
    rule = db.session.scalars(db.select(AlertRule)).one()
    asked = watchable(CONTENT)[0]
    form = RuleForm(Comparison.ANY_OF, options=["good, mostly"], recipients=[watched.nurse.id])
    _, older = save_rule(
        db.session(), watched.study, watched.survey, asked, form, datetime.now(UTC), rule=rule, actor=SERVER
    )
    db.session.commit()
    assert (older, watched.open(), len(alerts())) == (1, 0, 1)
    watched.answers(GOOD)
    assert watched.open() == 1


@pytest.mark.parametrize(
    ("question", "form", "place"),
    [
        (0, {"options": ["neither"]}, "options"),
        (0, {"comparison": Comparison.ABOVE, "value": 1.0}, "comparison"),
        (2, {}, "comparison"),
        (2, {"comparison": Comparison.ABOVE}, "value"),
        (2, {"comparison": Comparison.ABOVE, "value": float("nan")}, "value"),
        (0, {"recipients": []}, "recipients"),
        (0, {"recipients": [0]}, "recipients"),
        (0, {"escalates_after_minutes": 60}, "escalates_after_minutes"),
        (0, {"escalates_after_minutes": 1, "escalation": "nurse"}, "escalates_after_minutes"),
        (0, {"webhook_address": "http://10.0.0.1/"}, "webhook_address"),
    ],
)
def test_what_makes_no_rule_is_refused_at_its_field(watched: Watched, question: int, form: dict[str, Any], place: str):
    if form.get("escalation"):
        form = form | {"escalation": [watched.nurse.id]}
    with pytest.raises(RuleRefused) as refused:
        watched.rule(question, **form)
    assert refused.value.field == place


def test_recipients_may_read_answers_of_the_study(watched: Watched, factory: Factory):
    """PERM-95: an account without a role there cannot be chosen."""
    stranger = factory.researcher("stranger", study=factory.study("Other"), role=Role.STUDY_ADMIN)
    with pytest.raises(RuleRefused):
        watched.rule(recipients=[stranger.id])


@pytest.mark.parametrize("note", ["", "  ", "x" * 2_001])
def test_an_acknowledgement_says_what_was_done(watched: Watched, note: str):
    watched.rule()
    watched.answers(BAD)
    with pytest.raises(NoteRefused):
        acknowledge(db.session(), alerts()[0], note, datetime.now(UTC), actor=SERVER)


def test_no_message_is_kept_in_clear(watched: Watched):
    watched.rule(webhook_address=watched.hook.url)
    watched.answers(BAD)
    tell_of_alerts(db.session(), watched.settings, datetime.now(UTC))
    db.session.commit()
    assert db.session.scalar(db.select(db.func.count()).select_from(OutgoingMessage)) == 2
    for value in db.session.execute(db.text("SELECT address FROM outgoing_messages")).scalars():
        assert "x.example" not in value and "127.0.0.1" not in value


def test_a_rule_whose_secrets_cannot_be_read_stops_neither_uploads_nor_mails(watched: Watched):
    """The server's secret was changed: answers are processed, people are told, and the alert says what failed."""
    watched.rule(webhook_address=watched.hook.url)
    db.session.execute(db.text("UPDATE alert_rules SET webhook_address = 'v1.spoiled', webhook_key = 'v1.spoiled'"))
    db.session.expunge_all()
    watched.answers(BAD)
    watched.pass_by()
    assert [mail["To"] for mail in watched.mail.mails] == ["nurse@x.example"] and watched.hook.posted == []
    assert "FLASK_SECRET_KEY" in (alerts()[0].untold or "")


def test_a_rule_that_cannot_be_applied_stops_no_upload(watched: Watched, monkeypatch: pytest.MonkeyPatch):
    """In doubt somebody looks."""
    watched.rule()
    monkeypatch.setattr("core.answer_alerts.raising.verdict", lambda *_: 1 // 0)
    watched.answers(GOOD)
    assert [alert.is_unsure for alert in alerts()] == [True]


def test_an_alert_that_cannot_be_told_keeps_no_other_waiting(watched: Watched, monkeypatch: pytest.MonkeyPatch):
    """CLAR-58: visible at the alert."""
    watched.rule()
    watched.answers(BAD)
    watched.answers(BAD)
    first = alerts()[0].id
    told = telling.refusal
    monkeypatch.setattr(telling, "refusal", lambda s, r, alert: 1 // 0 if alert.id == first else told(s, r, alert))
    watched.pass_by()
    assert len(watched.mail.mails) == 1
    assert [bool(alert.untold) for alert in alerts()] == [True, False] and all(alert.told_at for alert in alerts())


def test_fifty_rules_and_a_thousand_submissions_take_a_few_statements(watched: Watched):
    """Two to read, and one for each thousand alerts."""
    rules = [watched.rule() for _ in range(50)]
    watched.answers(BAD)
    first = db.session.scalars(db.select(Submission)).one()
    db.session.execute(
        db.text(
            "INSERT INTO submissions (path, participant_id, survey_id, is_recording, submitted_at, received_at, is_new,"
            " standing, answered) SELECT 'p' || n, participant_id, survey_id, false, submitted_at, received_at, true,"
            " 'extra', 1 FROM submissions, generate_series(1, 999) AS n"
        )
    )
    db.session.execute(
        db.text(
            "INSERT INTO submitted_answers (submission_id, place, participant_id, wording_id, state, choices)"
            " SELECT s.id, 0, s.participant_id, a.wording_id, a.state, a.choices FROM submissions AS s"
            " JOIN submitted_answers AS a ON a.submission_id = :first AND a.place = 0 WHERE s.id <> :first"
        ),
        {"first": first.id},
    )
    db.session.commit()
    numbers = list(db.session.scalars(db.select(Submission.id)))
    statements: list[str] = []
    db.event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    raise_alerts(db.session(), numbers, is_new=True)
    db.session.commit()
    assert len(statements) <= 2 + 50 and len(alerts()) == 50_000 and len(rules) == 50


def test_two_processes_tell_of_each_alert_once(watched: Watched):
    """CLAR-58: also when they look at the same moment."""
    watched.rule(escalation=[watched.chief.id], escalates_after_minutes=5)
    for _ in range(3):
        watched.answers(BAD)
    engine, settings = db.engine, watched.settings
    late = datetime.now(UTC) + timedelta(hours=1)

    def look(_: int) -> None:
        for _ in range(3):
            with Session(engine) as session:
                tell_of_alerts(session, settings, late)
                session.commit()
            while deliver_waiting(engine, settings, lambda: late, refuse_message):
                pass

    with ThreadPoolExecutor(4) as processes:
        list(processes.map(look, range(4)))
    told = sorted(str(mail["To"]) for mail in watched.mail.mails)
    assert told == ["chief@x.example"] * 3 + ["nurse@x.example"] * 3


def test_two_people_acknowledge_at_once_and_one_note_stays(watched: Watched):
    watched.rule()
    watched.answers(BAD)
    number, engine = alerts()[0].id, db.engine
    db.session.commit()

    def work(name: str) -> bool:
        with Session(engine) as session:
            done = acknowledge(session, session.get_one(AnswerAlert, number), name, datetime.now(UTC), actor=SERVER)
            session.commit()
            return done

    with ThreadPoolExecutor(4) as people:
        assert sorted(people.map(work, "abcd")) == [False, False, False, True]
    db.session.expire_all()
    assert alerts()[0].note in list("abcd")


def test_a_webhook_that_waits_is_not_sent_when_it_has_no_use_any_more(watched: Watched):
    """CLAR-58: acknowledged; the rule has another address; the study was deleted. As it is with mails."""
    watched.rule(recipients=[], webhook_address=watched.hook.url)
    at = datetime.now(UTC)
    for _ in range(3):
        watched.hook.answers = [500, 500]
        watched.answers(BAD)
    watched.hook.answers = [500, 500, 500]
    watched.pass_by(at)
    posted = len(watched.hook.posted)
    acknowledge(db.session(), alerts()[0], "Seen.", at, actor=SERVER)
    rule = db.session.scalars(db.select(AlertRule)).one()
    rule.webhook_address = "http://127.0.0.1:1/other"
    watched.pass_by(at + timedelta(minutes=5))
    rule.webhook_address, watched.study.hidden_at = watched.hook.url, at
    db.session.commit()
    watched.answers(BAD)
    watched.pass_by(at + timedelta(minutes=6))
    assert len(watched.hook.posted) == posted
    waiting = db.session.scalars(db.select(OutgoingMessage).order_by(OutgoingMessage.id))
    first, *others = [row.problem or "" for row in waiting]
    assert "acknowledged" in first and ["another address" in one for one in others] == [True, True]
    assert "study was deleted" in (alerts()[3].untold or "")
