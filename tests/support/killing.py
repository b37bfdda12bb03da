"""Standing senders that are killed at random moments, against stand-ins that record all they get (NOTIF-45).

A run makes phones whose survey is due, starts `python -m ops.sender` as `make run` does, kills it with SIGKILL one to
three times, and lets the last one finish. It raises AssertionError where a phone was left out, or was sent a message
again whose answer was known.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from core.audit import SERVER
from core.config import REPOSITORY, get_settings
from core.database import db
from core.models import (
    CredentialKind,
    NotificationAttempt,
    ParticipantActivity,
    PushMessage,
    PushService,
    PushServiceState,
    PushToken,
    ScheduledEvent,
)
from core.models.schedule import SUCCESS
from core.notifications.answer_log import FOLDER
from core.notifications.credentials import store_credential
from core.streams import Platform
from tests.support.factories import Factory
from tests.support.fakes.apple import FakeApple, running_apple
from tests.support.fakes.google import FakeGoogle, running_google
from tests.support.pushing import data_of

PHONES = 150
SECONDS_EACH = {PushService.FCM: 0.02, PushService.APNS: 0.003}
MOST_KILLS = 3
MOST_DELAY_SECONDS = 0.05
WAIT_SECONDS = 60.0
PLATFORMS = {PushService.FCM: Platform.ANDROID, PushService.APNS: Platform.IOS}


@dataclass(frozen=True)
class Killed:
    """One run. `taken_at_kills` are how many messages the service had got at each kill since the one before; `unknown`
    are those of them without an answer on this machine; `in_file` had one in the file only; `repeated` were sent again.
    """

    service: PushService
    seed: int
    taken_at_kills: tuple[int, ...]
    in_file: int
    unknown: int
    repeated: int
    phones: int = PHONES

    def line(self) -> str:
        """The run in one line."""
        at = ", ".join(str(count) for count in self.taken_at_kills)
        return (
            f"{self.service.value:<4} seed {self.seed:>3}: killed after {at} messages;"
            f" {self.in_file} answers only in the file, {self.unknown} unknown, {self.repeated} sent again,"
            f" {self.phones} phones reached, 0 left out"
        )


@dataclass
class Service:
    """The stand-in of one service, and what it has recorded."""

    of: PushService
    fake: FakeGoogle | FakeApple
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def is_busy(self) -> bool:
        return self.fake.is_busy

    def taken(self) -> list[tuple[str, str]]:
        """Token and uuids of each message that it took, in their order."""
        if isinstance(self.fake, FakeGoogle):
            return [(each["token"], data_of(each)["survey_uuids_dict"]) for each in list(self.fake.messages)]
        return [(path.rsplit("/", 1)[-1], payload["survey_uuids_dict"]) for path, _, payload in list(self.fake.pushes)]


@contextmanager
def service_of(service: PushService) -> Iterator[Service]:
    """A stand-in whose credentials are the site's."""
    if service is PushService.FCM:
        with running_google() as google:
            google.seconds = SECONDS_EACH[service]
            _store(CredentialKind.BACKEND, google.service_account)
            yield Service(service, google, {"FCM_URL": google.url})
    else:
        with running_apple() as apple:
            apple.seconds = SECONDS_EACH[service]
            _store(CredentialKind.APNS, apple.key_file)
            yield Service(service, apple, {"APNS_URL": apple.url})


def run_with_kills(factory: Factory, service: Service, seed: int) -> Killed:
    """One run; the seed says how often and when it is killed."""
    dice = random.Random(seed)
    uuid_of = _phones_due_now(factory, service.of)
    begins = so_far = len(service.taken())
    unknown_at: Counter[str] = Counter()
    moments: list[int] = []
    in_file = 0
    for _ in range(dice.randint(1, MOST_KILLS)):
        stop_at = so_far + dice.randint(0, _waiting())
        sender = start_sender(service)
        wait_until(lambda: len(service.taken()) >= stop_at or is_all_done())  # noqa: B023  used at once
        time.sleep(dice.uniform(0, MOST_DELAY_SECONDS))  # between two answers as well as in a transaction
        os.kill(sender.pid, signal.SIGKILL)
        sender.wait()
        wait_until(lambda: not service.is_busy)
        taken = {token for token, _ in service.taken()[so_far:]}
        moments.append(len(taken))
        so_far += len(taken)
        recorded = recorded_answers()
        in_file += len(recorded)
        unknown_at.update((_pending_tokens() & taken) - recorded)
        _let_two_minutes_pass()
    last = start_sender(service)
    try:
        wait_until(lambda: is_all_done() and not left_files())  # a kill may have come after the last message
    finally:
        last.send_signal(signal.SIGTERM)
        last.wait(20)
    messages = service.taken()[begins:]
    counts = Counter(token for token, _ in messages)
    assert set(counts) == set(uuid_of), "somebody is left out, or a stranger was sent something"
    for token, count in counts.items():
        assert count <= 1 + unknown_at[token], (
            f"{token} got {count}, and its answer was unknown {unknown_at[token]} times"
        )
    for token, uuids in messages:
        assert uuid_of[token] in uuids, "another uuid"
    assert not left_files(), "answers are left"
    successes = sa.select(sa.func.count()).select_from(NotificationAttempt).where(NotificationAttempt.status == SUCCESS)
    names = sa.select(PushToken.participant_id).where(PushToken.token.in_(list(uuid_of)))
    in_history = db.session.scalar(successes.where(NotificationAttempt.participant_id.in_(names)))
    assert in_history == PHONES, "the history holds each once"
    repeated = sum(count - 1 for count in counts.values())
    return Killed(service.of, seed, tuple(moments), in_file, unknown_at.total(), repeated)


def start_sender(service: Service) -> subprocess.Popen[bytes]:
    """A standing sender in a process of its own."""
    command = [sys.executable, "-m", "ops.sender"]
    environment = {**os.environ, **service.environment}
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.DEVNULL)


def wait_until(condition: Callable[[], bool]) -> None:
    """Looks each 10 ms; raises AssertionError after a minute."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.01)


def left_files() -> list[Path]:
    """Files of answers that a killed process has left."""
    return list((get_settings().var_dir / FOLDER).glob("*.jsonl"))


def recorded_answers() -> set[str]:
    """Tokens of messages that are pending, and whose answer is in a file that is left."""
    numbers = set()
    for path in left_files():
        for line in path.read_text().splitlines():
            try:
                numbers.add(json.loads(line)["number"])
            except ValueError:
                continue  # the kill cut it off
    return {token for number, token in _pending() if number in numbers}


def is_all_done() -> bool:
    """Whether no event waits any more."""
    db.session.rollback()
    return _waiting() == 0


def _waiting() -> int:
    waiting = sa.select(sa.func.count()).select_from(ScheduledEvent).where(ScheduledEvent.state == "pending")
    return db.session.scalar(waiting) or 0


def _pending_tokens() -> set[str]:
    return {token for _, token in _pending()}


def _pending() -> list[tuple[int, str]]:
    db.session.rollback()
    query = sa.select(PushMessage.id, PushToken.token).join(PushToken, PushToken.id == PushMessage.token_id)
    return [(number, token) for number, token in db.session.execute(query.where(PushMessage.state == "pending"))]


def _let_two_minutes_pass() -> None:
    earlier = PushMessage.written_at - timedelta(minutes=3)
    db.session.execute(sa.update(PushMessage).where(PushMessage.state == "pending").values(written_at=earlier))
    db.session.commit()


def _store(kind: CredentialKind, contents: dict[str, str]) -> None:
    now = datetime.now(UTC)
    store_credential(db.session(), kind, json.dumps(contents).encode(), now - timedelta(days=1), actor=SERVER)
    service = PushService.FCM if kind is CredentialKind.BACKEND else PushService.APNS
    db.session.merge(PushServiceState(service=service.value, accepted_at=now))
    db.session.commit()


def _phones_due_now(factory: Factory, service: PushService) -> dict[str, str]:
    """Makes a study of phones whose survey is due; returns the uuid of each token's event."""
    study = factory.study(timezone_name="America/New_York")
    survey = factory.survey(study)
    made = db.session.scalars(
        sa.text(
            "INSERT INTO participants (patient_id, study_id, password_hash, os_type, device_id)"
            " SELECT translate('s' || :study || 'n' || n, '0', 'a'), :study, 'x', :platform, 'd'"
            " FROM generate_series(1, :count) AS n RETURNING id"
        ),
        {"study": study.id, "count": PHONES, "platform": PLATFORMS[service].value},
    ).all()
    db.session.execute(sa.insert(ParticipantActivity), [{"participant_id": number} for number in made])
    tokens = [{"participant_id": number, "service": service.value, "token": f"{number:064x}"} for number in made]
    db.session.execute(sa.insert(PushToken), tokens)
    at = datetime.now(UTC) - timedelta(minutes=1)
    rows = [{"participant_id": number, "survey_id": survey.id, "scheduled_at": at} for number in made]
    db.session.execute(sa.insert(ScheduledEvent), rows)
    db.session.commit()
    events = db.session.execute(sa.select(ScheduledEvent.participant_id, ScheduledEvent.uuid)).tuples()
    return {f"{number:064x}": str(uuid) for number, uuid in events if number in set(made)}
