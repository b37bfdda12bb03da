"""Processing killed at random places, many times over: chunks, rows, queue end as if nothing had happened (PROC-50).

`KILLS` and `KILL_SEED` in the environment say how often and where; the figures are printed (`pytest -s`). A kill
strikes before or after any statement, commit, read or write of an object; what the database does with a client that is
gone happens then.
"""

import json
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.database import db
from core.models import Chunk, DailyStatistics, Participant, QueuedUpload, StoredObject, UploadRecord
from core.models.daily_statistics import BYTES_OF
from core.processing import batch
from core.processing.claims import Scope
from core.processing.run import process_everything
from core.storage.folder import FolderStore
from core.storage.sealed import SUFFIX
from core.streams import Platform
from tests.core.processing.test_batch import forget_rows, queue
from tests.support.factories import Factory
from webapp.stores import object_store, settings

KILLS = int(os.environ.get("KILLS", "100"))
SEED = int(os.environ.get("KILL_SEED", "1"))
HOUR_MS = 3_600_000
START_MS = 1_700_002_800_000
SURVEY = "5a1b2c3d4e5f6a7b8c9d0e1f"
# Every place where a process can be killed with a difference: what it does to the world outside.
EFFECTS = (
    (FolderStore, "read"),
    (FolderStore, "create"),
    (FolderStore, "replace"),
    (sa.engine.default.DefaultDialect, "do_execute"),
    (sa.engine.default.DefaultDialect, "do_commit"),
)


class Killed(BaseException):
    """The process is gone; nothing in it catches this."""


class Countdown:
    """Kills before or after an effect, when its time has come; afterwards nothing of that process does anything."""

    def __init__(self, effects: int, *, is_after: bool) -> None:
        self.left = effects
        self.is_after = is_after
        self.is_dead = False

    def strike(self, effect: Any, arguments: Any, more: Any) -> Any:
        if self.is_dead:
            raise Killed
        self.left -= 1
        if self.left > 0:
            return effect(*arguments, **more)
        self.is_dead = True
        if self.is_after:
            effect(*arguments, **more)
        raise Killed


@contextmanager
def killed_after(countdown: Countdown) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in EFFECTS:
            effect = getattr(owner, name)
            patch.setattr(owner, name, lambda *a, effect=effect, **m: countdown.strike(effect, a, m))
        yield


def upload_files(factory: Factory, participant: Participant) -> None:
    """A day's worth of oddities: files over hours, the same rows twice, rows to drop, a survey, one not chunked."""
    rows = [f"{START_MS + n * 400_000},unknown,{n},0,1" for n in range(24)]
    header = "timestamp,accuracy,x,y,z"
    for number in range(6):
        lines = [header, *rows[number * 3 : number * 3 + 9], "not a time,1,2,3,4"]
        queue(factory, participant, f"accel/{START_MS + number}.csv", "\n".join(lines).encode())
    queue(factory, participant, f"gps/{START_MS}.csv", f"timestamp,x\n{START_MS},1\n{START_MS + HOUR_MS},2".encode())
    queue(factory, participant, f"surveyTimings/{SURVEY}/{START_MS}.csv", f"timestamp,a,b\n{START_MS},c,d".encode())
    queue(factory, participant, f"surveyAnswers/{SURVEY}/{START_MS}.csv", b"question id\n1")


def outcome(factory: Factory, participant: Participant) -> dict[str, Any]:
    """Everything that processing leaves of this participant, without what differs from run to run."""
    forget_rows()
    folder = f"/{participant.study.object_id}/{participant.patient_id}/"

    def without_ids(path: str) -> str:
        return path.replace(folder, "/")

    store = factory.store(participant.study)
    mine = {"participant_id": participant.id}
    chunks = db.session.scalars(db.select(Chunk).filter_by(**mine)).all()
    objects = db.session.scalars(
        db.select(StoredObject).filter_by(**mine).where(StoredObject.path.startswith("CHUNKED_DATA/"))
    ).all()
    records = db.session.scalars(db.select(UploadRecord).filter_by(**mine).order_by(UploadRecord.path)).all()
    waiting = db.session.scalars(db.select(QueuedUpload.path).filter_by(**mine)).all()
    days = db.session.scalars(db.select(DailyStatistics).filter_by(**mine).order_by(DailyStatistics.day)).all()
    db.session.commit()
    keys = store.store.keys(f"CHUNKED_DATA{folder}")
    registry = [(c.stream, c.time_bin, without_ids("/" + (c.path or "")), c.md5, c.sha1, c.size_bytes) for c in chunks]
    return {
        "contents": {without_ids(key): store.read(key.removesuffix(SUFFIX))[0] for key in keys},
        "registry": sorted(registry),
        "objects": sorted((without_ids(o.path), o.sha1, o.seal, o.size_bytes) for o in objects),
        "log": [
            (without_ids("/" + r.path), bool(r.processed_at), r.first_bin, r.last_bin, r.dropped_rows) for r in records
        ],
        "quantities": [[getattr(d, name) for name in ("day", *BYTES_OF.values())] for d in days],
        "queue": [without_ids(path) for path in waiting],
    }


def run(participant: Participant) -> None:
    process_everything(db.engine, object_store(), settings(), Scope(participant_id=participant.id))


@pytest.mark.timeout(900)
def test_kills_at_random_places_change_nothing(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """PROC-50, PROC-51: a run that is killed, and killed again while it is repeated, ends like one left alone."""
    monkeypatch.setattr(batch, "THREADS", 1)
    few_files = settings().model_copy(update={"file_process_page_size": 4, "processing_tasks": 1})
    app.extensions["beiwe_settings"] = few_files
    study, rng = factory.study(), random.Random(SEED)
    undisturbed = factory.participant(study, platform=Platform.ANDROID)
    upload_files(factory, undisturbed)
    whole = Countdown(1_000_000, is_after=False)
    with killed_after(whole):
        run(undisturbed)
    effects = 1_000_000 - whole.left
    expected = outcome(factory, undisturbed)
    assert expected["queue"] == []
    assert len(expected["contents"]) >= 5

    kills = participants = 0
    while kills < KILLS:
        participants += 1
        participant = factory.participant(study, platform=Platform.ANDROID)
        upload_files(factory, participant)
        for _ in range(rng.randrange(4, 12)):
            countdown = Countdown(rng.randrange(1, effects + 1), is_after=rng.random() < 0.5)
            try:
                with killed_after(countdown):
                    run(participant)
            except Killed:
                kills += 1
            db.engine.dispose()  # its connections are gone, and what was under way in them
        run(participant)
        assert outcome(factory, participant) == expected, f"seed {SEED}, after {kills} kills"
    print(json.dumps({"seed": SEED, "kills": kills, "participants": participants, "effects_of_a_run": effects}))
