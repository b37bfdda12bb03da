"""One batch of a claimed participant's uploads: fetch, bin, merge, write, and one transaction at the end.

If it is killed and run again, it ends in the same chunks and rows: merging rows into a chunk that already
holds them changes nothing, and files leave the queue in the transaction that registers their chunks.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import starmap

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.chunks.binning import bin_files
from core.chunks.model import BinnedBatch, DropReason
from core.config import Settings
from core.models import Participant, QueuedUpload, QueueState, StoredObject
from core.operations.tallies import Integrity
from core.participants.departures import end_of_data
from core.processing.answers import read_answer_files, record_answers
from core.processing.chunk_writing import ChunkTrouble, ChunkWriter, WrittenChunk
from core.processing.daily_quantities import days_of, recompute_days
from core.processing.fetching import Fetched, StoredFile, fetch
from core.processing.hours import record_hour
from core.processing.known_objects import check_missing
from core.processing.recording import MISSING, Recorder
from core.processing.report import ProcessingReport
from core.storage import ObjectStore, SealedStore
from core.storage.sealed import SUFFIX
from core.streams import SPECS, BadFileTime, DataStream, Platform, UnknownStream, stream_of_path
from core.streams.paths import below_participant, file_time
from core.threads import Threads
from core.webhooks.raising import note_processed_data

THREADS = 4


def process_batch(
    session: Session, participant: Participant, store: ObjectStore, settings: Settings
) -> ProcessingReport | None:
    """Processes one batch of a participant claimed by the session's connection; commits. None if nothing is queued.

    Raises StoreUnavailable, ObjectChanged (the claim was lost) and StoreLooksWrong; the database is then unchanged.
    """
    queued = _next_batch(session, participant.id, settings)
    sealed = SealedStore(store, participant.study, settings)
    folder = f"{participant.study.object_id}/{participant.patient_id}/"
    recorder = Recorder(session, participant)
    end = end_of_data(session, participant.id)
    chunked, unchunked = _by_kind(queued)
    unchunked, after_end = _until(unchunked, end)
    session.commit()  # no transaction is open while the store is read and written; the claim stays
    if not queued:
        return None

    with Threads(THREADS) as threads:
        fetched = fetch(threads.map, sealed, chunked, folder)
        check_missing(session, participant, sealed, fetched)
        arrived = read_answer_files(threads.map, sealed, unchunked)
        binned = bin_files(fetched.files, datetime.now(UTC), end)
        known = recorder.known_chunks(binned.groups)
        session.commit()
        writer = ChunkWriter(sealed, participant.patient_id, Platform(participant.os_type or Platform.ANDROID), known)
        results = threads.map(writer.write, binned.groups.keys(), binned.groups.values())

    written = [r for r in results if isinstance(r, WrittenChunk)]
    troubles = [r for r in results if isinstance(r, ChunkTrouble)]
    failures = dict.fromkeys(fetched.missing, MISSING) | fetched.broken
    failures |= {folder + p.path: p.reason for p in binned.problems if p.is_failed}
    failures |= _files_of_troubled_chunks(binned, troubles, folder)
    recorder.record_chunks(written)
    unregistered = recorder.record_unchunked(unchunked)
    failures |= unregistered
    record_answers(session, participant, [file for file in arrived if file.path not in unregistered], binned.groups)
    recompute_days(session, participant, _days_changed(participant, written, unchunked, unregistered))
    note_processed_data(session, participant, _changed(written, unchunked, unregistered))
    recorder.finish([q for q in queued if q.path not in failures], binned, folder, after_end)
    recorder.postpone([q for q in queued if q.path in failures], failures)
    report = _report(participant, fetched, binned, written, troubles, failures)
    report.files, report.size_bytes = len(queued), sum(q.size_bytes for q in queued)
    report.unchunked = sum(q.path not in failures for q in unchunked)
    if after_end:
        report.rows_dropped[DropReason.AFTER_END.value] += len(after_end)
    record_hour(session, participant.study_id, report, datetime.now(UTC))
    session.commit()
    return report


def _report(
    participant: Participant,
    fetched: Fetched,
    binned: BinnedBatch,
    written: Sequence[WrittenChunk],
    troubles: Sequence[ChunkTrouble],
    failures: dict[str, str],
) -> ProcessingReport:
    """What a batch did with the files whose rows go to chunks; `failures` are those of all files."""
    report = ProcessingReport(
        participants={participant.id},
        with_missing={participant.id} if fetched.missing else set(),
        batches=1,
        missing=len(fetched.missing),
        chunks_written=sum(w.stored is not None for w in written),
        chunks_unchanged=sum(w.stored is None for w in written),
        failures=failures,
        integrity=Counter(
            {
                Integrity.RAW_MISSING: len(fetched.missing),
                Integrity.RAW_DAMAGED: len(fetched.broken),
                Integrity.CHUNK: len(troubles),
            }
        ),
    )
    for file in binned.reports.values():
        report.rows_kept += file.rows_kept
        report.rows_dropped.update({reason.value: rows for reason, rows in file.rows_dropped.items()})
    return report


def _days_changed(
    participant: Participant, written: list[WrittenChunk], unchunked: list[StoredFile], unregistered: dict[str, str]
) -> set[date]:
    """The days of the study's zone whose quantities a batch changes."""
    now = datetime.now(UTC)
    hours = [w.key.time_bin for w in written]
    hours += [file_time(q.path, now) for q in unchunked if q.path not in unregistered]
    return days_of(hours, participant.study.zone)


def _changed(
    written: list[WrittenChunk], unchunked: list[StoredFile], unregistered: dict[str, str]
) -> Iterator[tuple[DataStream, datetime]]:
    """Stream and time bin of each file of the data API that a batch has made or changed."""
    yield from ((chunk.key.stream, chunk.key.time_bin) for chunk in written if chunk.stored is not None)
    now = datetime.now(UTC)
    for file in unchunked:
        if file.path not in unregistered:
            yield stream_of_path(below_participant(file.path)), file_time(file.path, now)


def next_files(
    participant_id: int, settings: Settings
) -> sa.Select[tuple[str, int, str | None, str, bytes | None, int, datetime, str]]:
    """The columns of a StoredFile for the participant's next files by path, at most a page of them."""
    key = sa.collate(QueuedUpload.path + SUFFIX, "C")
    return (
        sa.select(
            QueuedUpload.path,
            QueuedUpload.size_bytes,
            QueuedUpload.os_type,
            StoredObject.seal,
            StoredObject.sha1,
            QueuedUpload.id,
            QueuedUpload.received_at,
            QueuedUpload.app_version,
        )
        .outerjoin(StoredObject, StoredObject.path == key)
        .where(
            QueuedUpload.participant_id == participant_id,
            QueuedUpload.state == QueueState.WAITING.value,
            QueuedUpload.next_try_at <= sa.func.now(),
        )
        .order_by(QueuedUpload.path)
        .limit(settings.file_process_page_size)
    )


def _next_batch(session: Session, participant_id: int, settings: Settings) -> list[StoredFile]:
    """The participant's next files, up to the size of a batch, but at least one."""
    files: list[StoredFile] = []
    total = 0
    for file in starmap(StoredFile, session.execute(next_files(participant_id, settings))):
        total += file.size_bytes
        if files and total > settings.process_batch_bytes:
            break
        files.append(file)
    return files


def _by_kind(queued: Iterable[StoredFile]) -> tuple[list[StoredFile], list[StoredFile]]:
    """Files whose rows go to chunks, and files that are registered as they are and need no fetching (PROC-39).

    Files of no known stream count as the former: reading them reports the problem.
    """
    chunked: list[StoredFile] = []
    unchunked: list[StoredFile] = []
    for q in queued:
        try:
            is_chunked = SPECS[stream_of_path(below_participant(q.path))].is_chunked
        except UnknownStream:
            is_chunked = True
        (chunked if is_chunked else unchunked).append(q)
    return chunked, unchunked


def _until(files: list[StoredFile], end: datetime | None) -> tuple[list[StoredFile], list[StoredFile]]:
    """Files that are registered as they are: those from before `end`, and those from after it (CLAR-35)."""
    if end is None:
        return files, []
    before: list[StoredFile] = []
    after: list[StoredFile] = []
    for file in files:
        try:
            is_after = file_time(file.path, datetime.now(UTC)) >= end
        except BadFileTime:
            is_after = False  # reported where it is registered
        (after if is_after else before).append(file)
    return before, after


def _files_of_troubled_chunks(binned: BinnedBatch, troubles: Sequence[ChunkTrouble], folder: str) -> dict[str, str]:
    """Files that feed a chunk which could not be merged: they stay queued (PROC-32)."""
    by_key = {t.key: t.reason for t in troubles}
    return {folder + file.path: by_key[key] for file in binned.reports.values() for key in file.keys if key in by_key}
