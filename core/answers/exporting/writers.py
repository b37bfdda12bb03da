"""Writes rows as CSV, XLSX, Parquet, SPSS and Stata files.

CSV, XLSX and Parquet are written as rows come; for the other two the table is held in memory, as their library wants.
"""

import csv
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pyreadstat
import xlsxwriter

from core.answers.exporting.columns import Column, Holds
from core.answers.exporting.rows import Row
from core.answers.rules.variables import MISSING_LABELS, MissingCode
from core.participants.table_file import harmless

Batches = Iterable[Sequence[Row]]
Table = tuple[Sequence[str], Sequence[Sequence[Any]]]
"""A header and rows, such as the codebook."""

MOST_SHEET_ROWS = 1_048_575  # beside the header
MOST_CELL_CHARACTERS = 32_767
MOST_TABLE_ROWS = 2_000_000
STATA_MISSING = {MissingCode.SKIPPED: "a", MissingCode.UNSEEN: "b", MissingCode.UNREADABLE: "c"}
SPSS_LABEL_BYTES, SPSS_VALUE_LABEL_BYTES, STATA_LABEL_CHARACTERS = 256, 120, 80
STATA_VALUE_LABEL_BYTES = 32_000


class TooManyRows(Exception):
    """More rows than a file of this form can hold; the message says which forms can."""


def write_csv(path: Path, columns: Sequence[Column], batches: Batches) -> int:
    """UTF-8 with a header of names. Missing values are empty. Texts that a spreadsheet would compute get a `'` in
    front. Returns the number of rows.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column.name for column in columns])
        count = 0
        for batch in batches:
            writer.writerows([_csv_cell(cell) for cell in row] for row in batch)
            count += len(batch)
    return count


def write_table_csv(path: Path, table: Table) -> None:
    """A table of our own as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table[0])
        writer.writerows([_csv_cell(cell) for cell in row] for row in table[1])


def _csv_cell(cell: Any) -> Any:
    if cell is None or isinstance(cell, MissingCode):
        return ""
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(cell, float) and cell.is_integer():
        return f"{cell:.0f}"
    return harmless(cell) if isinstance(cell, str) else cell


def write_xlsx(path: Path, columns: Sequence[Column], batches: Batches, codebook: Table) -> int:
    """A sheet of answers and one with the codebook; texts are never formulas or links. Raises TooManyRows."""
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": True,
    }
    count = 0
    with xlsxwriter.Workbook(path, options) as book:
        bold = book.add_format({"bold": True})
        time = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        sheet = book.add_worksheet("Answers")
        sheet.freeze_panes(1, 1)
        for place, column in enumerate(columns):
            sheet.write_string(0, place, column.name, bold)
        for batch in batches:
            for row in batch:
                count += 1
                if count > MOST_SHEET_ROWS:
                    raise TooManyRows("A sheet holds 1,048,576 rows; CSV and Parquet files hold any number.")
                _write_cells(sheet, count, row, time)
        sheet = book.add_worksheet("Codebook")
        for line, cells in enumerate((codebook[0], *codebook[1])):
            _write_cells(sheet, line, cells, time)
    return count


def _write_cells(sheet: Any, line: int, row: Sequence[Any], time: Any) -> None:
    for place, cell in enumerate(row):
        if cell is None or isinstance(cell, MissingCode):
            continue
        if isinstance(cell, datetime):
            sheet.write_datetime(line, place, cell.astimezone(UTC).replace(tzinfo=None), time)
        elif isinstance(cell, str):
            sheet.write_string(line, place, cell[:MOST_CELL_CHARACTERS])
        else:
            sheet.write_number(line, place, cell)


_TYPES: dict[Holds, pl.DataType] = {
    Holds.NUMBER: pl.Float64(),
    Holds.TEXT: pl.String(),
    Holds.TIME: pl.Datetime("us", "UTC"),
}


def write_parquet(path: Path, columns: Sequence[Column], batches: Batches) -> int:
    """One schema whatever the rows; missing values are null."""
    schema = {column.name: _TYPES[column.holds] for column in columns}
    with TemporaryDirectory(dir=path.parent) as folder:
        count = 0
        parts: list[Path] = []
        for batch in batches:
            frame = pl.DataFrame([list(map(_plain, row)) for row in batch], schema=schema, orient="row")
            parts.append(Path(folder) / f"{len(parts):06}.parquet")
            frame.write_parquet(parts[-1])
            count += len(batch)
        if parts:
            pl.scan_parquet(parts).sink_parquet(path)
        else:
            pl.DataFrame(schema=schema).write_parquet(path)
    return count


def _plain(cell: Any) -> Any:
    return None if isinstance(cell, MissingCode) else float(cell) if isinstance(cell, int) else cell


def write_sav(path: Path, columns: Sequence[Column], batches: Batches, title: str) -> int:
    """SPSS, with labels of variables and values; why a value is missing is a user-missing code. Raises TooManyRows."""
    frame = _frame(columns, batches, lambda cell: float(cell))
    missing = {column.name for column in columns if column.has_missing}
    codes = [float(code) for code in MissingCode]
    label = _cutter(SPSS_VALUE_LABEL_BYTES)
    pyreadstat.write_sav(
        frame,
        path,
        file_label=_cutter(64)(title),
        column_labels={column.name: _cutter(SPSS_LABEL_BYTES)(column.label) for column in columns},
        variable_value_labels={
            column.name: {float(code): label(text) for code, text in _labels(column, float).items()}
            for column in columns
            if column.codes or column.has_missing
        },
        missing_ranges={name: [{"lo": min(codes), "hi": max(codes)}] for name in missing},
        row_compress=True,
    )
    return frame.height


def write_dta(path: Path, columns: Sequence[Column], batches: Batches, title: str) -> int:
    """Stata, with labels of variables and values; why a value is missing is .a, .b or .c. Raises TooManyRows."""
    frame = _frame(columns, batches, STATA_MISSING.__getitem__, dtype_of_missing=pl.Object())
    label = _cutter(STATA_VALUE_LABEL_BYTES)
    pyreadstat.write_dta(
        frame,
        path,
        file_label=title[:STATA_LABEL_CHARACTERS],
        column_labels={column.name: _shortened(column.label, STATA_LABEL_CHARACTERS) for column in columns},
        variable_value_labels={
            column.name: {code: label(text) for code, text in _labels(column, STATA_MISSING.__getitem__).items()}
            for column in columns
            if column.codes or column.has_missing
        },
        missing_user_values={column.name: [*STATA_MISSING.values()] for column in columns if column.has_missing},
    )
    return frame.height


def _labels(column: Column, missing: Callable[[MissingCode], Any]) -> dict[Any, str]:
    labels: dict[Any, str] = dict(column.codes)
    if column.has_missing:
        labels |= {missing(code): text for code, text in MISSING_LABELS.items()}
    return labels


def _frame(
    columns: Sequence[Column],
    batches: Batches,
    missing: Callable[[MissingCode], Any],
    dtype_of_missing: pl.DataType | None = None,
) -> pl.DataFrame:
    """The whole table. Texts are never null, which Stata does not know. Raises TooManyRows."""
    cells: list[list[Any]] = [[] for _ in columns]
    for batch in batches:
        for row in batch:
            for place, cell in enumerate(row):
                cells[place].append(missing(cell) if isinstance(cell, MissingCode) else cell)
        if len(cells[0]) > MOST_TABLE_ROWS:
            raise TooManyRows("SPSS and Stata files have at most 2,000,000 rows here; Parquet files hold any number.")
    series = []
    for column, values in zip(columns, cells, strict=True):
        match column.holds:
            case Holds.NUMBER if column.has_missing and dtype_of_missing is not None:
                numbers = [float(value) if isinstance(value, int) else value for value in values]
                series.append(pl.Series(column.name, numbers, dtype=dtype_of_missing))
            case Holds.NUMBER:
                series.append(pl.Series(column.name, values, dtype=pl.Float64(), strict=False))
            case Holds.TEXT:
                series.append(pl.Series(column.name, [value or "" for value in values], dtype=pl.String()))
            case Holds.TIME:
                naive = [value and value.astimezone(UTC).replace(tzinfo=None) for value in values]
                series.append(pl.Series(column.name, naive, dtype=pl.Datetime("us")))
    return pl.DataFrame(series)


def _cutter(most_bytes: int) -> Callable[[str], str]:
    """Cuts texts to so many bytes between characters."""

    def cut(text: str) -> str:
        if len(text.encode()) <= most_bytes:
            return text
        return text.encode()[: most_bytes - 3].decode(errors="ignore") + "…"

    return cut


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
