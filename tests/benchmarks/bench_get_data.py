"""Downloads through `/get-data/v1` over HTTP: `python -m tests.benchmarks.bench_get_data`.

Prints one JSON line: MB/s of the zip and processor time of the server, time to the first byte of the body, and by how
much the worker's resident memory is higher at its peak while ten times as much is downloaded.
"""

import hashlib
import io
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
        study, (small, large) = study_with_participants(2)
        stored = store_chunks(study, small.patient_id, SMALL_DAYS)
        store_chunks(study, large.patient_id, SMALL_DAYS * TIMES_LARGER)
        fields = _api_key(study) | {"study_id": study.object_id}
        _warm_up(server, fields | {"participant_ids": small.patient_id}, stored)
        before = cpu_seconds(server.gunicorn)
        small_ones = [_download(server, fields | {"participant_ids": small.patient_id}) for _ in range(ROUNDS)]
        large_ones = [_download(server, fields | {"participant_ids": large.patient_id}) for _ in range(ROUNDS)]
        spent = cpu_seconds(server.gunicorn) - before
        if large_ones[0].size_mb < 0.9 * TIMES_LARGER * small_ones[0].size_mb:
            raise RuntimeError(f"the large download has {large_ones[0].size_mb} MB only")
        small_peak, large_peak = (max(d.peak_resident_mb for d in some) for some in (small_ones, large_ones))
        report(
            "get-data",
            small_mb=small_ones[0].size_mb,
            large_mb=large_ones[0].size_mb,
            mb_per_s=max(d.size_mb / d.seconds for d in large_ones),
            first_byte_small_ms=min(d.first_byte_ms for d in small_ones),
            first_byte_large_ms=min(d.first_byte_ms for d in large_ones),
            server_cpu_ms_per_mb=1000 * spent / sum(d.size_mb for d in small_ones + large_ones),
            worker_peak_resident_small_mb=small_peak,
            worker_peak_resident_large_mb=large_peak,
            worker_peak_difference_mb=large_peak - small_peak,
        )


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
        by_hour.setdefault((alias, (int(start) - DAY_START_MS) // (4 * FILE_MS)), []).append(data)
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
    _download(server, fields, whole)
    with zipfile.ZipFile(whole) as archive:
        found = {name: hashlib.sha1(archive.read(name)).digest() for name in archive.namelist() if name != "registry"}
    if found != stored:
        raise RuntimeError(f"{len(found)} files were downloaded, and they are not the {len(stored)} that were stored")
    for _ in range(2 * ROUNDS):
        _download(server, fields)


def _download(server: BenchServer, fields: dict[str, str], into: BinaryIO | None = None) -> Download:
    """One download on a connection of its own, to either worker."""
    size, first = 0, None
    with urllib3.PoolManager(retries=False) as pool, MemoryWatch(server.workers) as memory:
        begin = time.perf_counter()
        response = pool.request(
            "POST", f"{server.address}/get-data/v1", fields=fields, encode_multipart=False, preload_content=False
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
