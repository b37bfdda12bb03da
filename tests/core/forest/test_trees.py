"""Trees in processes of their own: the library's numbers, malformed chunks, and limits."""

import csv
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.downloads.statistics import MEASURES as EXPORTED
from core.forest.daily import check_columns, daily_rows
from core.forest.inputs import clean_input
from core.forest.jasmine import load_state
from core.forest.job import Answer, Job, NoData, TreeFailed
from core.forest.running import Cancelled, run_tree
from core.forest.trees import MEASURES, Tree
from tests.support.paths import VECTORS

GOLDEN = VECTORS / "forest"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
PATIENT = "fv2abcde"
SCRIPTS = Path(__file__).parent / "scripts"
LIMIT_S = 120


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    """A job on the golden input, changed by keyword."""

    def make(tree: Tree, **changed: Any) -> Job:
        folder = tmp_path / f"run{len(list(tmp_path.glob('run*')))}"
        folder.mkdir()
        given = {
            "tree": tree,
            "patient_id": PATIENT,
            "zone": EXPECTED["zone"],
            "start": date.fromisoformat(EXPECTED["start_date"]),
            "end": date.fromisoformat(EXPECTED["end_date"]),
            "input_dir": GOLDEN / "input",
            "folder": folder,
            "memory_bytes": 8 << 30,
            "settings_file": GOLDEN / "settings_export.json",
        }
        return Job(**given | changed)

    return make


def assert_golden(tree: Tree, answer: Answer) -> None:
    """Random columns within a factor of two, all others exactly as numbers."""
    wanted = EXPECTED["trees"][tree]
    rows = {row["date"]: row for row in answer.rows}
    compared = 0
    for raw in wanted["rows"]:
        day = raw.get("date") or date(*(int(float(raw[part])) for part in ("year", "month", "day"))).isoformat()
        if day < EXPECTED["start_date"]:
            continue
        for measure in MEASURES[tree]:
            if measure.column in raw:
                right = float(raw[measure.column]) if raw[measure.column] else None
                ours = rows[day][measure.field]
                if measure.column in wanted["random_columns"] and right:
                    assert right / 2 <= ours <= right * 2, measure.column
                else:
                    assert ours == pytest.approx(right), measure.column
                compared += 1
    assert compared == 3 * len(MEASURES[tree])


def test_every_exported_measure_is_a_column_of_a_tree() -> None:
    """FOREST-40: the fields of exports are those that the trees' columns become."""
    assert {measure.field for measures in MEASURES.values() for measure in measures} == set(EXPORTED)


@pytest.mark.parametrize("is_corrected", [False, True])
@pytest.mark.parametrize("tree", [Tree.WILLOW, pytest.param(Tree.SYCAMORE, marks=pytest.mark.long)])
def test_the_rows_are_the_library_s(job: Callable[..., Job], tree: Tree, is_corrected: bool) -> None:
    """FOREST-1, FOREST-3, FOREST-4: the golden case, exactly; tasks' corrections change no usual day."""
    assert_golden(tree, run_tree(job(tree, is_corrected=is_corrected), LIMIT_S))


@pytest.mark.long
def test_oak_day_by_day_gives_the_library_s_rows(job: Callable[..., Job]) -> None:
    """FOREST-41: each day in a process of its own; the rows are those of one run over the range."""
    assert_golden(Tree.OAK, run_tree(job(Tree.OAK), LIMIT_S))


@pytest.mark.long
def test_jasmine_repeats_and_goes_on_from_its_state(job: Callable[..., Job]) -> None:
    """CLAR-80, FOREST-6: the same seed gives the same numbers; the state is arrays only, and a run goes on from it."""
    first, second = job(Tree.JASMINE), job(Tree.JASMINE)
    answer = run_tree(first, LIMIT_S)
    assert_golden(Tree.JASMINE, answer)
    assert run_tree(second, LIMIT_S).rows == answer.rows
    assert not list(first.folder.rglob("*.pkl"))
    state = load_state(first.saved_state)
    assert state is not None and state[1].shape[1] == 8
    goes_on = run_tree(job(Tree.JASMINE, state_file=first.saved_state), LIMIT_S)
    assert [row["date"] for row in goes_on.rows] == [row["date"] for row in answer.rows]
    assert not any("version" in note for note in goes_on.notes)


def test_a_malformed_chunk_is_named_and_the_other_days_are_computed(job: Callable[..., Job], tmp_path: Path) -> None:
    """FOREST-2: seven fields in rows of six; the day without it has its other chunks' numbers."""
    shutil.copytree(GOLDEN / "input", tmp_path / "input")
    folder = tmp_path / "input" / PATIENT / "calls"
    bad = sorted(folder.iterdir())[0]
    header, first, *others = bad.read_text().splitlines()
    bad.write_text("\n".join([header, first, *others, first + ",seventh", first]) + "\n")
    shifted = folder / "2024-06-14 09_00_00+00_00.csv"
    shifted.write_text(f"{header}\n{first},seventh\n")
    answer = run_tree(job(Tree.WILLOW, input_dir=tmp_path / "input"), LIMIT_S)
    assert [one.name for one in answer.left_out] == [f"{PATIENT}/calls/{bad.name}", f"{PATIENT}/calls/{shifted.name}"]
    assert "header" in answer.left_out[0].reason and "header" in answer.left_out[1].reason
    right = {row["day"]: row for row in EXPECTED["trees"]["willow"]["rows"]}
    ours = {row["date"]: row for row in answer.rows}
    assert ours["2024-06-14"]["willow_incoming_call_count"] == int(right["14"]["num_in_call"])
    assert len(ours) == 3


@pytest.mark.parametrize(
    ("tree", "stream", "column", "value", "reason"),
    [
        (Tree.JASMINE, "gps", "latitude", "", "impossible numbers in the column latitude"),
        (Tree.JASMINE, "gps", "longitude", "inf", "impossible numbers in the column longitude"),
        (Tree.JASMINE, "gps", "longitude", "200", "impossible numbers in the column longitude"),
        (Tree.JASMINE, "gps", "timestamp", "", "impossible numbers in the column timestamp"),
        (Tree.JASMINE, "gps", "timestamp", "99999999999999", "times of other days"),
        (Tree.JASMINE, "gps", "accuracy", "", None),
        (Tree.JASMINE, "gps", "altitude", "", None),
        (Tree.OAK, "accelerometer", "x", "inf", "impossible numbers in the column x"),
        (Tree.WILLOW, "calls", "hashed phone number", "", "empty fields in the column hashed phone number"),
        (Tree.WILLOW, "calls", "duration in seconds", "abc", "text in the column duration in seconds"),
        (Tree.WILLOW, "calls", "duration in seconds", "9" * 20, "in the column duration in seconds"),
        (Tree.WILLOW, "calls", "duration in seconds", "", None),
        (Tree.WILLOW, "texts", "message length", "1e400", "no whole numbers in the column message length"),
        (Tree.WILLOW, "texts", "message length", "MMS", None),
        (Tree.SYCAMORE, "survey_timings", "question answer options", "", "questions with choices, but none"),
        (Tree.SYCAMORE, "survey_timings", "UTC time", "2024-06-14T14:49:48.212;x", "no times in the column UTC time"),
        (Tree.SYCAMORE, "survey_timings", "answer", '"great', None),
    ],
)
def test_chunks_that_would_end_a_run_are_named(
    job: Callable[..., Job], tmp_path: Path, tree: Tree, stream: str, column: str, value: str, reason: str | None
) -> None:
    """FOREST-1: one field of one row makes the tree fail, run for hours, or lose a day."""
    folder = tmp_path / "input" / PATIENT / stream
    shutil.copytree(GOLDEN / "input" / PATIENT / stream, folder)
    bad = sorted(folder.rglob("*.csv"))[0]
    header, first, *others = bad.read_text().splitlines()
    fields = first.split(",")
    fields[header.split(",").index(column)] = value
    bad.write_text("\n".join([header, ",".join(fields), *others]))
    left_out = clean_input(job(tree, input_dir=tmp_path / "input"))
    assert [one.name for one in left_out] == ([str(bad.relative_to(tmp_path / "input"))] if reason else [])
    assert not reason or reason in left_out[0].reason


def test_a_quotation_mark_swallows_no_lines(job: Callable[..., Job], tmp_path: Path) -> None:
    """FOREST-1, PROC-11: chunks are split at every comma, while in CSV two answers with one would become one row."""
    folder = tmp_path / "input" / PATIENT / "survey_timings" / "a"
    folder.mkdir(parents=True)
    header = "timestamp,UTC time,question id,survey id,question type,question text,question answer options,answer"
    row = '1718376588212,2024-06-14T14:49:48.212,q,a,free_response,Say "it",,"hm'
    name = "2024-06-14 14_00_00+00_00.csv"
    (folder / name).write_text("\n".join([header, row, row, row]))
    one = job(Tree.SYCAMORE, input_dir=tmp_path / "input")
    assert clean_input(one) == []
    with (one.clean_dir / PATIENT / "survey_timings" / "a" / name).open(newline="") as lines:
        assert [row[5:] for row in csv.reader(lines)][1:] == 3 * [['Say "it"', "", '"hm']]


def test_a_phone_number_that_looks_like_a_number_is_text(job: Callable[..., Job], tmp_path: Path) -> None:
    """FOREST-1: willow alone fails when it has such ones and others."""
    shutil.copytree(GOLDEN / "input", tmp_path / "input")
    chunk = sorted((tmp_path / "input" / PATIENT / "calls").iterdir())[0]
    header, row = chunk.read_text().splitlines()
    chunk.write_text("\n".join([header, ",".join(["0012" if i == 2 else f for i, f in enumerate(row.split(","))])]))
    for is_corrected in (False, True):
        answer = run_tree(job(Tree.WILLOW, input_dir=tmp_path / "input", is_corrected=is_corrected), LIMIT_S)
        assert (len(answer.rows), answer.left_out, answer.notes) == (3, [], [])


def test_calls_without_texts_are_counted(job: Callable[..., Job], tmp_path: Path) -> None:
    """FOREST-3: of iPhones there are no texts; the library alone fails then. Twelve calls of known length."""
    folder = tmp_path / "input" / PATIENT / "calls"
    folder.mkdir(parents=True)
    for hour in range(13):  # the library leaves the newest hour out
        at = datetime(2024, 6, 13, 14, tzinfo=UTC) + timedelta(hours=hour // 6 * 24 + hour % 6)
        row = f"{at.timestamp() * 1000:.0f},{at:%Y-%m-%dT%H:%M:%S.000},person{hour % 3},Outgoing Call,120"
        header = "timestamp,UTC time,hashed phone number,call type,duration in seconds"
        (folder / f"{at:%Y-%m-%d %H_%M_%S}+00_00.csv").write_text(f"{header}\n{row}\n")
    rows = {row["date"]: row for row in run_tree(job(Tree.WILLOW, input_dir=tmp_path / "input"), LIMIT_S).rows}
    for day in ("2024-06-13", "2024-06-14"):
        counts = [rows[day][f"willow_outgoing_call_{name}"] for name in ("count", "degree", "duration")]
        assert counts == [6, 3, 12.0]
        assert rows[day]["willow_outgoing_text_count"] is None


def test_texts_without_calls_are_counted(job: Callable[..., Job], tmp_path: Path) -> None:
    """FOREST-3: the library alone fails then."""
    shutil.copytree(GOLDEN / "input" / PATIENT / "texts", tmp_path / "input" / PATIENT / "texts")
    rows = run_tree(job(Tree.WILLOW, input_dir=tmp_path / "input"), LIMIT_S).rows
    right = EXPECTED["trees"]["willow"]["rows"]
    assert [row["willow_incoming_text_count"] for row in rows] == [int(row["num_r"]) for row in right]
    assert {row["willow_incoming_call_count"] for row in rows} == {None}


def test_no_data_is_a_plain_reason(job: Callable[..., Job], tmp_path: Path) -> None:
    """FOREST-2: no stack trace."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoData) as error:
        run_tree(job(Tree.OAK, input_dir=tmp_path / "empty"), LIMIT_S)
    assert (str(error.value), error.value.trace) == (
        "There is no data of this participant for this tree in these days.",
        None,
    )


def test_data_of_one_day_of_ten_are_that_days(job: Callable[..., Job]) -> None:
    """FOREST-2, FOREST-40."""
    answer = run_tree(job(Tree.WILLOW, start=date(2024, 6, 4), end=date(2024, 6, 13), is_corrected=True), LIMIT_S)
    filled = [
        row["date"] for row in answer.rows if any(value is not None for name, value in row.items() if name != "date")
    ]
    assert filled == ["2024-06-13"]


def test_a_missing_library_is_told_as_the_machine_s_fault(job: Callable[..., Job]) -> None:
    """Another worker, or a repaired one, may have it: the task is tried again."""
    without = (
        "import sys; sys.modules['forest'] = None; from pathlib import Path; from core.forest.worker import main;"
        " sys.exit(main(Path(sys.argv[1])))"
    )
    with pytest.raises(TreeFailed, match=r"^The library forest[.\w]* cannot be imported\.$") as failed:
        run_tree(job(Tree.WILLOW), LIMIT_S, program=("-c", without))
    assert failed.value.is_of_the_machine


def test_an_unknown_column_is_an_error_that_names_it(job: Callable[..., Job]) -> None:
    """FOREST-40."""
    with pytest.raises(TreeFailed, match="not known here: shoes"):
        check_columns(Tree.OAK, ["date", "steps", "shoes"])


def test_rows_outside_the_range_are_ignored_and_empty_cells_are_null(job: Callable[..., Job]) -> None:
    """FOREST-40, FOREST-41: dates that print as floats are read."""
    one = job(Tree.SYCAMORE)
    file = one.output_dir / "daily" / f"{PATIENT}.csv"
    file.parent.mkdir(parents=True)
    file.write_text("year,month,day,num_surveys,avg_duration\n2024.0,6.0,12.0,1,1\n2024.0,6.0,13.0,2.0,\n")
    (row,) = daily_rows(one)
    assert (row["date"], row["sycamore_total_surveys"], row["sycamore_average_duration"]) == ("2024-06-13", 2, None)


def test_a_tree_reaches_no_network(job: Callable[..., Job]) -> None:
    """CLAR-80, FOREST-5: a program in a tree's place that tries to connect is refused by the kernel."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(TreeFailed, match="PermissionError"):
            run_tree(job(Tree.OAK), 30, program=[str(SCRIPTS / "connects.py"), str(port)])
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_tree_that_needs_too_much_memory_ends_with_a_plain_reason(job: Callable[..., Job]) -> None:
    """CLAR-80: the limit holds, and the reason names it."""
    with pytest.raises(TreeFailed, match="more than its limit of 512 MiB") as error:
        run_tree(job(Tree.OAK, memory_bytes=512 << 20), 30, program=[str(SCRIPTS / "fills_memory.py")])
    assert not error.value.is_of_the_machine


def test_a_hung_tree_is_killed_with_its_children(job: Callable[..., Job]) -> None:
    """CLAR-80: time limit; neither it nor a child that it started stays."""
    hung = job(Tree.OAK)
    with pytest.raises(TreeFailed, match="did not end within 3 seconds"):
        run_tree(hung, 3, program=[str(SCRIPTS / "hangs.py")])
    ids = [int(text) for text in (hung.folder / "ids").read_text().split()]
    assert len(ids) == 2
    for process_id in ids:
        wait_until_gone(process_id)


def test_a_cancelled_tree_is_killed(job: Callable[..., Job]) -> None:
    hung = job(Tree.OAK)
    asked = datetime.now(UTC)
    with pytest.raises(Cancelled):
        run_tree(hung, 60, is_cancelled=(hung.folder / "ids").exists, program=[str(SCRIPTS / "hangs.py")])
    assert datetime.now(UTC) - asked < timedelta(seconds=30)


def test_the_memory_of_a_tree_that_was_killed_is_known(job: Callable[..., Job]) -> None:
    """CLAR-80: as when the machine's memory runs out."""
    hung = job(Tree.OAK)

    def kill() -> bool:
        if (hung.folder / "ids").exists():
            os.kill(int((hung.folder / "ids").read_text().split()[0]), signal.SIGKILL)
        return False

    with pytest.raises(TreeFailed, match="was killed") as error:
        run_tree(hung, 60, is_cancelled=kill, program=[str(SCRIPTS / "hangs.py")])
    assert error.value.is_of_the_machine and (error.value.peak_memory_bytes or 0) > 5 << 20


def wait_until_gone(process_id: int) -> None:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z" and os.getpid() != 1:
            return  # dead; its parent has not asked yet
        time.sleep(0.05)
    raise AssertionError(f"{process_id} still runs")
