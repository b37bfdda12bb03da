"""A zip of Parquet files, one for each stream, participant and day, from chunks (CLAR-74).

`<stream>/participant=<id>/day=<YYYY-MM-DD>/data.parquet` are the tables, `_malformed/…/<stream>.parquet` with
the same folders the rows that fit no table, and `_summary/…/data.parquet` counts of both. A day is one of UTC, that of
the chunk's hour. Memory is bounded by a few MiB of one file, however many there are.
"""

from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session
from zipstream import ZIP_STORED, ZipStream

from core.downloads.members import Member, members
from core.downloads.query import DataQuery
from core.downloads.zip_stream import Contents, add_member, fetched, report_missing
from core.exports.parquet_rows import read_rows
from core.exports.parquet_schema import MALFORMED, OWN_COLUMNS, SUMMARY, Column, columns_of, polars_schema
from core.models import Study
from core.storage import SealedStore
from core.streams import DataStream

SLICE_BYTES = 4 << 20
"""Rows of so many bytes of a chunk are read at a time."""
SPILL_BYTES = 48 << 20
"""Tables larger than this in memory are collected on the disk."""
PIECE_BYTES = 1 << 20

TABLE_STREAMS = tuple(OWN_COLUMNS)
"""The streams whose files are tables."""


def parquet_pieces(
    engine: sa.Engine,
    sealed: SealedStore,
    study: Study,
    participants: Sequence[tuple[int, str]],
    query: DataQuery,
    folder: Path,
    on_file: Callable[[Member], None] | None = None,
) -> Iterator[bytes]:
    """The bytes of the zip. `query` selects streams of `TABLE_STREAMS` only; `folder` is for large tables.

    Raises StoreUnavailable, and OSError or polars' errors where the disk is full.
    """
    archive = ZipStream(compress_type=ZIP_STORED)
    with Session(engine, expire_on_commit=False) as session:
        found = fetched(sealed, members(session, study, participants, query))
        for patient_id, of_participant in groupby(found, key=lambda pair: pair[0].name.partition("/")[0]):
            counts: dict[str, list[dict[str, Any]]] = {}
            for (stream, day), files in groupby(of_participant, key=lambda pair: _stream_and_day(pair[0])):
                table = _DayTable(stream, patient_id, folder)
                for member, contents in files:
                    if on_file is not None:
                        on_file(member)
                    if isinstance(contents, Exception):
                        report_missing(engine, member, contents)
                    table.add(member, contents)
                counts.setdefault(day, []).append(table.summary())
                place = f"participant={patient_id}/day={day}"
                if table.rows.count:
                    yield from add_member(archive, table.rows.pieces(), f"{stream}/{place}/data.parquet")
                if table.malformed.count:
                    yield from add_member(archive, table.malformed.pieces(), f"_malformed/{place}/{stream}.parquet")
            for day, rows in sorted(counts.items()):
                summary = pl.DataFrame(rows, schema=polars_schema(SUMMARY), orient="row")
                name = f"_summary/participant={patient_id}/day={day}/data.parquet"
                yield from add_member(archive, _as_parquet(summary), name)
    yield from archive.finalize()


class _DayTable:
    """The tables of one stream, participant and day."""

    def __init__(self, stream: DataStream, patient_id: str, folder: Path) -> None:
        self.stream, self.patient_id = stream, patient_id
        self.rows = _Collected(columns_of(stream), folder / "rows")
        self.malformed = _Collected(MALFORMED, folder / "malformed")
        self.files = self.missing = self.size_bytes = 0

    def add(self, member: Member, contents: Contents) -> None:
        if isinstance(contents, Exception):
            self.missing += 1
            return
        whole = contents if isinstance(contents, bytes) else b"".join(contents)
        self.files += 1
        self.size_bytes += len(whole)
        for part in _slices(whole):
            read = read_rows(self.stream, self.patient_id, part)
            self.rows.add(read.rows)
            about = {"participant_id": self.patient_id, "stream": self.stream.value, "file": member.name}
            named = read.malformed.with_columns(pl.lit(text, pl.String()).alias(name) for name, text in about.items())
            self.malformed.add(named.select(column.name for column in MALFORMED))

    def summary(self) -> dict[str, Any]:
        return {
            "participant_id": self.patient_id,
            "stream": self.stream.value,
            "files": self.files,
            "rows": self.rows.count,
            "malformed_rows": self.malformed.count,
            "missing_files": self.missing,
            "csv_bytes": self.size_bytes,
        }


class _Collected:
    """Rows of one table; in files of `folder` once they are many."""

    def __init__(self, columns: tuple[Column, ...], folder: Path) -> None:
        self.schema, self.folder = polars_schema(columns), folder
        self.count = 0
        self._frames: list[pl.DataFrame] = []
        self._files: list[Path] = []

    def add(self, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        self.count += rows.height
        self._frames.append(rows)
        if sum(frame.estimated_size() for frame in self._frames) > SPILL_BYTES:
            self._spill()

    def pieces(self) -> bytes | Iterator[bytes]:
        """The Parquet file; its parts are let go of."""
        if not self._files:
            whole = pl.concat(self._frames)
            self._frames = []
            return _as_parquet(whole)
        if self._frames:
            self._spill()
        path = self.folder / "whole.parquet"
        pl.scan_parquet(self._files, schema=self.schema).sink_parquet(path, compression="zstd", row_group_size=262_144)
        for part in self._files:
            part.unlink()
        return _read_and_remove(path)

    def _spill(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{len(self._files)}.parquet"
        pl.concat(self._frames).write_parquet(path, compression="lz4")
        self._files.append(path)
        self._frames = []


def _stream_and_day(member: Member) -> tuple[DataStream, str]:
    """By the member's name (DATA-22): its second piece, and the date with which the last one begins."""
    pieces = member.name.split("/")
    return DataStream(pieces[1]), pieces[-1][:10]


def _slices(contents: bytes) -> Iterator[bytes]:
    """The file in parts of some MiB, each with its header."""
    if len(contents) <= SLICE_BYTES:
        yield contents
        return
    header, _, body = contents.partition(b"\n")
    start = 0
    while start < len(body):
        cut = body.find(b"\n", start + SLICE_BYTES)
        end = len(body) if cut < 0 else cut
        yield header + b"\n" + body[start:end]
        start = end + 1


def _as_parquet(table: pl.DataFrame) -> bytes:
    file = BytesIO()
    table.write_parquet(file, compression="zstd")
    return file.getvalue()


def _read_and_remove(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
    path.unlink()
