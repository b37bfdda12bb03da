"""Phones that upload as fast as the server takes it: `python -m tests.benchmarks.bench_uploads`.

Prints a JSON line for 16 and for 64 phones. For files of 94 and of 938 KB, encrypted before the clock starts: uploads
per second, time to the answer, and processor time of gunicorn, of PostgreSQL and of the sending side, which shares the
machine; statements that PostgreSQL saw for one upload. A last line gives the resident memory of the largest worker
before, during and after 10,000 small uploads.
"""

import time
from collections.abc import Iterator

from core.database import db
from core.models import QueuedUpload
from core.phones.upload_outcomes import UploadOutcome
from ops.phones import Ledger, Phone, Platform, Transport
from ops.phones.load import LoadReport, Prepared, prepare, send
from ops.phones.report import percentiles
from tests.benchmarks.measure import report
from tests.benchmarks.serving import BenchServer, cpu_seconds, resident_mb, serving, study_with_participants
from webapp.phone.upload_answers import ANSWERS

STORED_TEXT = ANSWERS[UploadOutcome.STORED].text
PHONES = (16, 64)
# Encrypted bytes of a file, and how many of them are sent in all.
LOADS = ((94_000, 768), (938_000, 256))
SMALL_BYTES, SMALL_UPLOADS, SMALL_ROUNDS = 6_000, 10_000, 4
WARM_UP_FILES = 2
COUNTED_FILES = 20
COUNT_SECONDS = 30


def main() -> None:
    """Runs the benchmark; raises when an answer is anything but 200 `upload successful.`."""
    with serving() as server:
        transport, ledger = Transport(server.address, connections=max(PHONES)), Ledger()
        begin_ms = time.time_ns() // 1_000_000 - 300 * 86_400_000
        turns = iter(range(begin_ms, begin_ms + 300 * 86_400_000, 5 * 86_400_000))  # no two files of one name
        for count in PHONES:
            phones = _registered_phones(transport, ledger, count)
            _send(transport, ledger, _prepared(phones, WARM_UP_FILES, LOADS[0][0], next(turns)), count)
            figures: dict[str, float] = {}
            for file_bytes, files in LOADS:
                uploads = _prepared(phones, files // count, file_bytes, next(turns))
                figures |= _measured(server, transport, ledger, uploads, f"{file_bytes // 1000}_kb", count)
            figures |= _database_work(server, transport, ledger, phones, next(turns)) if count == PHONES[0] else {}
            report(f"uploads, {count} phones", **figures)
        report(f"{SMALL_UPLOADS} uploads in a row", **_memory(server, transport, ledger, phones, turns))
        queued = db.session.scalar(
            db.select(db.func.count()).select_from(QueuedUpload).where(QueuedUpload.size_bytes > 1000)
        )
        if queued != ledger.files:
            raise RuntimeError(f"{ledger.files} uploads were acknowledged and {queued} are queued")
        transport.close()


def _memory(
    server: BenchServer, transport: Transport, ledger: Ledger, phones: list[Phone], turns: Iterator[int]
) -> dict[str, float]:
    """Resident memory of the largest worker, in MB, before and after each round."""
    figures = {"worker_resident_mb_before": resident_mb(server.workers)}
    for number in range(1, SMALL_ROUNDS + 1):
        files = SMALL_UPLOADS // SMALL_ROUNDS // len(phones) + 1
        _send(transport, ledger, _prepared(phones, files, SMALL_BYTES, next(turns)), len(phones))
        figures[f"worker_resident_mb_after_{number * SMALL_UPLOADS // SMALL_ROUNDS}"] = resident_mb(server.workers)
    return figures


def _registered_phones(transport: Transport, ledger: Ledger, count: int) -> list[Phone]:
    """Half Android, half iOS."""
    _, participants = study_with_participants(count)
    platforms = (Platform.ANDROID, Platform.IOS)
    phones = [
        Phone(new.patient_id, new.password, platforms[number % 2], transport, seed=number, ledger=ledger)
        for number, new in enumerate(participants)
    ]
    for phone in phones:
        if phone.register().status != 200 or not phone.is_registered:
            raise RuntimeError(f"a phone cannot register: {phone.problems}")
    return phones


def _prepared(phones: list[Phone], files: int, file_bytes: int, start_ms: int) -> list[Prepared]:
    """Files of all phones, taking turns."""
    by_phone = [prepare(phone, files, file_bytes, start_ms) for phone in phones]
    return [upload for turn in zip(*by_phone, strict=True) for upload in turn]


def _send(transport: Transport, ledger: Ledger, uploads: list[Prepared], threads: int) -> LoadReport:
    before = ledger.answers[STORED_TEXT]
    load = send(transport, uploads, threads)
    if ledger.answers[STORED_TEXT] - before != len(uploads):
        raise RuntimeError(f"not all {len(uploads)} uploads were stored: {load.summary()} {dict(ledger.answers)}")
    return load


def _measured(
    server: BenchServer, transport: Transport, ledger: Ledger, uploads: list[Prepared], size: str, threads: int
) -> dict[str, float]:
    before = _processor_seconds(server)
    load = _send(transport, ledger, uploads, threads)
    spent = {side: seconds - before[side] for side, seconds in _processor_seconds(server).items()}
    latency = percentiles(load.latencies_ms)
    figures = {
        f"uploads_per_s_{size}": load.uploads_per_second,
        f"mb_per_s_{size}": load.sent_bytes / 1e6 / load.seconds,
        f"p50_ms_{size}": latency["p50"],
        f"p95_ms_{size}": latency["p95"],
        f"server_cpu_ms_per_mb_{size}": 1000 * spent["server"] / (load.sent_bytes / 1e6),
        f"postgres_cpu_ms_per_mb_{size}": 1000 * spent["postgres"] / (load.sent_bytes / 1e6),
    }
    return figures | {f"{side}_cpu_ms_per_upload_{size}": 1000 * s / load.uploads for side, s in spent.items()}


def _processor_seconds(server: BenchServer) -> dict[str, float]:
    """Used so far; the client is this process by itself, which sends and receives."""
    return {
        "server": cpu_seconds(server.gunicorn),
        "postgres": cpu_seconds(server.postgres),
        "client": time.process_time(),
    }


def _database_work(
    server: BenchServer, transport: Transport, ledger: Ledger, phones: list[Phone], start_ms: int
) -> dict[str, float]:
    """Statements per upload, transaction control and checks of connections included, counted in PostgreSQL's log."""
    uploads = _prepared(phones[:1], COUNTED_FILES + COUNT_SECONDS, LOADS[0][0], start_ms)
    counted, trials = uploads[:COUNTED_FILES], uploads[COUNTED_FILES:]
    _set(server, "log_statement = 'all'")
    end = time.monotonic() + COUNT_SECONDS
    while not _logged(server):  # a connection learns of the setting at its next statement
        if time.monotonic() > end or not trials:
            raise RuntimeError("PostgreSQL does not log its statements")
        _send(transport, ledger, [trials.pop()], 1)
    before = _logged(server)
    for upload in counted:
        _send(transport, ledger, [upload], 1)
    return {"statements_per_upload": (_logged(server) - before) / COUNTED_FILES}


def _set(server: BenchServer, setting: str) -> None:
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"ALTER SYSTEM SET {setting}")
        connection.exec_driver_sql("SELECT pg_reload_conf()")


def _logged(server: BenchServer) -> int:
    return server.postgres_log.read_text(errors="replace").count("LOG:  statement:")


if __name__ == "__main__":
    main()
