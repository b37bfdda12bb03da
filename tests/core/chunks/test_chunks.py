"""Raw files to chunks: golden cases byte for byte, edge cases, and a plain row loop as the judge."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.chunks import binning, duplicates
from core.chunks.binning import bin_files
from core.chunks.build import UnusableFolder, build_chunks
from core.chunks.merge import UnreadableChunk, merge_chunk
from core.chunks.model import BinnedBatch, ChunkKey, DropReason, NewRows, RawFile
from core.streams import DataStream, Platform
from tests.reference import chunks as reference
from tests.support.paths import VECTORS

CHUNK_CASES = VECTORS / "chunks"
CASES = sorted(path.name for path in CHUNK_CASES.iterdir())
NOW = datetime(2024, 6, 1, tzinfo=UTC)
ANDROID, IOS = Platform.ANDROID, Platform.IOS
SURVEY, OTHER_SURVEY = "5a" * 12, "6b" * 12
HOUR = 1700002800  # 2023-11-14T23:00:00Z
T = HOUR * 1000
GPS = b"timestamp,latitude,longitude,altitude,accuracy\n"


def batch_of(path: str, data: bytes, platform: Platform | None = ANDROID, now: datetime = NOW) -> BinnedBatch:
    return bin_files([RawFile(path, data, platform)], now)


def chunks_of(
    files: dict[str, bytes], platform: Platform = ANDROID, existing: dict[str, bytes] | None = None
) -> dict[str, bytes]:
    batch = bin_files([RawFile(path, data, platform) for path, data in files.items()], NOW)
    chunks = dict(existing or {})
    for key, new in batch.groups.items():
        chunks[key.relative_path] = merge_chunk(key, platform, new, chunks.get(key.relative_path))
    return chunks


def rows_in(new: NewRows) -> int:
    return bytes(new.text).count(b"\n")


def only_rows(chunks: dict[str, bytes]) -> list[bytes]:
    """The rows of the only chunk, without its header."""
    (contents,) = chunks.values()
    return contents.split(b"\n")[1:]


@pytest.mark.parametrize("case", CASES)
def test_golden_batches_become_the_same_chunks_and_registry(case: str, tmp_path: Path) -> None:
    """Byte for byte what the existing platform wrote."""
    manifest = json.loads((CHUNK_CASES / case / "manifest.json").read_text())
    before = None
    for number in range(1, len(manifest["batches"]) + 1):
        out = tmp_path / str(number)
        build_chunks(CHUNK_CASES / case / "input" / f"batch{number}", before, out, Platform(manifest["os"]))
        before = out
    assert _files(out) == _files(CHUNK_CASES / case / "expected")
    registry = sorted(manifest["registry"], key=lambda row: row["path"])
    assert json.loads((out / "registry.json").read_text()) == registry


def _files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    "data", [b"", b"timestamp,x", b"timestamp,x\n", b"timestamp,x\n\n\r\n\n", b"timestamp,x\n,\n,1\n"]
)
def test_a_file_without_rows_is_done_and_leaves_no_chunk(data: bytes) -> None:
    """PROC-10, PROC-13."""
    batch = batch_of("accel/1700002800000.csv", data)
    assert not batch.groups
    assert not batch.problems
    assert batch.reports["accel/1700002800000.csv"].keys == ()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_any_line_end_ends_a_line_and_leaves_no_trace(end: bytes) -> None:
    """PROC-11."""
    data = end.join([GPS.rstrip(), b"%d,1,2" % T, b"%d,3,4" % (T + 1), b""])
    assert only_rows(chunks_of({"gps/1.csv": data})) == [
        b"%d,2023-11-14T23:00:00.000,1,2" % T,
        b"%d,2023-11-14T23:00:00.001,3,4" % (T + 1),
    ]


def test_times_outside_the_limits_are_dropped_and_counted() -> None:
    """PROC-14."""
    latest = int((NOW + timedelta(days=90)).timestamp())
    times = [1406851199999, 1406851200000, latest * 1000 + 999, (latest + 1) * 1000, 170000280, 9999999999999]
    batch = batch_of("gps/1.csv", GPS + b"".join(b"%d,1\n" % time for time in times))
    assert sum(rows_in(new) for new in batch.groups.values()) == 2
    assert batch.reports["gps/1.csv"].rows_dropped == {DropReason.OUTSIDE_LIMITS: 4}
    assert [(problem.rows, problem.is_failed) for problem in batch.problems] == [(4, False)]


@pytest.mark.parametrize(
    "field", [b"abc", b" %d" % T, b"%d " % T, b"%dabc" % T, b"-%d" % T, b"1700002800.5", b"%d000" % T, b"\xff", b"17 "]
)
def test_a_first_field_that_is_not_a_number_costs_that_row_alone(field: bytes) -> None:
    """PROC-31, PROC-33."""
    batch = batch_of("gps/1.csv", GPS + field + b",1\n%d,2\n" % T)
    assert [rows_in(new) for new in batch.groups.values()] == [1]
    assert batch.reports["gps/1.csv"].rows_dropped == {DropReason.NOT_A_TIME: 1}


@pytest.mark.parametrize("digits", [10, 11, 12, 13, 14, 15])
def test_the_utc_column_shows_the_whole_field_as_milliseconds(digits: int) -> None:
    """PROC-31: a time in seconds is in the right hour and shows 1970."""
    value = int("170000280712345"[:digits])
    moment = datetime(1970, 1, 1) + timedelta(milliseconds=value)
    assert only_rows(chunks_of({"gps/1.csv": GPS + b"%d" % value})) == [
        f"{value},{moment.isoformat(timespec='milliseconds')}".encode()
    ]


def test_rows_of_one_time_keep_their_order_and_equal_rows_become_one() -> None:
    """PROC-33, PROC-34, in the order of paths."""
    first = GPS + b"".join(b"%d,%s\n" % (T, value) for value in (b"3", b"1", b"2", b"1", b"3"))
    second = GPS + b"".join(b"%d,%s\n" % (T, value) for value in (b"9", b"2", b"0"))
    rows = only_rows(chunks_of({"gps/2.csv": second, "gps/1.csv": first}))
    assert [row.rsplit(b",", 1)[1] for row in rows] == [b"3", b"1", b"2", b"9", b"0"]


def test_an_hour_ends_before_the_next() -> None:
    """PROC-15."""
    chunks = chunks_of({"gps/1.csv": GPS + b"%d,1\n%d,2\n" % (T + 3599999, T + 3600000)})
    assert sorted(chunks) == ["gps/2023-11-14T23:00:00.csv", "gps/2023-11-15T00:00:00.csv"]


def test_the_same_file_again_changes_nothing() -> None:
    rows = [b"%d,%d,%s" % (T + 40 * (n // 3), n, b"x" * (n % 30)) for n in range(3000)]
    files = {"gps/1.csv": GPS + b"\n".join(rows)}
    once = chunks_of(files)
    assert chunks_of(files, existing=once) == once
    assert chunks_of({"gps/1.csv-duplicate-abcdefgh12": files["gps/1.csv"]} | files) == once


def test_a_late_file_is_sorted_into_its_chunk() -> None:
    """PROC-32, PROC-33: old rows come first where times are equal."""
    old = chunks_of({"gps/1.csv": GPS + b"%d,b\n%d,d\n" % (T + 1, T + 3)})
    new = chunks_of({"gps/2.csv": GPS + b"%d,a\n%d,c\n%d,b\n%d,e\n" % (T, T + 1, T + 1, T + 4)}, existing=old)
    assert [row[-1:] for row in only_rows(new)] == [b"a", b"b", b"c", b"d", b"e"]


@pytest.mark.parametrize("name", [b"date", b"timestamp", b" timestamp"])
def test_the_time_of_a_call_comes_first(name: bytes) -> None:
    """PROC-20: under both names of its column; a row without one is dropped and counted."""
    data = b"hashed phone number,call type,%s,duration in seconds\nabc,In,%d,5\nabc,In\n\n" % (name, T)
    assert only_rows(chunks_of({"callLog/1.csv": data})) == [b"%d,2023-11-14T23:00:00.000,abc,In,5" % T]
    report = batch_of("callLog/1.csv", data).reports["callLog/1.csv"]
    assert report.rows_dropped == {DropReason.NOT_A_TIME: 1}
    assert not report.has_unexpected_header


@pytest.mark.parametrize(
    ("body", "kept"),
    [(b"", 0), (b"a,1,2", 0), (b"a,1,2\n", 0), (b"a,1,2\n,", 1), (b"a,1,2\nb,3,4\n", 1), (b"a,1,2\nb,3,4\n\n", 2)],
)
def test_a_wifi_scan_loses_its_last_line(body: bytes, kept: int) -> None:
    """PROC-21."""
    batch = batch_of("wifiLog/1700002800005.csv", b"hashed MAC, frequency, RSSI\n" + body)
    assert sum(rows_in(new) for new in batch.groups.values()) == kept
    assert not batch.problems
    assert not batch.reports["wifiLog/1700002800005.csv"].has_unexpected_header


def test_identifiers_get_the_time_in_their_name() -> None:
    """PROC-22."""
    data = b"patient_id,MAC\nabcd1234,,phone\n"
    for platform in (None, ANDROID, IOS):
        batch = batch_of("identifiers_1700002800.csv", data, platform)
        assert [bytes(new.text) for new in batch.groups.values()] == [
            b"1700002800000,2023-11-14T23:00:00.000,abcd1234,,phone\n"
        ]


def test_an_app_log_becomes_a_table() -> None:
    """PROC-23."""
    lines = [
        b"THIS LINE IS A LOG FILE HEADER",
        b"no time, yet",
        b"%d started, with \xff\xc3\xa9" % (T + 5),
        b"bluetooth Failure x",
        b"our not-quite-race-condition",
        b"accelSensorManager",
        b"a sessionactivity tried to clear the thing",
        b"after",
        b"",
    ]
    rows = only_rows(chunks_of({f"logFile/{T}.csv": b"\n".join(lines)}))
    assert [row.split(b",", 2)[2] for row in rows] == [
        b"New app log file created",
        b"no time, yet",
        b"started, with \xff\xc3\xa9",
        b"after",
    ]


def test_survey_timings_are_kept_apart_by_survey() -> None:
    """PROC-24, PROC-30."""
    header = b"timestamp,question id,question type,question text,question answer options,answer\n"
    files = {
        f"surveyTimings/{SURVEY}/1.csv": header + b"%d,q\\1,text\n%d\n" % (T, T + 1),
        f"surveyTimings/{OTHER_SURVEY}/1.csv": header + b"%d,q2,text\n" % T,
    }
    chunks = chunks_of(files)
    assert sorted(chunks) == [f"survey_timings/{survey}/2023-11-14T23:00:00.csv" for survey in (SURVEY, OTHER_SURVEY)]
    rows = chunks[f"survey_timings/{SURVEY}/2023-11-14T23:00:00.csv"].split(b"\n")[1:]
    assert rows[0].endswith(b",q\\1,%s,text" % SURVEY.encode())
    assert rows[1].endswith(b".001,%s" % SURVEY.encode())


def test_a_participant_who_changed_phones_gets_one_chunk_under_todays_header() -> None:
    """PROC-36."""
    android = RawFile("powerState/1.csv", b"timestamp, event\n%d,on\n" % T, ANDROID)
    ios = RawFile("powerState/2.csv", b"timestamp,event,level\n%d,off,1\n" % (T + 1), IOS)
    batch = bin_files([ios, android], NOW)
    ((key, new),) = batch.groups.items()
    assert not any(report.has_unexpected_header for report in batch.reports.values())
    assert merge_chunk(key, IOS, new, None) == (
        b"timestamp,UTC time,event,level\n%d,2023-11-14T23:00:00.000,on\n%d,2023-11-14T23:00:00.001,off,1" % (T, T + 1)
    )


def test_an_unexpected_header_is_told_and_does_no_harm() -> None:
    """PROC-12, PROC-36."""
    batch = batch_of("gps/1.csv", b"time,lat\n%d,1\n" % T)
    assert batch.reports["gps/1.csv"].has_unexpected_header
    assert not batch.problems


def test_a_file_that_cannot_be_used_fails_alone() -> None:
    """PROC-1, PROC-39, PROC-53."""
    good = RawFile("wifiLog/1700002800005.csv", b"h\na\n\n", ANDROID)
    bad = [
        RawFile("nonsense/1.csv", b"", ANDROID),
        RawFile("wifiLog/x.csv", b"h\na\nb", ANDROID),
        RawFile("surveyTimings/1.csv", b"timestamp\n%d\n" % T, ANDROID),
        RawFile("ambientAudio/1.mp4", b"x", ANDROID),
    ]
    batch = bin_files([*bad, good], NOW)
    assert sorted(problem.path for problem in batch.problems if problem.is_failed) == sorted(file.path for file in bad)
    assert list(batch.reports) == [good.path]
    assert len(batch.groups) == 1


def test_a_recording_is_registered_as_it_is() -> None:
    """PROC-39: the exact time, from seconds or milliseconds."""
    for name in ("1700002807.mp4", "1700002807123.wav"):
        (file,) = batch_of(f"voiceRecording/{SURVEY}/{name}", b"12345").unchunked
        assert file.stream is DataStream.AUDIO_RECORDINGS
        assert file.time_bin == datetime.fromtimestamp(1700002807, UTC)
        assert file.size_bytes == 5


def test_a_report_says_which_chunks_a_file_feeds() -> None:
    batch = bin_files(
        [
            RawFile("gps/1.csv", GPS + b"%d,1\n%d,1\n%d,1\n" % (T + 3600000, T, T + 3600001), ANDROID),
            RawFile("gps/2.csv", GPS + b"%d,1\n" % T, ANDROID),
            RawFile("accel/1.csv", b"timestamp\n", ANDROID),
        ],
        NOW,
    )
    hour = HOUR // 3600
    first, second = batch.reports["gps/1.csv"], batch.reports["gps/2.csv"]
    assert [key.hour for key in first.keys] == [hour, hour + 1]
    assert (first.rows_kept, second.rows_kept, batch.reports["accel/1.csv"].rows_kept) == (3, 1, 0)
    assert [key.hour for key in second.keys] == [hour]
    assert (first.first_time_bin, first.last_time_bin) == (
        datetime.fromtimestamp(HOUR, UTC),
        datetime.fromtimestamp(HOUR + 3600, UTC),
    )


def test_a_chunk_with_a_row_that_has_no_time_is_not_touched() -> None:
    """PROC-33."""
    new = NewRows(b"%d,2023-11-14T23:00:00.000,1\n" % T)
    with pytest.raises(UnreadableChunk):
        merge_chunk(ChunkKey(DataStream.GPS, None, HOUR // 3600), ANDROID, new, b"header\nabc,1")


def test_rows_with_equal_hashes_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_hashes", lambda data, starts, lengths: starts * 0)
    data = GPS + b"".join(b"%d,%d\n" % (T, n % 3) for n in range(9))
    assert [row[-1:] for row in only_rows(chunks_of({"gps/1.csv": data}))] == [b"0", b"1", b"2"]


def test_problems_of_a_run_are_written_down(tmp_path: Path) -> None:
    (tmp_path / "in/gps").mkdir(parents=True)
    (tmp_path / "in/gps/1.csv").write_bytes(GPS + b"abc,1\n%d,2\n" % T)
    build_chunks(tmp_path / "in", None, tmp_path / "out", ANDROID)
    problems = [{"file": "gps/1.csv", "reason": DropReason.NOT_A_TIME.value, "rows": 1}]
    assert json.loads((tmp_path / "out/problems.json").read_text()) == problems
    with pytest.raises(UnusableFolder):
        build_chunks(tmp_path / "nowhere", None, tmp_path / "out", ANDROID)


ALIASES = ["accel", "gps", "bluetoothLog", "powerState", "callLog", "wifiLog", "logFile", f"surveyTimings/{SURVEY}"]
TIMES = st.one_of(
    st.integers(0, 6).map(lambda n: b"%d" % (T + 3599998 + n)),
    st.sampled_from([b"1700002807", b"", b"abc", b"1700002800x", b"1406851199999", b"17000028000001", b"9" * 15]),
)
TEXTS = st.one_of(
    st.sampled_from([b"", b",", b",1", b",a,b", b"," + b"x" * 2000, b" text, more", b" \xff\xc3"]),
    st.binary(max_size=40).map(lambda text: b"," + text.translate(None, b"\r\n")),
)
LINES = st.one_of(
    st.builds(bytes.__add__, TIMES, TEXTS),
    st.builds(lambda time: b"h,In," + time + b",5", TIMES),
    st.sampled_from([b"bluetooth Failure", b"no time", b""]),
)
DATA = st.builds(
    lambda header, lines, end, has_end: end.join([header, *lines]) + end * has_end,
    st.sampled_from([b"timestamp,a", b"", b"a, b, timestamp, d"]),
    st.lists(LINES, max_size=10),
    st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"]),
    st.booleans(),
)
FILES = st.dictionaries(
    st.builds(lambda alias, name: f"{alias}/{name}.csv", st.sampled_from(ALIASES), st.integers(T, T + 3)),
    st.tuples(DATA, st.sampled_from([ANDROID, ANDROID, IOS])),
    max_size=5,
)


@settings(max_examples=150, deadline=None)
@given(FILES, FILES, st.sampled_from(Platform), st.sampled_from([1, 60, binning.PART_BYTES]))
def test_any_two_batches_become_what_a_plain_loop_makes(
    first: Any, second: Any, platform: Platform, part_bytes: int
) -> None:
    """PROC-10 to PROC-36, whatever parts files are worked on in; and a batch merged again changes nothing."""
    ours: dict[str, bytes] = {}
    plain: dict[str, bytes] = {}
    for batch in (first, second):
        # What applies to Android alone is applied unless the phone is known to be an iPhone.
        files = [(path, data, os) for path, (data, os) in batch.items() if os is ANDROID or path[0] not in "cwl"]
        plain |= reference.build(files, plain, platform, NOW)
        for _ in range(2):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(binning, "PART_BYTES", part_bytes)
                binned = bin_files([RawFile(path, data, os) for path, data, os in files], NOW)
            for key, new in binned.groups.items():
                path = key.relative_path
                ours[path] = merge_chunk(key, platform, new, ours.get(path))
        assert ours == plain
