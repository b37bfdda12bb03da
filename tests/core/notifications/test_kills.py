"""A sender that is killed at random moments: nothing is lost, and nothing is sent twice without need (NOTIF-45)."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.config import REPOSITORY, get_settings
from core.database import db
from core.models import ParticipantActivity, PushMessage, PushToken, ScheduledEvent
from core.notifications.answer_log import FOLDER
from tests.support.pushing import Pushing, data_of, events

PHONES = 150
SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 12))]


def start_sender(pushing: Pushing) -> subprocess.Popen[bytes]:
    """A standing sender in a process of its own."""
    environment = {**os.environ, "FCM_URL": pushing.google.url}
    command = [sys.executable, "-m", "ops.sender"]
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.DEVNULL)


def until(condition: object, seconds: float = 60.0) -> None:
    """Waits for a condition, by looking each 10 ms."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.01)


def left_files() -> list[Path]:
    return list((get_settings().var_dir / FOLDER).glob("*.jsonl"))


def recorded_answers() -> set[int]:
    """Participants whose messages were answered before the kill, by the file that is left."""
    numbers = {json.loads(line)["number"] for path in left_files() for line in path.read_text().splitlines()}
    return set(db.session.scalars(sa.select(PushMessage.participant_id).where(PushMessage.id.in_(numbers))))


def is_all_done() -> bool:
    db.session.rollback()
    pending = sa.select(sa.func.count()).select_from(ScheduledEvent).where(ScheduledEvent.state == "pending")
    return db.session.scalar(pending) == 0


@pytest.fixture
def many(pushing: Pushing) -> Pushing:
    """Many phones whose survey is due now, by the real clock."""
    pushing.now = datetime.now(UTC)
    made = db.session.scalars(
        sa.text(
            "INSERT INTO participants (patient_id, study_id, password_hash, os_type, device_id)"
            " SELECT translate(n::text, '0', 'a'), :study, 'x', 'ANDROID', 'd' FROM generate_series(1, :count) AS n"
            " RETURNING id"
        ),
        {"study": pushing.study.id, "count": PHONES},
    ).all()
    survey = pushing.factory.survey(pushing.study)
    db.session.execute(sa.insert(ParticipantActivity), [{"participant_id": number} for number in made])
    db.session.execute(sa.insert(PushToken), [{"participant_id": n, "service": "fcm", "token": f"n-{n}"} for n in made])
    at = pushing.now - timedelta(minutes=1)
    rows = [{"participant_id": n, "survey_id": survey.id, "scheduled_at": at} for n in made]
    db.session.execute(sa.insert(ScheduledEvent), rows)
    db.session.commit()
    return pushing


@pytest.mark.parametrize("seed", SEEDS)
def test_a_kill_at_a_random_moment_loses_nothing_and_repeats_only_what_was_not_known(many: Pushing, seed: int):
    """NOTIF-45, CLAR-61: the lock is free at once, and the repeated ones have the same uuids."""
    kills = random.Random(seed)
    google, uuid_of = many.google, {event.participant_id: str(event.uuid) for event in events()}
    google.seconds = 0.02
    stop_at = kills.randrange(1, PHONES - 20)
    first = start_sender(many)
    until(lambda: google.sends >= stop_at)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    until(lambda: not google.is_busy)
    db.session.rollback()
    unknown = set(db.session.scalars(db.select(PushMessage.participant_id).where(PushMessage.state == "pending")))
    recorded = recorded_answers()
    taken_before = {message["token"] for message in google.messages}
    db.session.execute(sa.update(PushMessage).values(written_at=PushMessage.written_at - timedelta(minutes=3)))
    db.session.commit()
    second = start_sender(many)
    try:
        until(is_all_done)
    finally:
        second.send_signal(signal.SIGTERM)
        second.wait(20)
    counts = Counter(message["token"] for message in google.messages)
    repeated = {token for token, count in counts.items() if count > 1}
    assert len(counts) == PHONES, "nobody is left out"
    assert max(counts.values()) <= 2
    assert repeated <= {f"n-{number}" for number in unknown - recorded} & taken_before
    assert left_files() == []
    for message in google.messages:
        number = int(message["token"].removeprefix("n-"))
        assert uuid_of[number] in data_of(message)["survey_uuids_dict"]
    print(f"seed {seed}: killed after {stop_at} sends, {len(recorded)} answers in the file; repeated: {len(repeated)}")
