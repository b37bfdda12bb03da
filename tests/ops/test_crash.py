"""Nothing acknowledged is ever lost (design rule 1): SIGKILL at random moments, and every row is there exactly once.

The report is printed (`pytest -s`); `CRASH_SEED` repeats a run's choices, `CRASH_FILES` makes it longer.
"""

import json
import os
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.config import get_settings
from core.models import Chunk, QueuedUpload, QueueState, StoredObject, Study, UploadRecord
from core.storage import SealedStore, open_store
from core.streams import chunk_path, stream_by_number
from ops.phones import Phone, Platform, Transport
from ops.phones.ledger import Acknowledged, Ledger, regenerate
from tests.ops.machine import Machine
from tests.reference.chunks import build

FILES = int(os.environ.get("CRASH_FILES", "200"))
PHONES = 4
VICTIMS = ("web", "worker", "second worker", "database")
KILLS_OF_EACH = 4
START_MS = 1_700_000_000_000
FILE_MS = 15 * 60_000
MOST_SECONDS = 240


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    machine.flask("db", "upgrade")
    for name in ("VAR_DIR", "DATABASE_URL", "FLASK_SECRET_KEY"):
        monkeypatch.setenv(name, machine.environment[name])
    get_settings.cache_clear()
    yield machine
    machine.stop()
    get_settings.cache_clear()


class Killer(threading.Thread):
    """Kills a random victim at random moments and starts it again, until it is told to stop."""

    def __init__(self, machine: Machine, seed: int) -> None:
        super().__init__(daemon=True)
        self.machine = machine
        self.random = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.over = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.over.wait(self.random.uniform(0.2, 1.5)):
                victim = self.random.choice(VICTIMS)
                self.machine.kill(victim)
                self.kills[victim] += 1
                self.over.wait(self.random.uniform(0, 0.4))
                self.machine.start(victim)
        except BaseException as error:  # the test must hear of it
            self.failure = error

    @property
    def has_killed_enough(self) -> bool:
        return all(self.kills[victim] >= KILLS_OF_EACH for victim in VICTIMS)


def test_every_acknowledged_row_is_in_the_chunks_exactly_once_whatever_is_killed(machine: Machine):
    """PHONE-63, PHONE-82, PHONE-83, PROC-50, STORE-10, STORE-11."""
    seed = int(os.environ.get("CRASH_SEED", str(random.randrange(10**6))))
    study = json.loads(machine.flask("study", "create", "--name", "Crashes", "--json"))["object_id"]
    people = json.loads(machine.flask("participant", "create", "--study", study, "--count", str(PHONES), "--json"))
    for name in ("web", "worker", "second worker"):
        machine.start(name)
    ledger = Ledger()
    phones = [
        Phone(
            p["patient_id"], p["password"], Platform.ANDROID if n % 2 else Platform.IOS, Transport(machine.address),
            seed=n, ledger=ledger,
        )
        for n, p in enumerate(people)
    ]  # fmt: skip
    began = time.monotonic()
    for phone in phones:
        until(lambda phone=phone: phone.register().status == 200, "the phones cannot register")
    killer = Killer(machine, seed)
    killer.start()
    uploaders = [threading.Thread(target=upload_all, args=(phone, killer), daemon=True) for phone in phones]
    for uploader in uploaders:
        uploader.start()
    for uploader in uploaders:
        uploader.join(MOST_SECONDS)
        assert not uploader.is_alive(), f"seed {seed}: uploads did not get through; {killer.failure}"
    killer.over.set()
    killer.join(30)
    assert killer.failure is None
    for victim in VICTIMS:  # whatever was killed last
        if victim != "database" and (victim not in machine.processes or machine.processes[victim].poll() is not None):
            machine.start(victim)
    engine = sa.create_engine(machine.database.get_uri())
    try:
        make_due(engine)
        until(lambda: waiting(engine) == 0, f"seed {seed}: the queue does not empty")
        for name in ("worker", "second worker"):
            machine.kill(name)
        report = verify(engine, ledger)
    finally:
        engine.dispose()
    retries = sum(entry.attempts - 1 for entry in ledger.entries)
    print(
        json.dumps(
            {
                "seed": seed, "files": ledger.files, "kills": dict(killer.kills), "retries": retries,
                "seconds": round(time.monotonic() - began, 1), **report,
            }
        )
    )  # fmt: skip
    assert ledger.files == FILES
    assert killer.has_killed_enough, f"seed {seed}: {killer.kills}"


def upload_all(phone: Phone, killer: Killer) -> None:
    """Writes this phone's share of files and sends them round after round until all are taken and enough has died."""
    share = FILES // PHONES
    for n in range(share):
        alias = ("accel", "gps", "powerState")[n % 3]
        start = START_MS + (n // 3) * FILE_MS
        phone.collect(alias, start, start + FILE_MS)
        phone.upload_round()
    end = time.monotonic() + MOST_SECONDS
    while time.monotonic() < end and (phone.outbox.waiting() or not killer.has_killed_enough):
        phone.upload_round()
        phone.heartbeat()


def verify(engine: sa.Engine, ledger: Ledger) -> dict[str, int]:
    """Compares the store with chunks built by the plain loop from what the phones know was acknowledged."""
    assert set(ledger.answers) == {"upload successful."}
    by_phone: dict[str, list[Acknowledged]] = defaultdict(list)
    for entry in ledger.entries:
        by_phone[entry.patient_id].append(entry)
    rows = chunks = 0
    with Session(engine) as session:
        study = session.scalars(sa.select(Study)).one()
        store = SealedStore(open_store(get_settings()), study, get_settings())
        for patient_id, entries in by_phone.items():
            wanted = wanted_chunks(patient_id, entries)
            got = stored_chunks(session, store, study.object_id, patient_id)
            assert set(got) == set(wanted)
            for name, contents in wanted.items():
                assert got[name] == contents, name
                rows += contents.count(b"\n")
                chunks += 1
        logged = Counter(session.scalars(sa.select(UploadRecord.path)))
        assert max(logged.values()) == 1
        names = {f"{study.object_id}/{e.file_name.replace('_', '/')}" for e in ledger.entries}
        assert {path for path in logged if "identifiers" not in path} == names
        assert session.scalar(sa.select(sa.func.count()).where(UploadRecord.processed_at.is_(None))) == 0
        raw = {key.removesuffix(".zst") for key in store.store.keys(f"{study.object_id}/") if "/keys/" not in key}
        orphans = len(raw - set(logged))
        assert all("identifiers" in path for path in raw - set(logged))
    return {"rows": rows, "chunks": chunks, "identifiers_left_by_killed_registrations": orphans}


def wanted_chunks(patient_id: str, entries: list[Acknowledged]) -> dict[str, bytes]:
    platform = Platform(entries[0].platform)
    files = [
        (e.file_name.removeprefix(f"{patient_id}_").replace("_", "/"), regenerate(e), _ours(platform)) for e in entries
    ]
    return build(files, {}, _ours(platform), datetime.now(UTC))


def _ours(platform: Platform):
    from core.streams import Platform as Ours

    return Ours(platform.value.upper())


def stored_chunks(session: Session, store: SealedStore, study_id: str, patient_id: str) -> dict[str, bytes]:
    """Chunks of a participant but for identifiers, by name; each must agree with its registry and object row."""
    folder = f"CHUNKED_DATA/{study_id}/{patient_id}/"
    query = sa.text("SELECT id FROM participants WHERE patient_id = :id")
    participant_id = session.execute(query, {"id": patient_id}).scalar_one()
    found = {}
    for row in session.scalars(sa.select(Chunk).where(Chunk.participant_id == participant_id)):
        stream = stream_by_number(row.stream)
        path = chunk_path(study_id, patient_id, stream, row.time_bin, None)
        contents = store.read(path, "ours")[0]
        stored = session.get(StoredObject, path + ".zst")
        assert stored is not None
        assert (row.size_bytes, row.sha1) == (len(contents), stored.sha1), path
        if stream != "identifiers":
            found[path.removeprefix(folder)] = contents
    listed = {key.removesuffix(".zst").removeprefix(folder) for key in store.store.keys(folder)}
    assert {name for name in listed if not name.startswith("identifiers")} == set(found)
    return found


def waiting(engine: sa.Engine) -> int:
    with Session(engine) as session:
        assert not session.scalars(
            sa.select(QueuedUpload.reason).where(QueuedUpload.state == QueueState.FAILED.value)
        ).all()
        return session.scalar(sa.select(sa.func.count(QueuedUpload.id))) or 0


def make_due(engine: sa.Engine) -> None:
    with Session(engine) as session:
        session.execute(sa.update(QueuedUpload).values(next_try_at=sa.func.now()))
        session.commit()


def until(is_done, otherwise: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < end, otherwise
        time.sleep(0.1)
