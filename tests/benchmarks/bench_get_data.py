"""Downloads through `get-data` v1 and v2 over HTTP: `python -m tests.benchmarks.bench_get_data`.

Prints JSON lines: MB/s of plaintext and processor time of the server, time to the first byte of the body, and the
worker's resident memory at its peak, also while ten times as much is downloaded; then the same of many small files
(GET_DATA_FILES, 20,000).
"""

import hashlib
import io
import os
import time
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import urllib3

from core.access import Role
from core.accounts import create_api_key, create_researcher, new_password
from core.audit import SERVER
from core.database import db
from core.models import Chunk, StoredObject, Study, StudyRole
from core.models.participant import participant_with_study
from core.streams import SPECS, DataStream
from core.streams.paths import chunk_path
from tests.benchmarks.measure import report
from tests.benchmarks.participant_day import DAY_START_MS, FILE_MS, participant_day
from tests.benchmarks.serving import BenchServer, MemoryWatch, cpu_seconds, serving, study_with_participants
from webapp.stores import sealed_store

SMALL_DAYS, TIMES_LARGER = 1, 10
PIECE_BYTES = 1 << 18
ROUNDS = 3
STREAMS = {"accel": DataStream.ACCELEROMETER, "gps": DataStream.GPS}


@dataclass(frozen=True)
class Download:
    """What one download took; sizes are those of the zip."""

    size_mb: float
    seconds: float
    first_byte_ms: float
    peak_resident_mb: float


def main() -> None:
    """Runs the benchmark; raises when a download is not what was stored."""
    with serving() as server:
        study, (small, large, many) = study_with_participants(3)
        stored = store_chunks(study, small.patient_id, SMALL_DAYS)
        store_chunks(study, large.patient_id, SMALL_DAYS * TIMES_LARGER)
        large_mb = TIMES_LARGER * sum(len(contents) for _, _, contents in _hours(SMALL_DAYS)) / 1e6
        fields = _api_key(study) | {"study_id": study.object_id}
        _warm_up(server, fields | {"participant_ids": small.patient_id}, stored)
        for version in ("v1", "v2"):
            _measure(server, version, fields, small.patient_id, large.patient_id, large_mb)
        count = int(os.environ.get("GET_DATA_FILES", "20000"))
        store_small_files(study, many.patient_id, count)
        done = _download(server, "v1", fields | {"participant_ids": many.patient_id})
        report(
            "get-data of small files",
            files=count,
            files_per_s=count / done.seconds,
            first_byte_ms=done.first_byte_ms,
            worker_peak_resident_mb=done.peak_resident_mb,
        )


def _measure(
    server: BenchServer, version: str, fields: dict[str, str], small: str, large: str, large_mb: float
) -> None:
    """Downloads both participants some times and prints the figures; MB of plaintext are those before compression."""
    before = cpu_seconds(server.gunicorn)
    small_ones = [_download(server, version, fields | {"participant_ids": small}) for _ in range(ROUNDS)]
    large_ones = [_download(server, version, fields | {"participant_ids": large}) for _ in range(ROUNDS)]
    spent = cpu_seconds(server.gunicorn) - before
    if version == "v1" and large_ones[0].size_mb < 0.9 * TIMES_LARGER * small_ones[0].size_mb:
        raise RuntimeError(f"the large download has {large_ones[0].size_mb} MB only")
    small_peak, large_peak = (max(d.peak_resident_mb for d in some) for some in (small_ones, large_ones))
    report(
        f"get-data {version}",
        plaintext_mb=large_mb,
        zip_mb=large_ones[0].size_mb,
        plaintext_mb_per_s=max(large_mb / d.seconds for d in large_ones),
        first_byte_small_ms=min(d.first_byte_ms for d in small_ones),
        first_byte_large_ms=min(d.first_byte_ms for d in large_ones),
        server_cpu_ms_per_plaintext_mb=1000 * spent / (ROUNDS * large_mb * (1 + 1 / TIMES_LARGER)),
        worker_peak_resident_small_mb=small_peak,
        worker_peak_resident_large_mb=large_peak,
    )


def store_small_files(study: Study, patient_id: str, count: int) -> None:
    """Chunks of about 300 bytes, one each hour."""
    participant = participant_with_study(db.session(), patient_id)
    assert participant is not None
    owners = {"participant_id": participant.id, "study_id": study.id}
    store, first = sealed_store(study), datetime(2016, 1, 1, tzinfo=UTC)
    streams = (DataStream.POWER_STATE, DataStream.WIFI, DataStream.CALLS, DataStream.TEXTS)
    chunks, objects = [], []
    for number in range(count):
        stream, hour = streams[number % 4], first + timedelta(hours=number // 4)
        contents = b"timestamp,UTC time,event\n" + b"1700002801000,2023-11-14T23:00:01.000,Screen turned on\n" * 5
        written = store.create(chunk_path(study.object_id, patient_id, stream, hour, None), contents)
        objects.append(written.row(**owners))
        digests = {"md5": hashlib.md5(contents).digest(), "sha1": written.sha1}
        chunks.append(
            {**owners, "stream": SPECS[stream].number, "time_bin": hour, "size_bytes": len(contents), **digests}
        )
    db.session.execute(db.insert(StoredObject), objects)
    db.session.execute(db.insert(Chunk), chunks)
    db.session.commit()


def store_chunks(study: Study, patient_id: str, days: int) -> dict[str, bytes]:
    """Hourly chunks of these days, sealed and registered; SHA-1 of each by its name in the zip."""
    participant = participant_with_study(db.session(), patient_id)
    assert participant is not None
    owners = {"participant_id": participant.id, "study_id": study.id}
    store, digests = sealed_store(study), {}
    for stream, hour, contents in _hours(days):
        path = chunk_path(study.object_id, patient_id, stream, hour, None)
        written = store.create(path, contents)
        db.session.add(StoredObject(**written.row(**owners)))
        db.session.add(
            Chunk(
                **owners,
                stream=SPECS[stream].number,
                time_bin=hour,
                size_bytes=len(contents),
                md5=hashlib.md5(contents).digest(),
                sha1=written.sha1,
            )
        )
        digests[f"{patient_id}/{stream}/{hour:%Y-%m-%d %H_%M_%S}+00_00.csv"] = written.sha1
    db.session.commit()
    return digests


def _hours(days: int) -> list[tuple[DataStream, datetime, bytes]]:
    """One day's chunks of four files each; the days after it hold the same rows."""
    by_hour: dict[tuple[str, int], list[bytes]] = {}
    for path, data in participant_day():
        alias, start = path.removesuffix(".csv").split("/")
        files = by_hour.setdefault((alias, (int(start) - DAY_START_MS) // (4 * FILE_MS)), [])
        files.append(data.partition(b"\n")[2] if files else data)
    first = datetime.fromtimestamp(DAY_START_MS / 1000, UTC)
    return [
        (STREAMS[alias], first + timedelta(days=day, hours=hour), b"".join(files))
        for day in range(days)
        for (alias, hour), files in by_hour.items()
    ]


def _api_key(study: Study) -> dict[str, str]:
    researcher = create_researcher(db.session(), "benchmark", new_password(), is_site_admin=False, actor=SERVER)
    db.session.flush()
    db.session.add(StudyRole(study_id=study.id, researcher_id=researcher.id, role=Role.STUDY_RESEARCHER.value))
    access_key, secret_key = create_api_key(db.session(), researcher, "benchmark", actor=SERVER)
    db.session.commit()
    return {"access_key": access_key, "secret_key": secret_key}


def _warm_up(server: BenchServer, fields: dict[str, str], stored: dict[str, bytes]) -> None:
    """Downloads until both workers have served, and compares one zip with what was stored."""
    whole = io.BytesIO()
    _download(server, "v1", fields, whole)
    with zipfile.ZipFile(whole) as archive:
        found = {name: hashlib.sha1(archive.read(name)).digest() for name in archive.namelist() if name != "registry"}
    if found != stored:
        raise RuntimeError(f"{len(found)} files were downloaded, and they are not the {len(stored)} that were stored")
    for _ in range(2 * ROUNDS):
        _download(server, "v1", fields)


def _download(server: BenchServer, version: str, fields: dict[str, str], into: BinaryIO | None = None) -> Download:
    """One download on a connection of its own, to either worker."""
    size, first = 0, None
    with urllib3.PoolManager(retries=False) as pool, MemoryWatch(server.workers) as memory:
        begin = time.perf_counter()
        response = pool.request(
            "POST", f"{server.address}/get-data/{version}", fields=fields, encode_multipart=False, preload_content=False
        )
        if response.status != 200:
            raise RuntimeError(f"get-data answers {response.status}: {response.data!r}")
        for piece in response.stream(PIECE_BYTES):
            first = first or time.perf_counter()
            size += len(piece)
            if into:
                into.write(piece)
        end = time.perf_counter()
    assert first is not None
    return Download(size / 1e6, end - begin, 1000 * (first - begin), memory.peak_mb)


if __name__ == "__main__":
    main()
