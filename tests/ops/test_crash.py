"""Nothing acknowledged is ever lost (design rule 1): SIGKILL at random moments, and every row is there exactly once.

The report is printed (`pytest -s`); `CRASH_SEED` repeats a run's choices, `CRASH_FILES` and `CRASH_KILLS` make it
longer.
"""

import hashlib
import json
import os
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.config import get_settings
from core.models import Chunk, DailyStatistics, Participant, QueuedUpload, QueueState, StoredObject, Study, UploadRecord
from core.models.daily_statistics import BYTES_OF
from core.storage import SealedStore, open_store
from core.streams import DataStream, chunk_path, stream_by_number
from ops.phones import Phone, Platform, Transport
from ops.phones.ledger import Acknowledged, Ledger, regenerate
from tests.ops.machine import Machine
from tests.reference.chunks import build

FILES = int(os.environ.get("CRASH_FILES", "200"))
PHONES = 4
VICTIMS = ("web", "worker", "second worker", "database")
KILLS_OF_EACH = 4
KILLS = max(int(os.environ.get("CRASH_KILLS", "0")), KILLS_OF_EACH * len(VICTIMS))
START_MS = 1_699_152_000_000  # in New York the evening before the day of 25 hours
FILE_MS = 15 * 60_000
LONGEST_WAIT_SECONDS = 4
MOST_SECONDS = 240 * max(KILLS / 16, FILES / 200, 1)


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
    """Kills the victims in random order at random moments and starts them again, until it is told to stop.

    Phones have new files when it is about to strike (`strikes`), so that something is under way. `in_a_batch` counts
    the kills of workers and database at which a batch was.
    """

    def __init__(self, machine: Machine, seed: int) -> None:
        super().__init__(daemon=True)
        self.machine = machine
        self.random = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.strikes = self.in_a_batch = 0
        self.over = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.over.is_set():
                for victim in self.random.sample(VICTIMS, len(VICTIMS)):
                    self.strike(victim)
        except BaseException as error:  # the test must hear of it
            self.failure = error

    def strike(self, victim: str) -> None:
        self.over.wait(self.random.uniform(0, 1))
        self.strikes += 1
        if victim != "web" and self.random.random() < 0.8:
            self.wait_for_a_batch(victim)
        else:
            self.over.wait(self.random.uniform(0, 0.5))
        if self.over.is_set():
            return
        self.in_a_batch += victim != "web" and self.machine.is_working(victim)
        self.machine.kill(victim)
        self.kills[victim] += 1
        self.over.wait(self.random.uniform(0, 0.4))
        self.machine.start(victim)

    def wait_for_a_batch(self, victim: str) -> None:
        """Until the worker (with the database: any) is amid a batch, but not for long, and a moment longer."""
        end = time.monotonic() + LONGEST_WAIT_SECONDS
        while not self.machine.is_working(victim) and time.monotonic() < end and not self.over.wait(0.005):
            pass
        self.over.wait(self.random.uniform(0, 0.02))

    @property
    def has_killed_enough(self) -> bool:
        return self.kills.total() >= KILLS and all(self.kills[victim] >= KILLS_OF_EACH for victim in VICTIMS)


@pytest.mark.timeout(MOST_SECONDS + 120)
def test_every_acknowledged_row_is_in_the_chunks_exactly_once_whatever_is_killed(machine: Machine):
    """PHONE-63, PHONE-82, PHONE-83, PROC-38, PROC-40, PROC-50, STORE-10, STORE-11."""
    seed = int(os.environ.get("CRASH_SEED", str(random.randrange(10**6))))
    study = json.loads(machine.flask("study", "create", "--name", "Crashes", "--json"))["object_id"]
    people = json.loads(machine.flask("participant", "create", "--study", study, "--count", str(PHONES), "--json"))
    for name in ("web", "worker", "second worker"):
        machine.start(name)
    ledger = Ledger()
    phones = [
        Phone(
            p["patient_id"],
            p["password"],
            Platform.ANDROID if n % 2 else Platform.IOS,
            Transport(machine.address),
            seed=n,
            ledger=ledger,
        )
        for n, p in enumerate(people)
    ]
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
    # A file that a phone still has may be stored all the same, its answer lost: nothing can be compared then.
    assert not any(phone.outbox.waiting() for phone in phones), f"seed {seed}: uploads took too long"
    killer.over.set()
    killer.join(30)
    assert killer.failure is None
    for victim in VICTIMS:  # whatever was killed last
        if victim != "database" and (victim not in machine.processes or machine.processes[victim].poll() is not None):
            machine.start(victim)
    engine = sa.create_engine(machine.database_url)
    try:
        make_due(engine)
        until(lambda: waiting(engine) == 0, f"seed {seed}: the queue does not empty", MOST_SECONDS / 4)
        for name in ("worker", "second worker"):
            machine.kill(name)
        report = verify(engine, ledger)
    finally:
        engine.dispose()
    retries = sum(entry.attempts - 1 for entry in ledger.entries)
    print(
        json.dumps(
            {
                "seed": seed,
                "files": ledger.files,
                "kills": dict(killer.kills),
                "kills_in_a_batch": killer.in_a_batch,
                "retries": retries,
                "seconds": round(time.monotonic() - began, 1),
                **report,
            }
        )
    )
    assert ledger.files == FILES
    assert killer.has_killed_enough, f"seed {seed}: {killer.kills}"


def upload_all(phone: Phone, killer: Killer) -> None:
    """Writes this phone's share of files while others die, and sends them until all are taken and enough has died."""
    share, written = FILES // PHONES, 0
    end = time.monotonic() + MOST_SECONDS
    while time.monotonic() < end and (written < share or phone.outbox.waiting() or not killer.has_killed_enough):
        if written < share and written * KILLS < share * killer.strikes:
            alias = ("accel", "gps", "powerState")[written % 3]
            start = START_MS + (written // 3) * FILE_MS
            phone.collect(alias, start, start + FILE_MS)
            written += 1
        phone.upload_round()
        phone.heartbeat()
        killer.over.wait(0.05)


def verify(engine: sa.Engine, ledger: Ledger) -> dict[str, int]:
    """Compares store and rows with chunks built by the plain loop from what the phones know was acknowledged."""
    assert set(ledger.answers) == {"upload successful."}
    by_phone: dict[str, list[Acknowledged]] = defaultdict(list)
    for entry in ledger.entries:
        by_phone[entry.patient_id].append(entry)
    rows = chunks = days = 0
    assert waiting(engine) == 0
    with Session(engine) as session:
        study = session.scalars(sa.select(Study)).one()
        store = SealedStore(open_store(get_settings()), study, get_settings())
        participants = session.scalars(sa.select(Participant)).all()
        assert {p.patient_id for p in participants} == set(by_phone)
        for participant in participants:
            identifiers = identifiers_files(session, store, participant)
            wanted = wanted_chunks(participant.patient_id, by_phone[participant.patient_id], identifiers)
            got = stored_chunks(session, store, study.object_id, participant)
            assert set(got) == set(wanted)
            for name, contents in wanted.items():
                assert got[name] == contents, difference(session, participant, name, got[name], contents)
                rows += contents.count(b"\n")
            quantities = wanted_quantities(wanted, study.zone)
            assert stored_quantities(session, participant) == quantities
            chunks += len(wanted)
            days += len(quantities)
        logged = Counter(session.scalars(sa.select(UploadRecord.path)))
        assert max(logged.values()) == 1
        names = {f"{study.object_id}/{e.file_name.replace('_', '/')}" for e in ledger.entries}
        assert {path for path in logged if "identifiers" not in path} == names
        assert session.scalar(sa.select(sa.func.count()).where(UploadRecord.processed_at.is_(None))) == 0
        raw = {key.removesuffix(".zst") for key in store.store.keys(f"{study.object_id}/") if "/keys/" not in key}
        orphans = len(raw - set(logged))
        assert all("identifiers" in path for path in raw - set(logged))
    return {"rows": rows, "chunks": chunks, "days": days, "identifiers_left_by_killed_registrations": orphans}


def identifiers_files(session: Session, store: SealedStore, participant: Participant) -> dict[str, bytes]:
    """The files that registration itself has written, by their path below the participant's folder."""
    query = sa.select(UploadRecord.path).where(
        UploadRecord.participant_id == participant.id, UploadRecord.path.contains("identifiers")
    )
    return {path.split("/", 2)[2]: store.read(path)[0] for path in session.scalars(query)}


def difference(session: Session, participant: Participant, name: str, got: bytes, wanted: bytes) -> str:
    """Which rows are missing or too many, and what is known of the files of that hour."""
    stored, right = got.split(b"\n"), wanted.split(b"\n")
    missing, more = [row for row in right if row not in set(stored)], [row for row in stored if row not in set(right)]
    stream = name.partition("/")[0]
    records = session.scalars(sa.select(UploadRecord).where(UploadRecord.participant_id == participant.id))
    hour = name.partition("/")[2].removesuffix(".csv")
    files = [
        (r.path[-40:], r.size_bytes, r.received_at, r.processed_at, r.first_bin, r.last_bin, r.dropped_rows)
        for r in records
        if stream_by_number(r.stream).value == stream
        and (r.first_bin is None or f"{r.first_bin:%Y-%m-%dT%H}" == hour[:13])
    ]
    told = [
        f"{len(rows)} {what}: {rows[:1]} to {rows[-1:]}" for rows, what in ((missing, "missing"), (more, "too many"))
    ]
    return "\n".join([f"{name}: {len(stored)} rows for {len(right)}", *told, *map(str, files)])


def wanted_chunks(patient_id: str, entries: list[Acknowledged], identifiers: dict[str, bytes]) -> dict[str, bytes]:
    platform = _ours(Platform(entries[0].platform))
    uploads = {e.file_name.removeprefix(f"{patient_id}_").replace("_", "/"): regenerate(e) for e in entries}
    files = [(path, contents, platform) for path, contents in (uploads | identifiers).items()]
    return build(files, {}, platform, datetime.now(UTC))


def wanted_quantities(chunks: dict[str, bytes], zone: ZoneInfo) -> dict[date, dict[str, int]]:
    """PROC-40 with a plain loop: bytes by day of the study's zone and column."""
    sums: dict[date, Counter[str]] = defaultdict(Counter)
    for name, contents in chunks.items():
        stream, hour = name.split("/")
        at = datetime.strptime(hour, "%Y-%m-%dT%H:%M:%S.csv").replace(tzinfo=UTC)
        sums[at.astimezone(zone).date()][BYTES_OF[DataStream(stream)]] += len(contents)
    return {day: dict(columns) for day, columns in sums.items()}


def stored_quantities(session: Session, participant: Participant) -> dict[date, dict[str, int]]:
    rows = session.scalars(sa.select(DailyStatistics).where(DailyStatistics.participant_id == participant.id))
    return {
        row.day: {name: getattr(row, name) for name in BYTES_OF.values() if getattr(row, name) is not None}
        for row in rows
    }


def _ours(platform: Platform):
    from core.streams import Platform as Ours

    return Ours(platform.value.upper())


def stored_chunks(session: Session, store: SealedStore, study_id: str, participant: Participant) -> dict[str, bytes]:
    """Chunks of a participant by name; each must agree with its registry and object row."""
    folder = f"CHUNKED_DATA/{study_id}/{participant.patient_id}/"
    found = {}
    for row in session.scalars(sa.select(Chunk).where(Chunk.participant_id == participant.id)):
        path = chunk_path(study_id, participant.patient_id, stream_by_number(row.stream), row.time_bin, None)
        contents = store.read(path, "ours")[0]
        md5, sha1 = hashlib.md5(contents).digest(), hashlib.sha1(contents).digest()
        assert (row.size_bytes, row.md5, row.sha1) == (len(contents), md5, sha1), path
        stored = session.get_one(StoredObject, path + ".zst")
        assert (stored.size_bytes, stored.sha1) == (len(contents), sha1), path
        found[path.removeprefix(folder)] = contents
    listed = {key.removesuffix(".zst").removeprefix(folder) for key in store.store.keys(folder)}
    assert listed == set(found)
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
