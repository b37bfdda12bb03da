"""Exports of answers, opened again: CSV, XLSX, Parquet, SPSS and Stata with labels and a codebook (CLAR-55)."""

import csv
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pyreadstat
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from core.access import SiteLimit
from core.answers.exporting import Exported, ExportRefused, Form, Layout, export_answers, writers
from core.answers.exporting.rows import Wanted
from core.answers.rules.variables import variable_name
from core.answers.scores import save_score
from core.audit import SERVER
from core.database import db
from core.limits import limit_session
from core.models import CustomField, FieldValue, Participant, Survey
from core.streams import Platform
from core.surveys.saving import add_version
from tests.support.answering import CONTENT, ENERGY, MOOD, ODD, asks, file_of, process, queue, submits
from tests.support.commands import command, run_command
from tests.support.factories import Factory
from tests.support.this_hour import this_hour

HOUR = timedelta(hours=1)
FORMULA = "=HYPERLINK(0)"


@pytest.fixture
def participant(factory: Factory) -> Participant:
    return factory.participant(factory.study(timezone_name="UTC"), platform=Platform.IOS, timezone_name="UTC")


@pytest.fixture
def survey(factory: Factory, participant: Participant) -> Survey:
    """Four submissions: all answered, most skipped or unseen, one of an edited survey, one of a test participant."""
    now = this_hour()
    survey = factory.survey(participant.study, content=json.dumps(CONTENT), name=f"Sleep {ODD}")
    score = {"combination": "sum", "items": [{"question_id": "mood"}, {"question_id": "energy"}]}
    save_score(db.session(), survey, None, name="Total", variable="total", definition=score, actor=SERVER)
    asks(participant, survey, now - 4 * HOUR)
    whole = {"mood": 1, "why": (0, 2), "energy": 7, "hours": "many", "rest": FORMULA}
    submits(participant, survey, now - 3 * HOUR, file_of(whole, Platform.IOS))
    sent_twice = submits(participant, survey, now - 2 * HOUR, file_of({"mood": 2}, Platform.IOS))
    name = sent_twice.rsplit("/")[-1]
    contents = file_of({"mood": 2}, Platform.IOS)
    queue(participant, f"surveyAnswers/{survey.object_id}/{name}-duplicate-abcdefghij", contents)
    edited = [MOOD | {"answers": MOOD["answers"][::-1]}, ENERGY]
    survey.content = json.dumps(edited)
    add_version(db.session(), survey, now - HOUR)
    db.session.commit()
    submits(participant, survey, now - HOUR / 2, file_of({"mood": 0, "energy": 0}, Platform.IOS, edited))
    team = factory.participant(participant.study, is_test=True)
    submits(team, survey, now, file_of({"mood": 0}, Platform.ANDROID))
    process()
    return survey


def exported(
    survey: Survey, path: Path, form: Form, layout: Layout = Layout.WIDE, session: Session | None = None, **wanted: Any
) -> Exported:
    wanted = {"with_texts": True} | wanted
    session = session or db.session()
    file = path / f"answers.{form.value}"
    return export_answers(session, survey, Wanted(survey.id, **wanted), form, layout, file)


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_wide_csv_has_a_row_for_each_submission(app: Flask, participant: Participant, survey: Survey, tmp_path: Path):
    done = exported(survey, tmp_path, Form.CSV)
    rows = csv_rows(done.path)
    assert (done.rows, len(rows), len(rows[0])) == (3, 3, done.columns)
    first = rows[0]
    assert (first["patient_id"], first["standing"], first["survey_version"]) == (
        participant.patient_id,
        "answered",
        "1",
    )
    assert first["submitted_at"] == (this_hour() - 3 * HOUR).isoformat().replace("+00:00", "Z")
    assert [first[name] for name in ("q1", "q1_v2", "q2_0", "q2_1", "q2_2", "q3", "q4")] == [
        "1", "", "1", "0", "1", "7", "",
    ]  # fmt: skip
    assert first["q5"] == f"'{FORMULA}" and first["total"] == "8"
    assert rows[1]["q1"] == "2" and rows[1]["total"] == "" and rows[1]["q2_0"] == ""
    assert (rows[2]["q1"], rows[2]["q1_v2"], rows[2]["q3"], rows[2]["total"]) == ("", "0", "0", "0")
    book = csv_rows(done.codebook)
    labels = {(row["variable"], row["code"]): row["meaning"] for row in book}
    assert labels["q1", "1"] == "so; so" and labels["q1_v2", "0"] == "good, mostly" and labels["q2_2", "2"] == ODD
    versions = {row["variable"]: row["versions"] for row in book if row["versions"]}
    assert (versions["q1"], versions["q1_v2"], versions["q3"]) == ("1", "2", "1 2")
    assert {row["variable"] for row in book} - {""} >= set(rows[0]) - {"q2"}


def test_a_long_csv_has_a_row_for_each_answer(app: Flask, survey: Survey, tmp_path: Path):
    rows = csv_rows(exported(survey, tmp_path, Form.CSV, Layout.LONG).path)
    assert len(rows) == 5 + 5 + 2
    why = next(row for row in rows if row["variable"] == "q2")
    assert (why["chosen_codes"], why["chosen"], why["value"]) == ("0 2", f"work\n{ODD}", "")
    hours = next(row for row in rows if row["variable"] == "q4")
    assert (hours["state"], hours["value"], hours["text"]) == ("answered", "", "many")
    states = [row["state"] for row in rows[5:10]]
    assert states == ["answered", "unseen", "skipped", "skipped", "skipped"]


def test_typed_texts_and_the_study_team_are_left_out_unless_asked_for(app: Flask, survey: Survey, tmp_path: Path):
    """CLAR-56, CLAR-62."""
    done = exported(survey, tmp_path, Form.CSV, with_texts=False, with_test=True)
    rows = csv_rows(done.path)
    assert done.rows == 4 and "q5" not in rows[0] and FORMULA not in done.path.read_text()
    assert "text" not in csv_rows(exported(survey, tmp_path, Form.CSV, Layout.LONG, with_texts=False).path)[0]


def test_an_xlsx_opens_again_without_formulas(app: Flask, survey: Survey, tmp_path: Path):
    book = openpyxl.load_workbook(exported(survey, tmp_path, Form.XLSX).path)
    assert book.sheetnames == ["Answers", "Codebook"]
    header, *rows = book["Answers"].iter_rows()
    cells = dict(zip([cell.value for cell in header], rows[0], strict=True))
    assert cells["q5"].value == FORMULA and cells["q5"].data_type == "s"
    assert cells["q3"].value == 7 and cells["submitted_at"].value == (this_hour() - 3 * HOUR).replace(tzinfo=None)
    assert ODD in [row[5].value for row in book["Codebook"].iter_rows()]


@pytest.mark.parametrize("layout", Layout)
def test_a_parquet_file_has_one_schema(app: Flask, survey: Survey, tmp_path: Path, layout: Layout):
    done = exported(survey, tmp_path, Form.PARQUET, layout)
    frame = pl.read_parquet(done.path)
    assert frame.height == done.rows and frame.width == done.columns
    assert frame["submitted_at"].to_list()[0] == this_hour() - 3 * HOUR
    if layout is Layout.WIDE:
        assert frame["q3"].to_list() == [7, None, 0] and frame["q5"].to_list() == [FORMULA, None, None]
        assert frame.schema["q1"] == pl.Float64
    assert {file.name for file in tmp_path.glob("*.*")} == {"answers.parquet", "answers_codebook.csv"}


def test_an_spss_file_opens_with_labels_and_missing_values(app: Flask, survey: Survey, tmp_path: Path):
    path = exported(survey, tmp_path, Form.SAV).path
    frame, about = pyreadstat.read_sav(path, user_missing=True, output_format="polars")
    assert about.column_names_to_labels["q1"] == MOOD["question_text"]
    assert about.column_names_to_labels["q2_2"].endswith(f"{ODD}: {ODD}")
    assert about.variable_value_labels["q1"] == {
        0: "bad", 1: "so; so", 2: "good, mostly",
        -9999: "shown, not answered", -9998: "not shown", -9997: "cannot be read",
    }  # fmt: skip
    assert about.missing_ranges["q1"] == [{"lo": -9999, "hi": -9997}]
    assert frame["q1"].to_list() == [1, 2, None] and frame["q3"].to_list() == [7, -9999, 0]
    assert frame["q2_1"].to_list() == [0, -9998, None] and frame["q4"].to_list() == [-9997, -9999, None]
    assert ODD in about.file_label or "Sleep" in about.file_label
    plain, _ = pyreadstat.read_sav(path, output_format="polars")
    assert plain["q3"].to_list() == [7, None, 0]
    assert frame["submitted_at"].to_list()[0] == (this_hour() - 3 * HOUR).replace(tzinfo=None)


def test_a_stata_file_opens_with_labels_and_missing_values(app: Flask, survey: Survey, tmp_path: Path):
    path = exported(survey, tmp_path, Form.DTA).path
    frame, about = pyreadstat.read_dta(path, user_missing=True, output_format="polars")
    assert about.column_names_to_labels["q1"] == MOOD["question_text"]
    assert about.variable_value_labels["q1"] == {
        0: "bad", 1: "so; so", 2: "good, mostly", "a": "shown, not answered", "b": "not shown", "c": "cannot be read",
    }  # fmt: skip
    assert frame["q3"].to_list() == [7, "a", 0] and frame["q2_1"].to_list() == [0, "b", None]
    assert frame["q5"].to_list() == [FORMULA, "", ""]
    plain, _ = pyreadstat.read_dta(path, output_format="polars")
    assert plain["q3"].to_list() == [7, None, 0] and plain["total"].to_list() == [8, None, 0]


@pytest.mark.parametrize("form", [Form.SAV, Form.DTA])
def test_labels_of_any_length_and_script_are_cut_between_characters(
    app: Flask, factory: Factory, participant: Participant, tmp_path: Path, form: Form
):
    content = [MOOD | {"question_text": "שאלה😀" * 200, "answers": [{"text": "é" * 500}, {"text": ODD}]}]
    survey = factory.survey(participant.study, content=json.dumps(content))
    submits(participant, survey, this_hour(), file_of({"mood": 0}, Platform.IOS, content))
    process()
    path = exported(survey, tmp_path, form).path
    read = pyreadstat.read_sav if form is Form.SAV else pyreadstat.read_dta
    _, about = read(path, output_format="polars")
    assert about.column_names_to_labels["q1"].startswith("שאלה😀שאלה") and about.column_names_to_labels["q1"][-1] == "…"
    assert about.variable_value_labels["q1"][0].startswith("ééé")


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("layout", Layout)
def test_a_survey_without_answers_gives_a_file_without_rows(
    app: Flask, factory: Factory, tmp_path: Path, form: Form, layout: Layout
):
    survey = factory.survey(factory.study(), content=json.dumps(CONTENT))
    done = exported(survey, tmp_path, form, layout)
    assert done.rows == 0 and done.path.exists() and done.codebook.exists()


def test_too_many_rows_for_a_sheet_are_refused_and_leave_nothing(
    app: Flask, survey: Survey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writers, "MOST_SHEET_ROWS", 2)
    with pytest.raises(ExportRefused, match="Parquet"):
        exported(survey, tmp_path, Form.XLSX)
    monkeypatch.setattr(writers, "MOST_TABLE_ROWS", 2)
    with pytest.raises(ExportRefused, match="Parquet"):
        exported(survey, tmp_path, Form.SAV)
    assert list(tmp_path.glob("*.*")) == []


def test_pages_of_submissions_are_complete(app: Flask, survey: Survey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now = this_hour()
    whole = exported(survey, tmp_path, Form.CSV).path.read_text()
    monkeypatch.setattr("core.answers.exporting.rows.SUBMISSIONS_AT_ONCE", 1)
    assert exported(survey, tmp_path, Form.CSV).path.read_text() == whole
    some = exported(survey, tmp_path, Form.CSV, since=now - 2 * HOUR, until=now - HOUR)
    assert some.rows == 1


def test_a_limited_person_exports_the_own_site_alone(
    app: Flask, participant: Participant, survey: Survey, tmp_path: Path
):
    """PERM-95."""
    field = CustomField(study_id=survey.study_id, name="Site")
    db.session.add(field)
    db.session.flush()
    db.session.add(FieldValue(participant_id=participant.id, field_id=field.id, value="North"))
    db.session.commit()
    for value, rows in (("North", 3), ("South", 0)):
        with Session(db.engine) as limited:
            limit_session(limited, {survey.study_id: SiteLimit(field.id, (value,))})
            mine = limited.get_one(Survey, survey.id)
            assert exported(mine, tmp_path, Form.CSV, session=limited, with_test=True).rows == rows


@pytest.mark.long
def test_the_command_writes_a_file_and_says_what_is_wrong(app: Flask, survey: Survey, tmp_path: Path):
    file = tmp_path / "out.sav"
    done = command("answers", "export", survey.object_id, str(file), "--texts")
    assert (done["rows"], done["file"]) == (3, str(file)) and Path(done["codebook"]).exists()
    wrong = run_command("answers", "export", survey.object_id, str(tmp_path / "out.doc"))
    assert wrong.returncode == 1 and wrong.stderr.startswith("Error:") and wrong.stderr.count("\n") == 1


@given(st.integers(1, 10**6), st.integers(1, 10**4), st.none() | st.integers(0, 200))
def test_names_of_variables_are_taken_by_all_programs(number: int, revision: int, option: int | None):
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,31}", variable_name(number, revision, option))


@given(st.text())
def test_no_text_is_a_formula_in_a_spreadsheet(text: str):
    cell = writers._csv_cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")) and cell.endswith(text)
