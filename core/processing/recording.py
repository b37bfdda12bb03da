"""Writes the rows of a batch: registry, stored objects, upload log, queue. The caller commits them together."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.bulk import given_rows, is_one_of, upsert
from core.chunks.model import BinnedBatch, ChunkKey, DropReason
from core.models import Chunk, Participant, QueuedUpload, QueueState, StoredObject, Survey, UploadRecord
from core.processing.chunk_writing import KnownChunk, WrittenChunk
from core.processing.fetching import StoredFile
from core.storage import ObjectChanged
from core.storage.sealed import SUFFIX
from core.streams import SPECS, BadFileTime, chunk_path, stream_by_number, stream_of_path
from core.streams.paths import below_participant, file_time, registered_path

MOST_ATTEMPTS = 10
LONGEST_PAUSE = timedelta(hours=6)
MISSING = "missing in the store"
MISSING_PAUSE = timedelta(hours=1)


def put_back_missing(session: Session) -> int:
    """Requeues files that were missing an hour ago; returns their number (CLAR-13). The caller commits."""
    is_due = (QueuedUpload.reason == MISSING, QueuedUpload.next_try_at <= sa.func.now())
    due = sa.update(QueuedUpload).where(QueuedUpload.state == QueueState.FAILED.value, *is_due)
    count: int = session.execute(due.values(state=QueueState.WAITING.value)).rowcount  # type: ignore[attr-defined]
    return count


class Recorder:
    """Reads and writes the rows of one claimed participant."""

    def __init__(self, session: Session, participant: Participant) -> None:
        self.session = session
        self.participant = participant
        self.study_id = participant.study.object_id
        self.owners = {"participant_id": participant.id, "study_id": participant.study_id}
        self._surveys: dict[str, int] = {}

    def known_chunks(self, keys: Iterable[ChunkKey]) -> dict[ChunkKey, KnownChunk]:
        """These chunks as the registry and `stored_objects` know them; three queries, whatever their number."""
        keys = list(keys)
        if not keys:
            return {}
        surveys = {key.survey_id for key in keys if key.survey_id}
        if surveys:
            query = sa.select(Survey.object_id, Survey.id).where(Survey.object_id.in_(surveys))
            self._surveys = {row.object_id: row.id for row in self.session.execute(query)}
        paths = {self._path(key): key for key in keys}
        registered = self._registered_paths(keys)
        named = is_one_of(StoredObject.path, [path + SUFFIX for path in paths])
        objects = sa.select(StoredObject.path, StoredObject.sha1, StoredObject.seal).where(named)
        rows = {row.path: row for row in self.session.execute(objects)}
        known = {}
        for path, key in paths.items():
            row = rows.get(path + SUFFIX)
            known[key] = KnownChunk(path in registered, row.sha1 if row else None, row.seal if row else None)
        return known

    def record_chunks(self, written: Sequence[WrittenChunk]) -> None:
        """Registry rows of all chunks (PROC-38), object rows of those that were written (STORE-7)."""
        now = datetime.now(UTC)
        derived: list[dict[str, Any]] = []
        by_path: list[dict[str, Any]] = []
        for chunk in written:
            survey = self._surveys.get(chunk.key.survey_id) if chunk.key.survey_id else None
            is_survey_unknown = chunk.key.survey_id is not None and survey is None
            row = {
                **self.owners,
                "stream": SPECS[chunk.key.stream].number,
                "time_bin": chunk.key.time_bin,
                "survey_id": survey,
                "size_bytes": chunk.size_bytes,
                "md5": chunk.md5,
                "sha1": chunk.sha1,
                "updated_at": now,
                "path": chunk.path if is_survey_unknown else None,
            }
            (by_path if is_survey_unknown else derived).append(row)
        columns = ("size_bytes", "md5", "sha1", "updated_at")
        place = "(participant_id, stream, time_bin, coalesce(survey_id, 0)) WHERE path IS NULL"
        upsert(self.session, Chunk, derived, conflict=place, replaced=columns)
        self._upsert_by_path(by_path, columns)
        objects = [{**c.stored.row(**self.owners), "updated_at": now} for c in written if c.stored]
        sizes_and_seal = ("size_bytes", "size_stored_bytes", "sha1", "seal", "updated_at")
        upsert(self.session, StoredObject, objects, conflict="(path)", replaced=sizes_and_seal)

    def record_unchunked(self, files: Sequence[StoredFile]) -> dict[str, str]:
        """Registers files at their raw paths (PROC-39). Returns paths without a usable time in the name, and why."""
        now = datetime.now(UTC)
        failures: dict[str, str] = {}
        rows: list[dict[str, Any]] = []
        for file in files:
            try:
                time_bin = file_time(file.path, now)
            except BadFileTime as error:
                failures[file.path] = str(error)
                continue
            stream = SPECS[stream_of_path(below_participant(file.path))].number
            row = {"stream": stream, "time_bin": time_bin, "md5": None, "sha1": file.sha1, "updated_at": now}
            rows.append({**self.owners, **row, "size_bytes": file.size_bytes, "path": file.path})
        self._upsert_by_path(rows, ("size_bytes", "sha1", "time_bin", "updated_at"))
        return failures

    def finish(
        self, done: Sequence[StoredFile], binned: BinnedBatch, folder: str, after_end: Sequence[StoredFile] = ()
    ) -> None:
        """Takes files from the queue and notes in the upload log where their rows went (MODEL-105).

        `after_end` are those that were left out whole, since the participant no longer took part (CLAR-35).

        Raises ObjectChanged when another worker took some before: its chunks are newer than ours (PROC-51).
        """
        if not done:
            return
        untracked = {"synchronize_session": False}
        leaving = sa.delete(QueuedUpload).where(is_one_of(QueuedUpload.id, [file.queue_id for file in done]))
        left = self.session.execute(leaving, execution_options=untracked)
        if left.rowcount != len(done):  # type: ignore[attr-defined]
            raise ObjectChanged(folder)
        now = datetime.now(UTC)
        notes = []
        for file in done:
            report = binned.reports.get(file.path.removeprefix(folder))
            dropped = {reason.value: rows for reason, rows in report.rows_dropped.items()} if report else {}
            if file in after_end:
                dropped = {DropReason.AFTER_END.value: 1}
            notes.append(
                {
                    "path": file.path,
                    "processed_at": now,
                    "dropped_rows": dropped or None,
                    "first_bin": report.first_time_bin if report else None,
                    "last_bin": report.last_time_bin if report else None,
                }
            )
        given = given_rows(UploadRecord, notes)
        update = sa.update(UploadRecord).where(UploadRecord.path == given.c.path)
        update = update.values({column.name: column for column in given.c if column.name != "path"})
        self.session.execute(update, execution_options=untracked)

    def postpone(self, files: Sequence[StoredFile], reasons: Mapping[str, str]) -> None:
        """Lets failed files wait longer each time, and sets them aside after ten tries (PROC-53).

        Missing ones are set aside at once, and looked for again each hour (PROC-52, CLAR-13).
        """
        if not files:
            return
        failed = sa.select(QueuedUpload).where(is_one_of(QueuedUpload.id, [file.queue_id for file in files]))
        for q in self.session.scalars(failed, execution_options={"populate_existing": True}):
            q.reason = reasons[q.path]
            if q.reason == MISSING:
                q.state, q.next_try_at = QueueState.FAILED.value, datetime.now(UTC) + MISSING_PAUSE
                continue
            q.attempts += 1
            q.next_try_at = datetime.now(UTC) + min(timedelta(minutes=2**q.attempts), LONGEST_PAUSE)
            if q.attempts >= MOST_ATTEMPTS:
                q.state = QueueState.FAILED.value

    def _registered_paths(self, keys: Sequence[ChunkKey]) -> set[str]:
        query = (
            sa.select(Chunk.stream, Chunk.time_bin, Chunk.path, Survey.object_id)
            .outerjoin(Survey, Survey.id == Chunk.survey_id)
            .where(
                Chunk.participant_id == self.participant.id,
                is_one_of(Chunk.stream, {SPECS[k.stream].number for k in keys}),
                is_one_of(Chunk.time_bin, {k.time_bin for k in keys}),
            )
        )
        return {
            registered_path(
                self.study_id,
                self.participant.patient_id,
                row.path,
                stream_by_number(row.stream),
                row.time_bin,
                row.object_id,
            )
            for row in self.session.execute(query)
        }

    def _upsert_by_path(self, rows: list[dict[str, Any]], columns: Sequence[str]) -> None:
        place = "(participant_id, path) WHERE path IS NOT NULL"
        upsert(self.session, Chunk, rows, conflict=place, replaced=columns)

    def _path(self, key: ChunkKey) -> str:
        return chunk_path(self.study_id, self.participant.patient_id, key.stream, key.time_bin, key.survey_id)
