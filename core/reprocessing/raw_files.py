"""Finds all raw files of one participant and stream in the store and its rows, and reads them in batches by path."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.chunks.binning import bin_files
from core.chunks.model import BinnedBatch
from core.config import Settings
from core.models import StoredObject, UploadRecord
from core.processing.fetching import StoredFile, fetch
from core.storage import ObjectStore, SealedStore
from core.storage.audit import Mismatch, sweep
from core.storage.sealed import SUFFIX
from core.streams import SPECS, DataStream, UnknownStream, stream_of_path
from core.streams.paths import below_participant


@dataclass(frozen=True)
class Hours:
    """From `start` (included) to `end` (not included); None is without end."""

    start: datetime | None = None
    end: datetime | None = None

    def __contains__(self, hour: datetime) -> bool:
        return (self.start is None or hour >= self.start) and (self.end is None or hour < self.end)

    def touch(self, first: datetime, last: datetime) -> bool:
        """Whether any hour from `first` to `last` (included) is among them."""
        return (self.start is None or last >= self.start) and (self.end is None or first < self.end)

    @property
    def are_all(self) -> bool:
        return self.start is None and self.end is None


def find_raw_files(session: Session, store: ObjectStore, folder: str, stream: DataStream) -> tuple[list[str], set[str]]:
    """Paths (without `.zst`) of the stream's objects in order, and of rows whose object is gone.

    `folder` is the participant's, with a slash at its end. Objects of imported studies may have no row, or the old
    plain key. Raises StoreUnavailable.
    """
    present: set[str] = set()
    missing: set[str] = set()
    for prefix in _prefixes(folder, stream):
        for seen in sweep(session, store, prefix):
            path = seen.path.removesuffix(SUFFIX)
            if _is_of(path, stream):
                (missing if seen.mismatch is Mismatch.ROW_WITHOUT_OBJECT else present).add(path)
    return sorted(present), missing - present


def _prefixes(folder: str, stream: DataStream) -> list[str]:
    if stream is DataStream.IDENTIFIERS:
        return [f"{folder}identifiers"]  # an underscore may follow (PROC-3)
    return [f"{folder}{alias}/" for alias in SPECS[stream].upload_aliases]


def _is_of(path: str, stream: DataStream) -> bool:
    try:
        return stream_of_path(below_participant(path)) is stream
    except UnknownStream:
        return False


@dataclass
class RawReader:
    """Reads raw files of one participant and stream into rows by hour.

    The platform at upload comes from the upload log, else from the alias where that says it. Within `hours`, files of
    which the log says that they fed other hours are not read, unless `reads_all`. Rows from `end` on are
    dropped (CLAR-35). `unreadable` collects, by path, what could not be read and why.
    """

    session: Session
    store: SealedStore
    folder: str
    stream: DataStream
    hours: Hours
    now: datetime
    settings: Settings
    in_parallel: Callable[..., Iterable[Any]]
    reads_all: bool = False
    corrects_log: bool = False
    end: datetime | None = None
    unreadable: dict[str, str] = field(default_factory=dict)

    def read(self, paths: Sequence[str]) -> Iterator[BinnedBatch]:
        """Batch after batch; no transaction is open while the store is read. Commits. Raises StoreUnavailable."""
        step = self.settings.file_process_page_size
        for begin in range(0, len(paths), step):
            page = paths[begin : begin + step]
            rows = self._rows_of_objects(page)
            records = self._records(page)
            uploads = self._uploads(page, rows, records)
            self.session.commit()
            for batch in self._bounded(uploads):
                fetched = fetch(self.in_parallel, self.store, batch, self.folder)
                binned = bin_files(fetched.files, self.now, self.end)
                self.unreadable |= fetched.broken | dict.fromkeys(fetched.missing, "missing in the store")
                self.unreadable |= {self.folder + p.path: p.reason for p in binned.problems if p.is_failed}
                if self.corrects_log:
                    self._correct_log(records, binned)
                yield binned

    def _uploads(self, page: Sequence[str], rows: dict[str, Any], records: dict[str, Any]) -> list[StoredFile]:
        """Files to read."""
        platforms = SPECS[self.stream].platforms
        by_alias = next(iter(platforms)).value if len(platforms) == 1 else None
        uploads = []
        for path in page:
            record, row = records.get(path), rows.get(path)
            if record and self._is_elsewhere(record):
                continue
            os_type = (record.os_type if record else None) or by_alias
            size_bytes, seal = (row.size_bytes or 0, row.seal) if row else (0, None)
            uploads.append(StoredFile(path, size_bytes, os_type, seal))
        return uploads

    def _is_elsewhere(self, record: Any) -> bool:
        if self.hours.are_all or self.reads_all or record.first_bin is None or record.last_bin is None:
            return False
        return not self.hours.touch(record.first_bin, record.last_bin)

    def _records(self, page: Sequence[str]) -> dict[str, Any]:
        columns = (
            UploadRecord.id,
            UploadRecord.path,
            UploadRecord.os_type,
            UploadRecord.processed_at,
            UploadRecord.first_bin,
            UploadRecord.last_bin,
            UploadRecord.dropped_rows,
        )
        query = sa.select(*columns).where(UploadRecord.path.in_(page)).order_by(UploadRecord.id)
        return {record.path: record for record in self.session.execute(query)}

    def _correct_log(self, records: dict[str, Any], binned: BinnedBatch) -> None:
        """Of files that still wait their own processing tells (MODEL-105)."""
        changes = []
        for file in binned.reports.values():
            record = records.get(self.folder + file.path)
            dropped = {reason.value: rows for reason, rows in file.rows_dropped.items()} or None
            now = (file.first_time_bin, file.last_time_bin, dropped)
            if record and record.processed_at and now != (record.first_bin, record.last_bin, record.dropped_rows):
                changes.append(dict(zip(("first_bin", "last_bin", "dropped_rows"), now, strict=True), of_id=record.id))
        if changes:
            table = UploadRecord.__table__
            assert isinstance(table, sa.Table)
            values: dict[str, Any] = {name: sa.bindparam(name) for name in changes[0] if name != "of_id"}
            update = sa.update(table).where(table.c.id == sa.bindparam("of_id")).values(values)
            self.session.connection().execute(update, changes)
            self.session.commit()

    def _rows_of_objects(self, page: Sequence[str]) -> dict[str, Any]:
        query = sa.select(StoredObject.path, StoredObject.seal, StoredObject.size_bytes)
        found = self.session.execute(query.where(StoredObject.path.in_([path + SUFFIX for path in page])))
        return {row.path.removesuffix(SUFFIX): row for row in found}

    def _bounded(self, uploads: Sequence[StoredFile]) -> Iterator[list[StoredFile]]:
        """At most a batch's bytes together, as far as sizes are known; at least one file."""
        batch: list[StoredFile] = []
        for upload in uploads:
            batch_bytes = sum(u.size_bytes for u in batch) + upload.size_bytes
            if batch and batch_bytes > self.settings.process_batch_bytes:
                yield batch
                batch = []
            batch.append(upload)
        if batch:
            yield batch
