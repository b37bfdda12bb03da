"""Mails and webhooks arrive, or stay visible: refused, slow, killed, and back again (CLAR-58, CLAR-62)."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from core.audit import SERVER
from core.config import Settings, load_settings
from core.database import db
from core.models import OutgoingMessage
from core.outgoing import delivering
from core.outgoing.delivering import deliver_waiting, try_again
from core.outgoing.queueing import queue_mail, queue_prefect_event, queue_webhook
from tests.support.fakes.sinks import MailSink, WebhookSink, running_dribble, running_mail_sink, running_webhook_sink

pytestmark = pytest.mark.usefixtures("app")
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def mail() -> Iterator[MailSink]:
    with running_mail_sink() as sink:
        yield sink


@pytest.fixture
def hook() -> Iterator[WebhookSink]:
    with running_webhook_sink() as sink:
        yield sink


def of(**values: Any) -> Settings:
    return load_settings(domain_name="beiwe.example", **values)


def deliver(settings: Settings, at: datetime = NOW) -> int:
    db.session.commit()
    tried = deliver_waiting(db.engine, settings, lambda: at)
    db.session.rollback()
    return tried


def rows() -> list[OutgoingMessage]:
    return list(db.session.scalars(db.select(OutgoingMessage).order_by(OutgoingMessage.id)))


def test_a_mail_arrives_once_however_often_it_is_written(mail: MailSink):
    """CLAR-58: one mail for one address and one matter."""
    settings = of(mail_url=SecretStr(mail.url))
    for _ in range(2):
        queue_mail(db.session(), " A@x.example ", "Réponse 📋", "Bonjour\n", about="a matter", now=NOW)
    assert (deliver(settings), deliver(settings)) == (1, 0)
    (one,) = mail.mails
    assert (one["To"], one["Subject"], one["From"]) == ("a@x.example", "Réponse 📋", "beiwe@beiwe.example")
    assert one["Auto-Submitted"] == "auto-generated" and str(rows()[0].uuid) in one["Message-ID"]
    assert rows()[0].delivered_at == NOW


def test_a_subject_cannot_add_headers(mail: MailSink):
    """A participant's or study's name may hold line ends."""
    queue_mail(db.session(), "a@x.example", "One\r\nBcc: all@x.example", "Text", about="a matter", now=NOW)
    deliver(of(mail_url=SecretStr(mail.url)))
    assert mail.mails[0]["Bcc"] is None and mail.mails[0]["Subject"] == "One Bcc: all@x.example"


def test_a_mail_server_that_refuses_is_tried_again_later_and_more_rarely(mail: MailSink):
    """CLAR-58: rows first, tried again, visible meanwhile."""
    settings = of(mail_url=SecretStr(mail.url))
    queue_mail(db.session(), "a@x.example", "One", "Text", about="a matter", now=NOW)
    mail.answer = "451 try again later"
    at, pauses = NOW, []
    for _ in range(12):
        assert deliver(settings, at) == 1
        assert rows()[0].problem == "The mail server refuses (451)."
        assert deliver(settings, at) == 0
        pauses.append(rows()[0].next_try_at - at)
        at = rows()[0].next_try_at
    assert pauses[:3] == [timedelta(seconds=15), timedelta(seconds=30), timedelta(seconds=60)]
    assert pauses[-1] == timedelta(hours=1)
    mail.answer = None
    assert deliver(settings, at) == 1
    assert len(mail.mails) == 1 and rows()[0].problem is None


def test_an_unknown_recipient_is_given_up_at_once_and_can_be_tried_again(mail: MailSink):
    """CLAR-58: visible when delivery fails."""
    settings = of(mail_url=SecretStr(mail.url))
    queue_mail(db.session(), "nobody@x.example", "One", "Text", about="a matter", now=NOW)
    deliver(settings)
    assert rows()[0].given_up_at == NOW and rows()[0].problem == "The mail server refuses the recipient (550)."
    try_again(db.session(), rows()[0], NOW + timedelta(days=5), actor=SERVER)
    assert deliver(settings, NOW + timedelta(days=5)) == 1


def test_without_a_mail_server_mails_wait_and_say_why():
    """CLAR-58: where mail is not set up, that is said."""
    queue_mail(db.session(), "a@x.example", "One", "Text", about="a matter", now=NOW)
    deliver(of())
    assert "MAIL_URL" in (rows()[0].problem or "") and rows()[0].next_try_at is not None


def test_a_webhook_is_signed_and_holds_the_same_in_all_tries(hook: WebhookSink):
    """As Standard Webhooks 1.0 defines the signature; a redirect is not followed."""
    queue_webhook(db.session(), hook.url, {"n": 1, "é": "ü"}, about="a matter", now=NOW, signing_key="the key")
    hook.answers = [500, 302]
    later = NOW
    for _ in range(3):
        assert deliver(of(), later) == 1
        later += timedelta(minutes=2)
    assert rows()[0].delivered_at is not None and rows()[0].tries == 3
    assert {body for _, body in hook.posted} == {'{"n":1,"é":"ü"}'.encode()}
    for headers, body in hook.posted:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        mark = base64.b64encode(hmac.digest(b"the key", signed, hashlib.sha256)).decode()
        assert headers["webhook-signature"] == f"v1,{mark}"
        assert headers["webhook-id"] == str(rows()[0].uuid) and "redirect" not in str(headers)


def test_an_address_that_is_gone_or_fails_for_days_is_given_up(hook: WebhookSink):
    """It stays visible, and its sealed address is no secret in the problem."""
    queue_webhook(db.session(), hook.url, {}, about="gone", now=NOW)
    hook.answers = [410, 503]
    deliver(of())
    assert rows()[0].given_up_at == NOW
    queue_webhook(db.session(), hook.url, {}, about="fails", now=NOW - timedelta(days=3))
    deliver(of())
    assert rows()[1].given_up_at == NOW and "a-secret" not in f"{rows()[1].problem}"
    stored = db.session.scalar(sa.text("SELECT address FROM outgoing_messages LIMIT 1"))
    assert "a-secret" not in stored


def test_a_slow_address_does_not_keep_the_others_waiting(
    hook: WebhookSink, mail: MailSink, monkeypatch: pytest.MonkeyPatch
):
    """CLAR-58: within two minutes, also beside an address that hangs."""
    monkeypatch.setattr("core.outgoing.addresses.SECONDS", 0.3)
    hook.seconds = 1.0
    queue_webhook(db.session(), hook.url, {}, about="slow", now=NOW)
    queue_mail(db.session(), "a@x.example", "One", "Text", about="quick", now=NOW)
    assert deliver(of(mail_url=SecretStr(mail.url))) == 2
    assert len(mail.mails) == 1 and "cannot be reached" in (rows()[0].problem or "")


def test_a_process_that_is_killed_while_it_sends_loses_nothing(mail: MailSink, monkeypatch: pytest.MonkeyPatch):
    """CLAR-58: what was claimed is tried again after a minute, with the same id."""
    settings = of(mail_url=SecretStr(mail.url))
    queue_mail(db.session(), "a@x.example", "One", "Text", about="a matter", now=NOW)
    with monkeypatch.context() as patch:
        patch.setattr(delivering, "_settle", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            deliver(settings)
    assert deliver(settings, NOW + timedelta(seconds=59)) == 0
    assert deliver(settings, NOW + timedelta(seconds=61)) == 1
    assert len({one["Message-ID"] for one in mail.mails}) == 1 and len(mail.mails) == 2


def test_an_unforeseen_fault_of_one_message_stops_no_other(mail: MailSink, caplog: pytest.LogCaptureFixture):
    """A row that cannot be read as a mail is a failed try of that row."""
    queue_mail(db.session(), "a@x.example", "One", "Text", about="first", now=NOW)
    queue_mail(db.session(), "b@x.example", "Two", "Text", about="second", now=NOW)
    db.session.execute(sa.text("UPDATE outgoing_messages SET contents = '{}' WHERE about = 'first'"))
    deliver(of(mail_url=SecretStr(mail.url)))
    assert [one["To"] for one in mail.mails] == ["b@x.example"]
    assert rows()[0].problem == "The server could not send it (KeyError)."


def test_prefect_gets_an_event_that_its_server_takes(hook: WebhookSink):
    """CLAR-62: the form that Prefect's own schema reads."""
    from prefect.events.schemas.events import Event

    queue_prefect_event(db.session(), "beiwe.trouble.began", "beiwe.trouble.x", {"text": "t"}, about="x", now=NOW)
    deliver(of(prefect_api_url=f"http://127.0.0.1:{hook.port}/api", prefect_api_auth_string=SecretStr("a:b")))
    ((headers, body),) = hook.posted
    (event,) = [Event.model_validate(each) for each in json.loads(body)]
    assert event.resource.id == "beiwe.trouble.x" and event.payload == {"text": "t"}
    assert headers["authorization"] == "Basic " + base64.b64encode(b"a:b").decode()


@pytest.mark.parametrize(
    "answers", [(), (b"250-hello\r\n250 SIZE\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n")]
)
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_mail_server_that_dribbles_is_left_after_the_limit(
    answers: tuple[bytes, ...], scheme: str, monkeypatch: pytest.MonkeyPatch
):
    """CLAR-58: each byte would begin a time-out of the socket anew, in the greeting, in the middle, and in TLS."""
    monkeypatch.setattr(delivering, "MOST_SECONDS", 0.5)
    queue_mail(db.session(), "a@x.example", "One", "Text", about="a matter", now=NOW)
    with running_dribble(b"220 hello\r\n" if answers else b"220-", answers, 0.002 if answers else 0.05) as port:
        assert deliver(of(mail_url=SecretStr(f"{scheme}://127.0.0.1:{port}"))) == 1
    problem = rows()[0].problem or ""
    assert ("within 0.5 seconds" in problem) or (scheme == "smtps" and "SSLError" in problem), problem


def test_a_web_address_that_dribbles_is_left_after_the_limit(monkeypatch: pytest.MonkeyPatch):
    """CLAR-58: a study's address cannot occupy the thread that delivers for all."""
    monkeypatch.setattr(delivering, "MOST_SECONDS", 0.5)
    with running_dribble(b"HTTP/1.1 200 OK\r\nX: ") as port:
        queue_webhook(db.session(), f"http://127.0.0.1:{port}/", {}, about="a matter", now=NOW)
        queue_webhook(db.session(), f"https://127.0.0.1:{port}/", {}, about="encrypted", now=NOW)
        deliver(of(alert_url=SecretStr(f"https://127.0.0.1:{port}/")))
    assert "within 0.5 seconds" in (rows()[0].problem or "") and rows()[1].problem


def test_a_mail_that_was_taken_is_not_sent_again_when_the_connection_ends_badly(
    mail: MailSink, monkeypatch: pytest.MonkeyPatch
):
    """What a server answers to QUIT says nothing of the mail."""
    monkeypatch.setattr("aiosmtpd.smtp.SMTP.smtp_QUIT", lambda self, arg: self.push("500 what?"))
    queue_mail(db.session(), "a@x.example", "One", "Text", about="a matter", now=NOW)
    deliver(of(mail_url=SecretStr(mail.url)))
    assert len(mail.mails) == 1 and rows()[0].delivered_at == NOW


def test_a_row_that_cannot_be_unsealed_stops_no_other(mail: MailSink):
    """The server's secret was changed, or a row was altered: given up, with the reason."""
    queue_mail(db.session(), "a@x.example", "One", "Text", about="first", now=NOW)
    queue_mail(db.session(), "b@x.example", "Two", "Text", about="second", now=NOW)
    spoiled = "UPDATE outgoing_messages SET address = 'v1.' || repeat('A', 80) WHERE about = 'first'"
    db.session.execute(sa.text(spoiled))
    assert deliver(of(mail_url=SecretStr(mail.url))) == 2
    assert [one["To"] for one in mail.mails] == ["b@x.example"]
    states = db.session.execute(sa.text("SELECT problem, given_up_at FROM outgoing_messages ORDER BY id")).all()
    assert "FLASK_SECRET_KEY" in states[0].problem and states[0].given_up_at


def test_two_processes_deliver_each_message_once(mail: MailSink):
    """CLAR-58: what one has claimed, the other leaves."""
    settings = of(mail_url=SecretStr(mail.url))
    for number in range(24):
        queue_mail(db.session(), f"a{number}@x.example", "One", "Text", about="a matter", now=NOW)
    db.session.commit()
    engine = db.engine

    def work(_: int) -> None:
        while deliver_waiting(engine, settings, lambda: NOW):
            pass

    with ThreadPoolExecutor(4) as processes:
        list(processes.map(work, range(4)))
    assert sorted(one["To"] for one in mail.mails) == sorted(f"a{number}@x.example" for number in range(24))


def test_ten_thousand_waiting_messages_are_claimed_by_the_index():
    """CLAR-58: in two statements a batch, and none is read that is not tried."""
    db.session.execute(
        sa.text(
            "INSERT INTO outgoing_messages (uuid, channel, address, contents, about, once_key, created_at, next_try_at)"
            " SELECT gen_random_uuid(), CASE WHEN n % 2 = 0 THEN 'mail' ELSE 'webhook' END, 'x', '{}', 'n',"
            " int8send(n), now(), now() - n * interval '1 s' FROM generate_series(1, 10000) AS n"
        )
    )
    db.session.execute(sa.text("ANALYZE outgoing_messages"))
    plan = "\n".join(
        db.session.scalars(
            sa.text(
                "EXPLAIN SELECT id FROM outgoing_messages WHERE next_try_at <= now() AND channel IN ('mail')"
                " ORDER BY next_try_at LIMIT 8 FOR UPDATE SKIP LOCKED"
            )
        )
    )
    assert "ix_outgoing_messages_waiting" in plan and "Sort" not in plan
