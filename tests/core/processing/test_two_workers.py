"""Two workers at once on one participant: chunks, rows and queue end as if one had worked alone (PROC-51, STORE-11).

`FIGHTS` and `FIGHT_SEED` in the environment say how many and which; figures are printed (`pytest -s`). Both workers
are real threads with connections and a store of their own. A schedule drawn from the seed says who goes on before every
statement, commit, read and write: one of them, and in every other fight also both at the same time.
"""

import json
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from core.config import Settings
from core.database import URL, database_url, engine_options
from core.models import Participant, Study
from core.processing import batch, claims
from core.processing.claims import Scope, is_anything_waiting
from core.processing.run import process_everything
from core.storage import ObjectChanged, ObjectExists, open_store
from core.streams import Platform
from tests.core.processing.test_batch import queue
from tests.core.processing.test_kills import HOUR_MS, START_MS, SURVEY, outcome, run, upload_files
from tests.support.factories import Factory
from webapp.stores import settings

FIGHTS = int(os.environ.get("FIGHTS", "8"))
SEED = int(os.environ.get("FIGHT_SEED", "1"))
ONE, OTHER, BOTH = frozenset({0}), frozenset({1}), frozenset({0, 1})
PATIENCE_SECONDS = 0.03
pytestmark = pytest.mark.timeout(900)


class Schedule:
    """Who goes on, and for how many effects; `allowed` are the choices, `loss_rate` is how often a claim is lost.

    Where nothing moves for a while, the one whose turn it is waits in the database for what the other holds, and the
    other goes on.
    """

    def __init__(self, seed: str, allowed: tuple[frozenset[int], ...], loss_rate: float) -> None:
        self.random = random.Random(seed)
        self.allowed = allowed
        self.loss_rate = loss_rate
        self.moved = threading.Condition()
        self.going = BOTH
        self.left = 0
        self.running: set[int] = set()

    def before_effect(self, worker: int) -> None:
        """Returns when the worker may go on."""
        with self.moved:
            self.running.discard(worker)
            self.moved.notify_all()
            while not self._may_go(worker):
                if not self.moved.wait(PATIENCE_SECONDS):
                    self.going, self.left, self.running = frozenset({worker}), 4, set()
            self.left -= 1
            self.running.add(worker)

    def loses_claim(self) -> bool:
        """Whether who goes on now loses its claim."""
        with self.moved:
            return self.random.random() < self.loss_rate

    def end(self, worker: int) -> None:
        """The worker has nothing more to do; the other has every turn from now on."""
        with self.moved:
            self.running.discard(worker)
            self.allowed, self.left = (BOTH - {worker},), 0
            self.moved.notify_all()

    def _may_go(self, worker: int) -> bool:
        if self.left == 0 and not self.running:
            self.going, self.left = self.random.choice(self.allowed), 2 ** self.random.randrange(5)
            self.moved.notify_all()
        return self.left > 0 and worker in self.going


class Worker:
    """A worker as in a process of its own. What it does to the world outside happens when the schedule lets it.

    `troubles` counts what it had to end a batch for.
    """

    def __init__(self, number: int, settings: Settings) -> None:
        self.number, self.settings = number, settings
        self.engine = sa.create_engine(URL, **engine_options(settings, 2))
        self.store = open_store(settings)
        self.troubles: Counter[str] = Counter()
        self.schedule: Schedule | None = None
        self.backend = 0
        sa.event.listen(self.engine, "checkout", self._note_backend)
        self.engine.connect().close()
        for name in ("read", "create", "replace"):
            setattr(self.store, name, self._in_turn(getattr(self.store, name), has_claim=True))
        for name in ("do_execute", "do_executemany", "do_commit"):
            setattr(self.engine.dialect, name, self._in_turn(getattr(self.engine.dialect, name), has_claim=False))

    def work(self, participant_id: int, schedule: Schedule) -> None:
        """Works until nothing of the participant waits; after an error of the database again, as a flow does."""
        self.schedule = schedule
        scope = Scope(participant_id=participant_id)
        try:
            while self._is_anything_waiting(scope):
                try:
                    process_everything(self.engine, self.store, self.settings, scope)
                except (sa.exc.DBAPIError, StaleDataError) as error:
                    self.troubles[type(error).__name__] += 1
        finally:
            self.schedule = None
            schedule.end(self.number)

    def _is_anything_waiting(self, scope: Scope) -> bool:
        with Session(self.engine) as session:
            return is_anything_waiting(session, scope)

    def _in_turn(self, effect: Callable[..., Any], *, has_claim: bool) -> Callable[..., Any]:
        def effect_in_turn(*arguments: Any, **more: Any) -> Any:
            if self.schedule:
                self.schedule.before_effect(self.number)
                if has_claim and self.schedule.loses_claim():
                    self._lose_claim()
            try:
                return effect(*arguments, **more)
            except (ObjectChanged, ObjectExists) as error:
                self.troubles[type(error).__name__] += 1
                raise

        return effect_in_turn

    def _note_backend(self, connection: Any, *_: Any) -> None:
        self.backend = connection.info.backend_pid

    def _lose_claim(self) -> None:
        """The database gives up on the connection: whoever asks now gets the claim, and this worker knows nothing."""
        connection = psycopg2.connect(database_url(self.settings))
        connection.autocommit = True
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [self.backend])
            while cursor.rowcount:
                cursor.execute("SELECT FROM pg_locks WHERE pid = %s", [self.backend])


@pytest.fixture
def workers(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Worker, Worker]]:
    """Two, whose batches are cut differently. Nothing in them, or in this thread, works on two things at once."""
    monkeypatch.setattr(batch, "THREADS", 1)
    app.extensions["beiwe_settings"] = settings().model_copy(update={"processing_tasks": 1})
    one, other = (
        Worker(number, settings().model_copy(update={"file_process_page_size": files}))
        for number, files in enumerate((3, 2))
    )
    yield one, other
    one.engine.dispose()
    other.engine.dispose()


def with_files(factory: Factory, study: Study) -> Participant:
    """A participant whose chunks all exist, so that they are replaced, with files that wait: many for the same ones."""
    participant = factory.participant(study, platform=Platform.ANDROID)
    for alias, hours in (("accel", 3), ("gps", 2), (f"surveyTimings/{SURVEY}", 1)):
        upload_rows(factory, participant, alias, hours, 1)
    run(participant)
    upload_files(factory, participant)
    for number in range(2, 7):
        upload_rows(factory, participant, "gps", 2, number)
    return participant


def upload_rows(factory: Factory, participant: Participant, alias: str, hours: int, number: int) -> None:
    """A file with a row of its own in each of the first hours."""
    rows = [f"{START_MS + hour * HOUR_MS + number},row,{number},0,0" for hour in range(hours)]
    queue(factory, participant, f"{alias}/{START_MS + number}0.csv", "\n".join(["timestamp,a,b,c,d", *rows]).encode())


def fight(
    factory: Factory, study: Study, workers: tuple[Worker, Worker], number: int, loss_rate: float = 0
) -> Participant:
    """A participant with files, when both have worked until none was left."""
    participant = with_files(factory, study)
    schedule = Schedule(f"{SEED} {number}", (ONE, OTHER, BOTH)[: 2 + number % 2], loss_rate)
    with ThreadPoolExecutor(len(workers)) as threads:
        for ended in [threads.submit(worker.work, participant.id, schedule) for worker in workers]:
            ended.result(60)
    return participant


def worked_on_alone(factory: Factory, study: Study) -> Participant:
    """A participant with the same files, undisturbed."""
    participant = with_files(factory, study)
    run(participant)
    return participant


@pytest.mark.parametrize("loss_rate", [0, 0.05], ids=["kept", "lost"])
def test_two_workers_on_one_participant_leave_what_one_leaves(
    factory: Factory, workers: tuple[Worker, Worker], loss_rate: float
):
    """PROC-50, PROC-51, STORE-11: also where claims are lost amid a batch, and who lost one knows it only later."""
    study = factory.study()
    expected = outcome(factory, worked_on_alone(factory, study))
    assert expected["queue"] == []
    assert len(expected["contents"]) == 6
    for number in range(FIGHTS):
        participant = fight(factory, study, workers, number, loss_rate)
        assert outcome(factory, participant) == expected, f"seed {SEED}, fight {number}"
    troubles = workers[0].troubles + workers[1].troubles
    print(json.dumps({"seed": SEED, "fights": FIGHTS, "loss rate": loss_rate, "troubles": dict(troubles)}))
    assert bool(troubles["OperationalError"]) == bool(loss_rate)


def test_two_workers_who_both_believe_in_their_claim_lose_nothing(
    factory: Factory, workers: tuple[Worker, Worker], monkeypatch: pytest.MonkeyPatch
):
    """STORE-11: without any claim, writes depend on what was read, and rows on who took the files from the queue."""
    monkeypatch.setattr(claims, "try_lock", lambda connection, key: True)
    study = factory.study()
    expected = outcome(factory, worked_on_alone(factory, study))
    for number in range(FIGHTS):
        participant = fight(factory, study, workers, number)
        assert outcome(factory, participant) == expected, f"seed {SEED}, fight {number}"
    troubles = workers[0].troubles + workers[1].troubles
    print(json.dumps({"seed": SEED, "fights": FIGHTS, "troubles": dict(troubles)}))
    assert troubles["ObjectChanged"] + troubles["ObjectExists"]
