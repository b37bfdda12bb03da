"""Thousands of phones whose survey is due at once, and a push service that fails in the middle (NOTIF-41 to 43)."""

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any, Protocol
from uuid import uuid4

import sqlalchemy as sa

from core.audit import SERVER
from core.database import db
from core.models import CredentialKind, PushServiceState, PushToken, ScheduledEvent, Study, SurveyType
from core.notifications.credentials import store_credential
from core.notifications.delivering import opener
from core.notifications.sending import Look, send_due
from core.studies import create_study
from core.surveys.saving import SurveyChanges, add_survey
from tests.support.fakes.google import UNREGISTERED, Answer, FakeGoogle, fcm_error, running_google

MOST_FAILURES = 720
DEAD_SHARE = 0.3
ASKED_SECONDS = 30
"""The Retry-After of the service that fails."""


class Google(Protocol):
    """A stand-in that can be told what to do."""

    url: str

    def tell(self, order: str, *arguments: Any) -> Any:
        """Carries out one of `ORDERS`."""
        ...


@dataclass
class LocalGoogle:
    """The stand-in of this process."""

    fake: FakeGoogle

    @property
    def url(self) -> str:
        return self.fake.url

    def tell(self, order: str, *arguments: Any) -> Any:
        """See `Google`."""
        return ORDERS[order](self.fake, *arguments)


@dataclass
class RemoteGoogle:
    """A stand-in in a process of its own, so that its work is not counted as the sender's."""

    url: str
    pipe: Connection

    def tell(self, order: str, *arguments: Any) -> Any:
        """See `Google`."""
        self.pipe.send((order, *arguments))
        return self.pipe.recv()


@dataclass(frozen=True)
class Figures:
    """What a run cost: seconds until all was settled, and statements of the database; `looks` in their order."""

    messages: int
    seconds: float
    statements: int
    looks: tuple[Look, ...]

    @property
    def statements_a_message(self) -> float:
        return self.statements / self.messages


@contextmanager
def remote_google() -> Iterator[RemoteGoogle]:
    """Starts the process, and stores its credentials as the site's; to be used in an application's context."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    url, account = ours.recv()
    store_account(account)
    google = RemoteGoogle(url, ours)
    try:
        yield google
    finally:
        ours.send(None)
        process.join(10)


def store_account(account: dict[str, str]) -> None:
    """Stores the service account as one that has sent messages before."""
    contents = json.dumps(account).encode()
    store_credential(db.session(), CredentialKind.BACKEND, contents, datetime(2024, 1, 1, tzinfo=UTC), actor=SERVER)
    db.session.merge(PushServiceState(service="fcm", accepted_at=datetime.now(UTC)))
    db.session.commit()


def all_accepted(google: Google, now: datetime, count: int) -> Figures:
    """Every message is taken."""
    fill(count, count, now)
    figures = _looks(google, count, [now])
    assert figures.looks[0].accepted == count, figures.looks
    _check_each_once(google, count)
    return figures


def with_dead_tokens(google: Google, now: datetime, count: int) -> Figures:
    """Three of ten tokens are unknown to the service: they are retired, and the next look sends them nothing."""
    fill(count, count, now)
    dead = db.session.scalars(sa.select(PushToken.token).order_by(PushToken.id).limit(int(count * DEAD_SHARE))).all()
    google.tell("dead", list(dead))
    figures = _looks(google, count, [now, now + timedelta(seconds=10)])
    first, second = figures.looks
    assert (first.accepted, first.tokens_retired) == (count - len(dead), len(dead)), first
    assert second.messages == 0, "a message to a token that is gone"
    waiting = sa.select(sa.func.count()).select_from(ScheduledEvent).where(ScheduledEvent.state == "pending")
    waiting = waiting.where(ScheduledEvent.scheduled_at <= now)
    assert db.session.scalar(waiting) == len(dead), "events wait for the next token"
    _check_each_once(google, count - len(dead))
    return figures


def half_then_down(google: Google, now: datetime, count: int, *, as_date: bool) -> Figures:
    """Half is taken, then the service answers 503 with a Retry-After of 30 seconds, and is well again after them."""
    fill(count, count, now)
    google.tell("fails_after", count // 2, as_date)
    moments: list[datetime | Callable[[], datetime]] = [now, now + timedelta(seconds=ASKED_SECONDS - 5)]
    figures = _looks(google, count, [*moments, lambda: _well_again(google, now)])
    first, second, third = figures.looks
    assert first.accepted == count // 2, first
    assert first.not_tried >= count // 2 - 50, "it went on to ask a service that fails"
    assert second.messages == 0, "it did not wait for as long as it was asked"
    assert first.accepted + third.accepted == count, third
    _check_each_once(google, count)
    return figures


def fill(total: int, due: int, now: datetime) -> None:
    """A study with `due` participants, each with one event of a minute ago and others of the next three weeks."""
    study: Study = create_study(db.session(), f"Study {uuid4()}", timezone_name="America/New_York", actor=SERVER)
    db.session.flush()
    survey = add_survey(db.session(), study, SurveyType.TRACKING, SurveyChanges(), now, actor=SERVER)
    db.session.flush()
    values = {"study": study.id, "survey": survey.id, "due": due, "each": total // due - 1, "now": now}
    for statement in _FILL:
        db.session.execute(sa.text(statement), values)
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))


def clear(google: Google | None = None) -> None:
    """Removes what `fill` and a run made; the stand-in works and has taken nothing."""
    for table in _TABLES:
        db.session.execute(sa.text(f"DELETE FROM {table}"))  # noqa: S608  names of our own
    db.session.commit()
    if google:
        google.tell("well")


def _looks(google: Google, count: int, moments: list[Any]) -> Figures:
    """Looks at these moments of a clock of our own."""
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    sa.event.listen(db.engine, "before_cursor_execute", note)
    begins, looks = time.perf_counter(), []
    for moment in moments:
        at = moment() if callable(moment) else moment
        looks.append(send_due(db.engine, opener(google.url), MOST_FAILURES, clock=lambda: at))  # noqa: B023  used at once
    seconds = time.perf_counter() - begins
    sa.event.remove(db.engine, "before_cursor_execute", note)
    return Figures(count, seconds, len(statements), tuple(looks))


def _well_again(google: Google, now: datetime) -> datetime:
    google.tell("well", False)
    return now + timedelta(minutes=2)


def _check_each_once(google: Google, count: int) -> None:
    taken, different = google.tell("taken")
    assert (taken, different) == (count, count), "some message was sent twice, or not at all"


def _serve(pipe: Connection) -> None:
    with running_google() as fake:
        pipe.send((fake.url, fake.service_account))
        google = LocalGoogle(fake)
        while order := pipe.recv():
            pipe.send(google.tell(*order))


def _dead(fake: FakeGoogle, tokens: list[str]) -> None:
    fake.by_token = dict.fromkeys(tokens, UNREGISTERED)


def _fails_after(fake: FakeGoogle, count: int, as_date: bool) -> None:
    begins = fake.sends

    def answer(nth: int) -> Answer | None:
        if nth - begins <= count:
            return None
        until = datetime.now(UTC) + timedelta(seconds=ASKED_SECONDS)
        header = f"{until:%a, %d %b %Y %H:%M:%S GMT}" if as_date else str(ASKED_SECONDS)
        return fcm_error(503, "UNAVAILABLE", "The service is overloaded.", "UNAVAILABLE", Retry_After=header)

    fake.answer_nth = answer


def _well(fake: FakeGoogle, forgets: bool = True) -> None:
    fake.by_token, fake.answer_nth = {}, lambda nth: None
    if forgets:
        fake.messages.clear()


def _taken(fake: FakeGoogle) -> tuple[int, int]:
    return len(fake.messages), len({message["token"] for message in fake.messages})


ORDERS: dict[str, Callable[..., Any]] = {"dead": _dead, "fails_after": _fails_after, "well": _well, "taken": _taken}

_TABLES = (
    "push_messages",
    "notification_attempts",
    "scheduled_events",
    "push_tokens",
    "participant_activity",
    "participant_events",
    "participants",
    "push_service_states",
)
_FILL = (
    "INSERT INTO participants (patient_id, study_id, password_hash, os_type, device_id, timezone_name)"
    " SELECT translate(n::text, '0', 'a'), :study, 'x', 'ANDROID', 'd',"
    " (ARRAY['America/New_York', 'America/New_York', 'America/Chicago'])[1 + n % 3] FROM generate_series(1, :due) AS n",
    "INSERT INTO participant_activity (participant_id, last_surveys_at) SELECT id, :now FROM participants",
    "INSERT INTO push_tokens (participant_id, service, token)"
    " SELECT id, 'fcm', 'a-token-of-' || id || repeat('x', 140) FROM participants",
    "INSERT INTO scheduled_events (survey_id, participant_id, scheduled_at)"
    " SELECT :survey, id, CAST(:now AS timestamptz) - interval '1 minute' - interval '1 hour'"
    " * (timezone_name = 'America/Chicago')::int FROM participants",
    "INSERT INTO scheduled_events (survey_id, participant_id, scheduled_at)"
    " SELECT :survey, id, CAST(:now AS timestamptz) + interval '3 hours' + n * interval '21 days' / :each"
    " FROM participants, generate_series(1, :each) AS n WHERE :each > 0",
    "INSERT INTO push_service_states (service, accepted_at) VALUES ('fcm', now()) ON CONFLICT DO NOTHING",
)
