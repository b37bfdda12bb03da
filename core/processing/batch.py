"""One batch of a claimed participant's uploads: fetch, bin, merge, write, and one transaction at the end.

Killed at any instruction and run again, it ends in the same chunks and rows: merging rows into a chunk that already
holds them changes nothing, and files leave the queue in the transaction that registers their chunks.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.config import Settings
from core.crypto.seal import SealBroken
from core.models import Participant, QueuedUpload, QueueState, StoredObject
from core.processing.binning import bin_files
from core.processing.chunk_writing import ChunkTrouble, ChunkWriter, WrittenChunk
from core.processing.model import BinnedBatch, RawFile
from core.processing.recording import Recorder
from core.storage import ObjectMissing, ObjectStore, SealedStore
from core.storage.sealed import SUFFIX
from core.streams import SPECS, Platform, UnknownStream, stream_of_path

THREADS = 4
MANY_MISSING = 10
log = logging.getLogger(__name__)


class StoreLooksWrong(Exception):
    """Many raw objects are missing at once: a wrong bucket or an unmounted folder; nothing is marked (PROC-52)."""


@dataclass
class BatchReport:
    """What one batch did, in counts: files, bytes of plaintext, chunks written and unchanged, failures by reason."""

    participant_id: int
    files: int = 0
    size_bytes: int = 0
    chunks_written: int = 0
    chunks_unchanged: int = 0
    unchunked: int = 0
    rows_kept: int = 0
    rows_dropped: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    """Path of each file that failed, and why."""


@dataclass(frozen=True)
class FetchedFile:
    """A queued upload with its contents."""

    queued: QueuedUpload
    raw: RawFile


def process_batch(session: Session, participant_id: int, store: ObjectStore, settings: Settings) -> BatchReport:
    """Works on one batch of the participant, whose claim the session's connection holds; commits.

    Raises StoreUnavailable, ObjectChanged (the claim was lost) and StoreLooksWrong, upon which nothing has changed
    in the database.
    """
    participant = session.scalars(
        sa.select(Participant).where(Participant.id == participant_id).options(sa.orm.joinedload(Participant.study))
    ).one()
    queued = _next_files(session, participant_id, settings)
    sealed = SealedStore(store, participant.study, settings)
    folder = f"{participant.study.object_id}/{participant.patient_id}/"
    recorder = Recorder(session, participant)
    report = BatchReport(participant_id, files=len(queued), size_bytes=sum(q.size_bytes for q in queued))
    chunked, unchunked = _by_kind(queued)
    seals = _seals(session, [q.path for q in chunked])
    session.commit()  # no transaction is open while the store is read and written; the claim stays

    with ThreadPoolExecutor(THREADS) as pool:
        fetched, failures = _fetch(pool.map, sealed, chunked, seals, folder)
        binned = bin_files([f.raw for f in fetched], datetime.now(UTC))
        failures |= {folder + p.path: p.reason for p in binned.problems if p.is_failed}
        known = recorder.known_chunks(binned.groups)
        session.commit()
        writer = ChunkWriter(sealed, participant.patient_id, Platform(participant.os_type or Platform.ANDROID), known)
        results = list(pool.map(lambda group: writer.write(*group), binned.groups.items()))

    written = [r for r in results if isinstance(r, WrittenChunk)]
    failures |= _files_of_troubled_chunks(binned, [r for r in results if isinstance(r, ChunkTrouble)], folder)
    recorder.record_chunks(written)
    failures |= recorder.record_unchunked(unchunked, folder)
    recorder.finish([q for q in queued if q.path not in failures], binned, folder)
    recorder.postpone([q for q in queued if q.path in failures], failures)
    session.commit()

    report.chunks_written = sum(w.stored is not None for w in written)
    report.chunks_unchanged = len(written) - report.chunks_written
    report.unchunked = len(unchunked)
    report.failures = failures
    for file in binned.reports.values():
        report.rows_kept += file.rows_kept
        report.rows_dropped.update({reason.value: rows for reason, rows in file.rows_dropped.items()})
    return report


def _next_files(session: Session, participant_id: int, settings: Settings) -> list[QueuedUpload]:
    """The participant's next files by path, at most a page of them and a batch's bytes, but at least one."""
    query = (
        sa.select(QueuedUpload)
        .where(
            QueuedUpload.participant_id == participant_id, QueuedUpload.state == QueueState.WAITING.value,
            QueuedUpload.next_try_at <= sa.func.now(),
        )
        .order_by(QueuedUpload.path)
        .limit(settings.file_process_page_size)
    )  # fmt: skip
    files: list[QueuedUpload] = []
    total = 0
    for queued in session.scalars(query):
        total += queued.size_bytes
        if files and total > settings.process_batch_bytes:
            break
        files.append(queued)
    return files


def _by_kind(queued: Iterable[QueuedUpload]) -> tuple[list[QueuedUpload], list[QueuedUpload]]:
    """Files whose rows go to chunks, and files that are registered as they are and need no fetching (PROC-39).

    Files of no known stream count as the former: reading them reports the problem.
    """
    chunked: list[QueuedUpload] = []
    unchunked: list[QueuedUpload] = []
    for q in queued:
        try:
            is_chunked = SPECS[stream_of_path(q.path)].is_chunked
        except UnknownStream:
            is_chunked = True
        (chunked if is_chunked else unchunked).append(q)
    return chunked, unchunked


def _seals(session: Session, paths: Sequence[str]) -> dict[str, str]:
    """The seal that each raw object's row says it carries (STORE-4)."""
    query = sa.select(StoredObject.path, StoredObject.seal).where(StoredObject.path.in_([p + SUFFIX for p in paths]))
    return {row.path.removesuffix(SUFFIX): row.seal for row in session.execute(query)}


def _fetch(
    in_parallel: Callable[..., Iterable[bytes | Exception]],
    store: SealedStore,
    queued: Sequence[QueuedUpload],
    seals: dict[str, str],
    folder: str,
) -> tuple[list[FetchedFile], dict[str, str]]:
    """Contents of the files, and the failures among them by path."""

    def read(q: QueuedUpload) -> bytes | Exception:
        try:
            return store.read(q.path, seals.get(q.path))[0]
        except (ObjectMissing, SealBroken) as error:
            return error

    fetched: list[FetchedFile] = []
    failures: dict[str, str] = {}
    missing = 0
    for q, contents in zip(queued, in_parallel(read, queued), strict=True):
        if isinstance(contents, bytes):
            platform = Platform(q.os_type) if q.os_type else None
            fetched.append(FetchedFile(q, RawFile(q.path.removeprefix(folder), contents, platform)))
        else:
            missing += isinstance(contents, ObjectMissing)
            failures[q.path] = "missing in the store" if isinstance(contents, ObjectMissing) else str(contents)
            log.error("integrity: queued file cannot be read: %s", failures[q.path], extra={"path": q.path})
    if missing >= MANY_MISSING and missing * 2 > len(queued):
        raise StoreLooksWrong(f"{missing} of {len(queued)} raw files are missing; is this the right bucket or folder?")
    return fetched, failures


def _files_of_troubled_chunks(binned: BinnedBatch, troubles: Sequence[ChunkTrouble], folder: str) -> dict[str, str]:
    """Files that feed a chunk which could not be merged: they stay queued (PROC-32)."""
    by_key = {t.key: t.reason for t in troubles}
    return {folder + file.path: by_key[key] for file in binned.reports.values() for key in file.keys if key in by_key}
