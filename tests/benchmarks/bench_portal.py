"""The portal's pages in large studies: `python -m tests.benchmarks.bench_portal`.

Prints a JSON line for each page (time to the whole answer over HTTP, p50 and p95, ms, and its size), for the import of
a file of 10,000 lines, and for uploads while 1,000 participants are created in the background (p95, ms, before and
during), with the resident memory of the largest worker. A participant has three years of data: 24 chunks a day of each
of ten streams. Raises where an answer is not the page.
"""

import re
import subprocess
import sys
import time
from datetime import date, timedelta

import sqlalchemy as sa
import urllib3

from core.access import Role
from core.accounts import create_researcher, new_password
from core.audit import SERVER
from core.config import REPOSITORY
from core.database import db
from core.models import CustomField, FieldValue, Intervention, Participant, ParticipantBatch, Study, StudyRole
from core.participants.batches import ask_for_batch
from core.studies import create_study
from ops.phones import Ledger, Phone, Platform, Transport
from ops.phones.load import Prepared, prepare
from ops.phones.report import percentiles
from tests.benchmarks.bench_beside import FILE_BYTES, cookie_of, cookies_in, figures, run
from tests.benchmarks.measure import report
from tests.benchmarks.serving import BenchServer, MemoryWatch, resident_mb, serving, study_with_participants

SMALL, LARGE, IMPORTED, CREATED = 5_000, 100_000, 10_000, 1_000
DAYS, STREAMS = 3 * 365, 10
PHONES, SECONDS = 8, 15
ROUNDS = 20
CONFIRMED = re.compile(r'name="confirmed" value="([0-9a-f]+)"')
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')

# Ids begin with the study's letter. Every tenth participant has a heartbeat and uploads today, and every twentieth is
# retired, so that all filters find somebody.
PARTICIPANTS = """
    INSERT INTO participants (patient_id, study_id, password_hash, device_id, os_type, timezone_name, created_at,
                              external_id, retired_at)
    SELECT :letter || translate(lpad(n::text, 7, '0'), '0', 'z'), :study, '', 'd', (ARRAY['IOS', 'ANDROID'])[1 + n % 2],
           'America/New_York', now() - n * interval '1 min', 'MRN-' || n,
           CASE WHEN n % 20 = 0 THEN now() - interval '1 day' END
    FROM generate_series(1, :count) n"""
ACTIVITY = """
    INSERT INTO participant_activity (participant_id, last_upload_at, first_registered_at, last_heartbeat_at,
                                      last_version_name, last_os_version)
    SELECT id, now() - (id % 40) * interval '6 hours', created_at, now() - (id % 10) * interval '1 hour',
           '2.' || id % 5, '14'
    FROM participants WHERE study_id = :study"""
VALUES = """
    INSERT INTO field_values (participant_id, field_id, value)
    SELECT id, :field, (ARRAY['Boston', 'Paris', 'Lagos', 'Lima'])[1 + id % 4]
    FROM participants WHERE study_id = :study"""
DATES = """
    INSERT INTO intervention_dates (participant_id, intervention_id, happens_on)
    SELECT id, :intervention, current_date - (id % 90)::int FROM participants WHERE study_id = :study"""
CHUNKS = """
    INSERT INTO chunks (participant_id, study_id, stream, time_bin, size_bytes)
    SELECT :person, :study, stream, date_trunc('hour', now()) - hour * interval '1 hour', 20000 + hour % 5000
    FROM generate_series(1, :streams) stream, generate_series(1, :hours) hour"""
UPLOADS = """
    INSERT INTO upload_log (path, participant_id, stream, os_type, size_bytes, received_at, processed_at)
    SELECT :person || '/' || n, :person, 1 + n % :streams, 'IOS', 20000, now() - n * :gap, now()
    FROM generate_series(1, :count) n"""


def main() -> None:
    """Runs the benchmark."""
    with serving() as server:
        password = new_password()
        researcher = create_researcher(
            db.session(), "viewer", password, is_site_admin=False, must_change_password=False, actor=SERVER
        )
        small, large = (filled_study(letter, count) for letter, count in (("s", SMALL), ("x", LARGE)))
        uploading, newcomers = study_with_participants(PHONES)
        for study in (small, large, uploading):
            db.session.add(StudyRole(study_id=study.id, researcher_id=researcher.id, role=Role.STUDY_ADMIN))
        db.session.commit()
        db.session.execute(sa.text("ANALYZE"))
        db.session.commit()
        headers = {"Cookie": cookie_of(server, password), "Accept": "text/html"}
        for study, count in ((small, SMALL), (large, LARGE)):
            measure_pages(server, headers, study, count)
        measure_import(server, headers, large)
        measure_uploads_beside_batch(server, uploading, [(new.patient_id, new.password) for new in newcomers])


def filled_study(letter: str, count: int) -> Study:
    """A study of so many participants, with two custom fields, one intervention, uploads, and three years of one."""
    study = create_study(db.session(), f"Study of {count:,}", actor=SERVER)
    db.session.flush()
    here = {"study": study.id}
    db.session.execute(sa.text(PARTICIPANTS), here | {"letter": letter, "count": count})
    db.session.execute(sa.text(ACTIVITY), here)
    fields = [CustomField(study_id=study.id, name=name) for name in ("Site", "Arm")]
    intervention = Intervention(study_id=study.id, name="Discharge")
    db.session.add_all([*fields, intervention])
    db.session.flush()
    for field in fields:
        db.session.execute(sa.text(VALUES), here | {"field": field.id})
    db.session.execute(sa.text(DATES), here | {"intervention": intervention.id})
    people = list(db.session.scalars(sa.select(Participant.id).where(Participant.study_id == study.id).limit(300)))
    db.session.execute(sa.text(CHUNKS), here | {"person": people[0], "streams": STREAMS, "hours": DAYS * 24})
    for person in people:
        size = {"count": DAYS * 100, "gap": timedelta(minutes=14)} if person == people[0] else None
        db.session.execute(
            sa.text(UPLOADS),
            {"person": person, "streams": STREAMS} | (size or {"count": 300, "gap": timedelta(hours=1)}),
        )
    db.session.commit()
    return study


def measure_pages(server: BenchServer, headers: dict[str, str], study: Study, count: int) -> None:
    """Each page of the study again and again; one line each."""
    field = db.session.scalar(sa.select(CustomField.id).where(CustomField.study_id == study.id).limit(1))
    person = db.session.scalar(
        sa.select(Participant.patient_id).where(Participant.study_id == study.id).order_by(Participant.id).limit(1)
    )
    pages = {
        "participants": "participants",
        "participants by upload": "participants?sort=upload",
        "participants by a field": f"participants?sort=field:{field}",
        "participants of a site on iOS": f"participants?platform=IOS&field={field}&value=Paris&sort=field:{field}",
        "participants, last page": "participants?page=999999",
        "participants, search in names": "participants?search=rn-77",
        "participant with three years": f"participant/{person}",
        "overview": "",
    }
    for name, path in pages.items():
        address, times, size = f"{server.address}/view_study/{study.id}/{path}".rstrip("/"), [], 0
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            answer = urllib3.request("GET", address, headers=headers)
            times.append((time.perf_counter() - begin) * 1000)
            size = len(answer.data)
            if answer.status != 200 or study.name.encode() not in answer.data:
                raise RuntimeError(f"{path} was answered {answer.status}")
        found = percentiles(times)
        report(f"{name}, study of {count:,}", p50_ms=found["p50"], p95_ms=found["p95"], answer_kb=size / 1000)


def measure_import(server: BenchServer, headers: dict[str, str], study: Study) -> None:
    """A file of a field and a date for 10,000 participants: its preview, and the import; each once."""
    ids = db.session.scalars(
        sa.select(Participant.patient_id).where(Participant.study_id == study.id).limit(IMPORTED)
    ).all()
    begin = date(2026, 1, 1)
    lines = [f"{patient_id},Site {n % 30},{begin + timedelta(days=n % 200)}" for n, patient_id in enumerate(ids)]
    file = ("values.csv", "\n".join(["Patient ID,Site,Discharge", *lines]).encode(), "text/csv")
    address = f"{server.address}/view_study/{study.id}/import_participants"
    page = urllib3.request("GET", address, headers=headers)
    headers = headers | {"Cookie": cookies_in(page) or headers["Cookie"]}  # the first form adds its secret
    fields = {"csrf_token": found_in(TOKEN, page.data), "file": file}
    with MemoryWatch(server.workers) as memory:
        before = resident_mb(server.workers)
        start = time.perf_counter()
        preview = urllib3.request("POST", address, fields=fields, headers=headers)
        previewed = time.perf_counter()
        confirmed = fields | {"confirmed": found_in(CONFIRMED, preview.data)}
        answer = urllib3.request("POST", address, fields=confirmed, headers=headers, redirect=False)
        end = time.perf_counter()
    written = db.session.scalar(
        sa.select(sa.func.count()).select_from(FieldValue).where(FieldValue.value.startswith("Site "))
    )
    if answer.status not in (302, 303) or written != IMPORTED:
        raise RuntimeError(f"the import was answered {answer.status} and wrote {written} values")
    report(
        f"import of {IMPORTED:,} lines",
        preview_s=previewed - start,
        import_s=end - previewed,
        worker_grows_mb=memory.peak_mb - before,
    )
    db.session.rollback()


def measure_uploads_beside_batch(server: BenchServer, study: Study, people: list[tuple[str, str]]) -> None:
    """Eight phones that upload each second: alone, and while a batch of participants is created beside them."""
    transport, ledger = Transport(server.address, connections=PHONES), Ledger()
    phones = [
        Phone(patient_id, password, tuple(Platform)[n % 2], transport, seed=n, ledger=ledger)
        for n, (patient_id, password) in enumerate(people)
    ]
    for phone in phones:
        phone.register()
    rounds = [prepare(phone, 3 * SECONDS, FILE_BYTES) for phone in phones]
    run(transport, taken(rounds))
    report("uploads before a batch", **figures(run(transport, taken(rounds))))
    batch = ask_for_batch(db.session(), study, CREATED, "benchmark", actor=SERVER)
    db.session.commit()
    begin = time.perf_counter()
    command = [sys.executable, "-m", "flask", "--app", "webapp", "participant", "create-batches"]
    maker = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    report(f"uploads beside {CREATED:,} new participants", **figures(run(transport, taken(rounds))))
    if maker.wait(300):
        raise RuntimeError("the batch was not created")
    seconds = time.perf_counter() - begin
    db.session.expire_all()
    if (made := db.session.get_one(ParticipantBatch, batch.id).made) != CREATED:
        raise RuntimeError(f"{made} participants were created")
    report(f"{CREATED:,} participants in the background", seconds=seconds, per_s=CREATED / seconds)
    db.session.rollback()
    transport.close()


def taken(rounds: list[list[Prepared]]) -> list[list[Prepared]]:
    """The next uploads of each phone, one for each second."""
    return [[own.pop(0) for _ in range(SECONDS)] for own in rounds]


def found_in(pattern: re.Pattern[str], page: bytes) -> str:
    """What the pattern's group holds in the page. Raises RuntimeError."""
    found = pattern.search(page.decode())
    if found is None:
        raise RuntimeError(f"nothing like {pattern.pattern} in the page")
    return found.group(1)


if __name__ == "__main__":
    main()
