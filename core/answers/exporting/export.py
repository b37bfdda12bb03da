"""One export of a survey's answers as a file, with its codebook."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from core.answers.codebook import Variable, codebook, score_variables
from core.answers.exporting.columns import Column, Holds, Layout, columns_of
from core.answers.exporting.rows import Wanted, rows_of
from core.answers.exporting.writers import (
    Table,
    TooManyRows,
    write_csv,
    write_dta,
    write_parquet,
    write_sav,
    write_table_csv,
    write_xlsx,
)
from core.answers.rules.variables import MISSING_LABELS
from core.answers.versions import versions_of
from core.models import Survey


class Form(StrEnum):
    """The forms of files, which are also their endings: sav is SPSS, dta Stata."""

    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"
    SAV = "sav"
    DTA = "dta"


class ExportRefused(Exception):
    """The file cannot be made; the message says why."""


@dataclass(frozen=True)
class Exported:
    """What was written: the rows of the file, and where the codebook is (in an XLSX file, as a sheet)."""

    path: Path
    codebook: Path
    rows: int
    columns: int


CODEBOOK = (
    "variable",
    "question_id",
    "kind",
    "label",
    "code",
    "meaning",
    "least",
    "most",
    "versions",
    "first_asked_at",
    "answered",
    "skipped",
    "unseen",
    "unreadable",
)


def export_answers(
    session: Session, survey: Survey, wanted: Wanted, form: Form, layout: Layout, path: Path
) -> Exported:
    """Writes the answers that the session may see to a file, and its codebook beside it. Raises ExportRefused.

    A file that cannot be finished is removed.
    """
    versions = versions_of(session, [survey.id]).get(survey.id, [])
    numbers = {version.id: place for place, version in enumerate(versions, 1)}
    book = codebook(session, survey.id, with_test=wanted.with_test)
    scores = score_variables(session, survey.id)
    columns = columns_of(layout, book, scores, with_texts=wanted.with_texts)
    title, name = f"{survey.name or 'Survey'} ({survey.object_id})", path.stem
    batches = (batch for batch in rows_of(session, wanted, layout, columns, book, numbers) if batch)
    described = codebook_table(book, columns)
    beside = path if form is Form.XLSX else path.with_name(f"{name}_codebook.csv")
    try:
        match form:
            case Form.CSV:
                count = write_csv(path, columns, batches)
            case Form.XLSX:
                count = write_xlsx(path, columns, batches, described)
            case Form.PARQUET:
                count = write_parquet(path, columns, batches)
            case Form.SAV:
                count = write_sav(path, columns, batches, title)
            case Form.DTA:
                count = write_dta(path, columns, batches, title)
    except TooManyRows as error:
        path.unlink(missing_ok=True)
        raise ExportRefused(str(error)) from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    if form is not Form.XLSX:
        write_table_csv(beside, described)
    return Exported(path, beside, count, len(columns))


def codebook_table(book: Sequence[Variable], columns: Sequence[Column]) -> Table:
    """A row for each variable and code: those of questions, then all other columns, then codes of missing values."""
    rows: list[list[Any]] = []
    of_questions = set()
    for variable in book:
        of_questions |= {variable.name, *variable.names}
        at = variable.first_asked_at.isoformat() if variable.first_asked_at else None
        about = [variable.least, variable.most, " ".join(map(str, variable.versions)), at]
        counts = [variable.answered, variable.skipped, variable.unseen, variable.unreadable]
        names = variable.names if len(variable.names) == len(variable.codes) else [variable.name] * len(variable.codes)
        start = [variable.question_id, variable.kind, variable.text]
        rows.append([variable.name, *start, None, None, *about, *counts])
        for name, (code, text) in zip(names, variable.codes, strict=True):
            rows.append([name, *start, code, text, *[None] * 8])
    others = [column for column in columns if column.name not in of_questions]
    rows += [[column.name, None, column.holds.value, column.label, *[None] * 10] for column in others]
    if any(column.has_missing for column in columns):
        rows += [
            [None, None, Holds.NUMBER.value, None, code.value, text, *[None] * 8]
            for code, text in MISSING_LABELS.items()
        ]
    return CODEBOOK, rows
