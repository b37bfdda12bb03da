"""Streams as Parquet: one schema for each stream, every row in the table or in `_malformed` (CLAR-74)."""

import re
import zipfile
from pathlib import Path

import duckdb
import pandas
import polars as pl
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from core.database import db
from core.downloads.query import DataQuery
from core.exports import parquet_files
from core.exports.events import EVENT_COLUMNS
from core.exports.parquet_files import TABLE_STREAMS, parquet_pieces
from core.exports.parquet_rows import read_rows
from core.exports.parquet_schema import MALFORMED, SUMMARY, TYPE_NAMES, Column, columns_of, polars_schema
from core.models import Participant
from core.streams import SPECS, DataStream, Platform
from tests.core.processing.test_batch import CASES, process, queue, queue_golden_batch
from tests.support.factories import Factory
from tests.support.paths import REPOSITORY, VECTORS
from webapp.stores import sealed_store

GPS_HEADER = b"timestamp, latitude, longitude, altitude, accuracy\n"
AT_MS = 1700002800000
HEADER = "timestamp,UTC time,accuracy,x,y,z"


def rows_in(contents: bytes) -> int:
    return sum(bool(line) for line in contents.split(b"\n")[1:])


def read(stream: DataStream, text: str) -> pl.DataFrame:
    return read_rows(stream, "abc", text.encode()).rows


@pytest.mark.parametrize("case", [case for case in CASES if "unchunked" not in case])
def test_every_row_of_the_vectors_is_read_or_malformed(case: str):
    """CLAR-74."""
    for file in (VECTORS / "chunks" / case / "expected").rglob("*.csv"):
        stream = DataStream(file.relative_to(VECTORS / "chunks" / case / "expected").parts[0])
        contents = file.read_bytes()
        found = read_rows(stream, "abc", contents)
        assert found.rows.height + found.malformed.height == rows_in(contents)
        assert found.rows.schema == polars_schema(columns_of(stream))
        if not case.endswith(("odd-rows", "bad-utf8", "wrong-header")):
            assert found.malformed.is_empty()


_FIELD = st.sampled_from(["", " ", "1", "-2.5", "unknown", "x", "1700002930313", "nan", "é", '"', "1e999", "9" * 25])
_LINES = st.lists(st.lists(_FIELD, min_size=1, max_size=15).map(",".join), max_size=12)


@given(stream=st.sampled_from(TABLE_STREAMS), lines=_LINES, junk=st.binary(max_size=6), is_own_header=st.booleans())
def test_every_row_is_in_the_table_or_malformed(stream: DataStream, lines: list[str], junk: bytes, is_own_header: bool):
    """CLAR-74: whatever a file holds, no row is lost, and the schema is the documented one."""
    header = SPECS[stream].chunk_header(None) if is_own_header else "timestamp,new,timestamp,x"
    good = [f"1700002930313,u,{line}" for line in lines]
    contents = "\n".join([header, *lines, *good]).encode() + b"\n1700002930313," + junk.replace(b"\n", b"")
    found = read_rows(stream, "abc", contents)
    assert found.rows.height + found.malformed.height == rows_in(contents)
    assert found.rows.schema == polars_schema(columns_of(stream))
    assert found.malformed["reason"].null_count() == found.malformed["line"].null_count() == 0


def test_values_have_their_types_and_times_their_zone():
    """CLAR-74: an unknown accuracy is null; a time stamp in seconds is one (PROC-31)."""
    found = read(DataStream.ACCELEROMETER, f"{HEADER}\n{AT_MS + 5},u,unknown,1, 2.5,-3e2\n1700002807,u,3,7,7,7")
    assert found.select("timestamp", "accuracy", "x", "y", "z").rows() == [
        (AT_MS + 5, None, 1.0, 2.5, -300.0),
        (1700002807, 3.0, 7.0, 7.0, 7.0),
    ]
    assert found["utc"].dt.to_string("iso:strict").to_list() == [
        "2023-11-14T23:00:00.005000+00:00",
        "2023-11-14T23:00:07.000000+00:00",
    ]


def test_columns_are_found_by_their_names():
    """CLAR-74: order, missing and further columns differ between versions of the apps."""
    found = read(DataStream.ACCELEROMETER, f"timestamp,UTC time,z, y,new,x\n{AT_MS},u,3,2,what,1")
    assert found.select("x", "y", "z", "accuracy").rows() == [(1.0, 2.0, 3.0, None)]
    assert found["other_columns"].to_list() == ['{"new": "what"}']


def test_rows_of_the_other_platform_are_read_under_either_header():
    """PROC-36: a chunk with rows of two phones has the header of the current one."""
    found = read(DataStream.GYRO, f"timestamp,UTC time,x,y,z\n{AT_MS},u,1,2,3\n{AT_MS},u,0,4,5,6\n{AT_MS},u,7,8,9")
    assert found.select("accuracy", "x", "y", "z").rows() == [(None, 1, 2, 3), (0, 4, 5, 6), (None, 7, 8, 9)]


def test_texts_with_commas_stay_whole():
    """PROC-23, PHONE-34."""
    log = read(DataStream.APP_LOG, f'timestamp,UTC time,event\n{AT_MS},u,a,b, "c"\n{AT_MS},u,')
    assert log["event"].to_list() == ['a,b, "c"', None]
    header = SPECS[DataStream.IDENTIFIERS].chunk_header(None)
    phone = read(DataStream.IDENTIFIERS, f"{header}\n{AT_MS},u,p,m,n,d,iOS,17,iPhone,apple,h,apple,iPhone15,2,2024.1")
    assert phone.select("model", "beiwe_version").rows() == [("iPhone15,2", "2024.1")]


def test_rows_that_do_not_fit_say_why():
    """CLAR-74."""
    text = f"{HEADER}\n1,2\n{AT_MS},u,3,1,2,q\nx,u,3,1,1,1\n{'9' * 17},u,3,1,1,1\n".encode() + b"5,u,1,1,1,\xff"
    found = read_rows(DataStream.ACCELEROMETER, "abc", text).malformed
    assert found["reason"].to_list() == [
        "2 of 6 fields",
        "z is not a number",
        "the timestamp is not a whole number",
        "the timestamp is beyond all dates",
        "not UTF-8",
    ]
    assert found["line"][4] == "5,u,1,1,1,\\xff"


def test_a_column_of_one_name_has_one_type_in_all_streams():
    """CLAR-74: so that all files can be read as one table."""
    types: dict[str, pl.DataType] = {}
    for stream in TABLE_STREAMS:
        for column in columns_of(stream):
            assert types.setdefault(column.name, column.dtype) == column.dtype
    assert {column.name for column in MALFORMED}.isdisjoint({"day", "participant"})
    chunked = {stream for stream in DataStream if SPECS[stream].is_chunked}
    assert set(TABLE_STREAMS) == chunked
    for stream in chunked:
        names = {"timestamp", "UTC time", *(column.csv_name for column in columns_of(stream))}
        for platform in SPECS[stream].platforms:
            assert set(SPECS[stream].chunk_header(platform).split(",")) <= names


def documented(columns: tuple[Column, ...]) -> str:
    lines = ["| column | type | unit | meaning |", "|---|---|---|---|"]
    lines += [f"| `{c.name}` | {TYPE_NAMES[c.dtype]} | {c.unit} | {c.meaning} |" for c in columns]
    return "\n".join(lines)


def test_the_documentation_shows_each_schema():
    """CLAR-74. Print what it should show: `python -m tests.core.exports.test_parquet`."""
    text = (REPOSITORY / "docs" / "exports.md").read_text()
    assert {
        name: table.strip() for name, table in re.findall(r"### (\S+)\n\n(\|.*?\n)(?:\n|$)", text, re.S)
    } == tables()


def tables() -> dict[str, str]:
    of_streams = {stream.value: documented(columns_of(stream)) for stream in TABLE_STREAMS}
    return of_streams | {name: documented(c) for name, c in OTHER_TABLES.items()}


OTHER_TABLES = {"_malformed": MALFORMED, "_summary": SUMMARY, "events": EVENT_COLUMNS}


@pytest.fixture
def people(factory: Factory) -> list[Participant]:
    """Two participants: GPS without altitudes in one file, with a broken row in another; an iPhone's gyroscope."""
    study = factory.study()
    first, second = factory.participant(study, "23456789"), factory.participant(study, "1e234567", Platform.IOS)
    empty = GPS_HEADER + f"{AT_MS},42.1,-71.2,,5\n{AT_MS + 1},42.1,-71.2,,5".encode()
    full = GPS_HEADER + f"{AT_MS + 86_400_000},42.5,-71,8.5,5\n{AT_MS + 86_400_001},north,-71,8.5,5".encode()
    for number, contents in enumerate((empty, full)):
        queue(factory, first, f"gps/{AT_MS + number * 86_400_000}.csv", contents)
    queue(factory, second, f"gyro/{AT_MS}.csv", f"timestamp,x,y,z\n{AT_MS},1,2,3\n{AT_MS + 1},1,2,4".encode())
    queue_golden_batch(factory, second, "powerState-ios-bad-utf8", 1)
    assert not process().failures
    return [first, second]


def unpacked(people: list[Participant], folder: Path, streams: tuple[DataStream, ...] = TABLE_STREAMS) -> Path:
    """The export of these participants, unpacked."""
    study = people[0].study
    query = DataQuery(streams, None, None, None, None)
    numbers = sorted(((one.id, one.patient_id) for one in people), key=lambda one: one[1])
    pieces = parquet_pieces(db.engine, sealed_store(study), study, numbers, query, folder / "work")
    folder.mkdir(exist_ok=True)
    (folder / "export.zip").write_bytes(b"".join(pieces))
    with zipfile.ZipFile(folder / "export.zip") as archive:
        archive.extractall(folder / "export")
    return folder / "export"


def table(folder: Path, files: str, query: str) -> duckdb.DuckDBPyRelation:
    """The answer of DuckDB to a query of the table `t`, which is all these files together."""
    whole = duckdb.read_parquet(str(folder / files), union_by_name=True, hive_partitioning=True)
    return whole.query("t", query)


def kinds_of(found: duckdb.DuckDBPyRelation) -> dict[str, str]:
    return dict(zip(found.columns, map(str, found.types), strict=True))


def test_duckdb_reads_a_stream_and_all_as_one_table(app: Flask, people: list[Participant], tmp_path: Path):
    """CLAR-74: a column that is empty in one file and filled in another has the documented type in both."""
    folder = unpacked(people, tmp_path)
    gps = table(folder, "gps/**/*.parquet", "SELECT * FROM t ORDER BY timestamp")
    kinds = kinds_of(gps)
    assert kinds["altitude"] == "DOUBLE" and kinds["utc"] == "TIMESTAMP WITH TIME ZONE" and kinds["day"] == "DATE"
    assert gps.select("participant_id, altitude").fetchall() == [("23456789", None)] * 2 + [("23456789", 8.5)]
    kinds = kinds_of(table(folder, "**", "SELECT * FROM t"))
    for stream in TABLE_STREAMS:
        for column in columns_of(stream):
            expected = {"double": "DOUBLE", "int64": "BIGINT", "text": "VARCHAR"}.get(TYPE_NAMES[column.dtype])
            assert column.name not in kinds or expected in (None, kinds[column.name])
    counted = table(folder, "_summary/**", "SELECT stream, sum(rows), sum(malformed_rows) FROM t GROUP BY 1").fetchall()
    assert {row[0]: row[1:] for row in counted} == {"gps": (3, 1), "gyro": (2, 0), "power_state": (1, 1)}
    malformed = table(folder, "_malformed/**", "SELECT stream, reason FROM t ORDER BY 1").fetchall()
    assert malformed == [("gps", "latitude is not a number"), ("power_state", "not UTF-8")]


def test_polars_reads_a_stream_by_its_folders(app: Flask, people: list[Participant], tmp_path: Path):
    """CLAR-74."""
    folder = unpacked(people, tmp_path)
    frame = pl.scan_parquet(folder / "gps", hive_partitioning=True).collect()
    assert frame.height == 3 and set(frame.columns) == {c.name for c in columns_of(DataStream.GPS)} | {
        "participant",
        "day",
    }
    for file in (folder / "gps").rglob("*.parquet"):
        assert pl.read_parquet_schema(file) == dict(polars_schema(columns_of(DataStream.GPS)))


def test_pandas_reads_a_stream_as_one_table(app: Flask, people: list[Participant], tmp_path: Path):
    """CLAR-74: with the documented types, and numbers where a column is empty in one file."""
    frame = pandas.read_parquet(unpacked(people, tmp_path) / "gps").sort_values("timestamp")
    assert len(frame) == 3
    assert str(frame.dtypes["altitude"]) == "float64"
    assert str(frame.dtypes["timestamp"]) == "int64"
    assert str(frame.dtypes["utc"]).startswith("datetime64[us, UTC")
    assert list(frame["participant_id"]) == ["23456789"] * 3
    assert frame["altitude"].isna().tolist() == [True, True, False]


def test_large_tables_are_collected_on_the_disk(
    app: Flask, people: list[Participant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """CLAR-74: the same rows, whatever fits into memory."""
    whole = pl.read_parquet(unpacked(people, tmp_path / "a") / "gps", hive_partitioning=True)
    monkeypatch.setattr(parquet_files, "SPILL_BYTES", 1)
    monkeypatch.setattr(parquet_files, "SLICE_BYTES", 1)
    assert pl.read_parquet(unpacked(people, tmp_path / "b") / "gps", hive_partitioning=True).equals(whole)
    assert not [file for file in (tmp_path / "b" / "work").rglob("*") if file.is_file()]


def test_a_file_that_is_missing_in_the_store_is_counted(app: Flask, people: list[Participant], tmp_path: Path):
    """DATA-25."""
    store = sealed_store(people[0].study).store
    for key in list(store.keys(f"CHUNKED_DATA/{people[0].study.object_id}/{people[0].patient_id}/gps/2023-11-15")):
        store.delete(key)
    folder = unpacked(people, tmp_path, (DataStream.GPS,))
    counted = table(folder, "_summary/**", "SELECT sum(files), sum(missing_files) FROM t").fetchall()
    assert counted == [(1, 1)]


def test_vectors_become_the_rows_of_their_chunks(app: Flask, factory: Factory, tmp_path: Path):
    """CLAR-74: through queue, chunks and export."""
    study = factory.study()
    case = "accel-android-odd-rows"
    participant = factory.participant(study)
    queue_golden_batch(factory, participant, case, 1)
    process()
    folder = unpacked([participant], tmp_path)
    expected = sum(rows_in(f.read_bytes()) for f in (VECTORS / "chunks" / case / "expected").rglob("*.csv"))
    counted = table(folder, "_summary/**", "SELECT sum(rows), sum(malformed_rows) FROM t").fetchall()
    assert sum(counted[0]) == expected and counted[0][1] > 0


if __name__ == "__main__":
    for name, table in tables().items():
        print(f"### {name}\n\n{table}\n")
