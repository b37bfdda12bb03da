"""Push notifications: `python -m tests.benchmarks.bench_notifications`.

Prints a JSON line for 10,000 messages due at once, sent to a stand-in of Firebase in a process of its own on this
machine (seconds until all are settled, messages a second, statements a message, growth of memory in MB), and one each
for finding 3,000 due events among 75,000 and among 1,000,000. Raises where they take longer than they may.
"""

import json
import multiprocessing
import time
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection

import sqlalchemy as sa

from core.audit import SERVER
from core.database import db
from core.models import CredentialKind, ScheduledEvent, Study, SurveyType
from core.notifications.credentials import store_credential
from core.notifications.delivering import opener
from core.notifications.sending import look_at_due, send_due
from core.studies import create_study
from core.surveys.saving import SurveyChanges, add_survey
from tests.benchmarks.measure import best_seconds, growth_mb, report
from tests.benchmarks.serving import migrated
from tests.support.fakes.google import FakeGoogle, running_google

MESSAGES = 10_000
DUE = 3_000
MOST_SECONDS = 60.0
MOST_STATEMENTS = 0.1
MOST_FINDING = {75_000: 1.0, 1_000_000: 1.0}


def main() -> None:
    """Runs the benchmark."""
    with migrated():
        now = datetime.now(UTC)
        ours, theirs = multiprocessing.Pipe()
        service = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
        service.start()
        url, account = ours.recv()
        store_credential(db.session(), CredentialKind.BACKEND, json.dumps(account).encode(), now, actor=SERVER)
        db.session.commit()
        for total, most in MOST_FINDING.items():
            find(total, most, now)
        send(url, now)
        ours.send("stop")
        assert ours.recv() == MESSAGES, "each message once"
        service.join(10)


def serve(pipe: Connection) -> None:
    """A stand-in of Firebase; ends when it is told to, and says how many messages it took."""
    with running_google() as google:
        pipe.send((google.url, google.service_account))
        pipe.recv()
        pipe.send(_taken(google))


def _taken(google: FakeGoogle) -> int:
    tokens = {message["token"] for message in google.messages}
    assert len(tokens) == len(google.messages), "some message was sent twice"
    return len(tokens)


def send(url: str, now: datetime) -> None:
    """Sends to 10,000 phones at once."""
    fill(MESSAGES, MESSAGES, now)
    statements: list[str] = []
    sa.event.listen(db.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    seconds: list[float] = []

    def run() -> None:
        begins = time.perf_counter()
        look = send_due(db.engine, opener(url), 720)
        seconds.append(time.perf_counter() - begins)
        assert look.accepted == MESSAGES, look

    grown = growth_mb(run)
    a_message = len(statements) / MESSAGES
    report(
        "notifications_sent",
        messages=MESSAGES,
        seconds=round(seconds[0], 1),
        a_second=round(MESSAGES / seconds[0]),
        statements_a_message=round(a_message, 3),
        growth_mb=round(grown, 1),
    )
    assert seconds[0] < MOST_SECONDS and a_message < MOST_STATEMENTS, (seconds, a_message)


def find(total: int, most_seconds: float, now: datetime) -> None:
    """Finds 3,000 due events among so many."""
    fill(total, DUE, now)

    def look() -> None:
        assert len(look_at_due(db.session(), now).messages) == DUE
        db.session.rollback()

    seconds = best_seconds(look, 3)
    db.session.execute(sa.delete(ScheduledEvent))

    def idle() -> None:
        look_at_due(db.session(), now - timedelta(days=2))
        db.session.rollback()

    report("notifications_due", events=total, due=DUE, seconds=round(seconds, 3), idle=round(best_seconds(idle, 3), 4))
    db.session.rollback()
    clear()
    assert seconds < most_seconds, seconds


def fill(total: int, due: int, now: datetime) -> None:
    """A study with `due` participants, each with one event of a minute ago and others of the next three weeks."""
    study: Study = create_study(db.session(), f"Study of {total}", timezone_name="America/New_York", actor=SERVER)
    db.session.flush()
    survey = add_survey(db.session(), study, SurveyType.TRACKING, SurveyChanges(), now, actor=SERVER)
    db.session.flush()
    values = {"study": study.id, "survey": survey.id, "due": due, "each": total // due - 1, "now": now}
    for statement in _FILL:
        db.session.execute(sa.text(statement), values)
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))


def clear() -> None:
    """Removes what `fill` made."""
    for table in ("scheduled_events", "push_tokens", "participant_activity", "participants"):
        db.session.execute(sa.text(f"DELETE FROM {table}"))  # noqa: S608  names of our own
    db.session.commit()


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
    " FROM participants, generate_series(1, :each) AS n",
)


if __name__ == "__main__":
    main()
