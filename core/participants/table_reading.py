"""Reading a CSV file of participants: which columns it has, and what each line gives (CLAR-38)."""

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy.orm import Session

from core.models import Study
from core.participants.changing import checked_external_id
from core.participants.columns import Column, columns_of_study
from core.participants.editing import LONGEST_VALUE, read_date
from core.participants.refusals import ParticipantRefused
from core.participants.table_file import LAST_TIMES, without_harmless_mark

MOST_BYTES = 32 << 20
ID_HEADING = "patient id"
EXTERNAL_HEADING = "external id"
EXTERNAL = Column("external", "External id")
# Columns of the exported table that nobody can change; they may stay in the file.
READ_ONLY = {h.lower() for h in ("Created On", "Status", "OS Type", "First Registration Date", *LAST_TIMES)}


class FileRefused(Exception):
    """The file cannot be used at all; the message says why."""


@dataclass(frozen=True)
class LineError:
    """What is wrong with one line of the file; the header is line 1."""

    line: int
    message: str


@dataclass
class TableLine:
    """One participant's line: its number in the file, and values by column name; absent ones are left alone."""

    line: int
    patient_id: str
    values: dict[str, str | date | None] = field(default_factory=dict)


@dataclass
class ReadTable:
    """A file as read. `ignored` are headings of columns that cannot be changed; `digest` identifies the bytes."""

    digest: str
    columns: list[Column]
    ignored: list[str]
    lines: list[TableLine]
    errors: list[LineError]

    def refuse(self, line: int, message: str) -> None:
        """Notes what is wrong; only the first hundred are kept apart."""
        self.errors.append(LineError(line, message))


def read_table(session: Session, study: Study, data: bytes, *, clears: bool, needs_ids: bool = True) -> ReadTable:
    """Reads the file: UTF-8, comma or semicolon, a header of names. Raises FileRefused.

    `clears`: empty cells remove the value; else they change nothing. `needs_ids`: each line names a participant, in
    the column `Patient ID`; without it, lines stand for participants to be added.
    """
    rows = _rows(data)
    header = next(rows, (0, []))[1]
    headings = [heading.strip() for heading in header]
    table = ReadTable(hashlib.sha256(data).hexdigest(), [], [], [], [])
    by_place = _columns(session, study, headings, table, needs_ids=needs_ids)
    id_place = next((place for place, h in enumerate(headings) if h.lower() == ID_HEADING), None)
    seen: dict[str, int] = {}
    for line, cells in rows:
        if len(cells) != len(headings):
            table.refuse(line, f"{len(headings)} cells are expected, as in the header; there are {len(cells)}.")
            continue
        patient_id = cells[id_place].strip().lower() if needs_ids and id_place is not None else ""
        if needs_ids and (problem := _problem_of_id(patient_id, seen, line)):
            table.refuse(line, problem)
            continue
        values = _values_of(cells, by_place, table, line, clears=clears)
        table.lines.append(TableLine(line, patient_id, values))
    if not table.lines and not table.errors:
        raise FileRefused("There is no line below the header.")
    return table


def _rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Lines with their numbers, without empty ones. Raises FileRefused."""
    if len(data) > MOST_BYTES:
        raise FileRefused("A file has at most 32 MiB.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileRefused(f"The file is not UTF-8 (byte {error.start + 1}). Save it as “CSV UTF-8”.") from None
    if "\0" in text:
        raise FileRefused("The file holds NUL characters, so it is no CSV file.")
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",")
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise FileRefused(f"Line {reader.line_num}: {error}.") from None


def _columns(
    session: Session, study: Study, headings: Sequence[str], table: ReadTable, *, needs_ids: bool
) -> dict[int, Column]:
    """Which column stands where. Raises FileRefused for a header that cannot be understood."""
    lower = [heading.lower() for heading in headings]
    if needs_ids and lower.count(ID_HEADING) != 1:
        raise FileRefused("The header has one column “Patient ID”.")
    if twice := next((h for n, h in enumerate(lower) if h and h in lower[:n]), None):
        raise FileRefused(f"The column “{twice}” is there twice.")
    known = {c.heading.lower(): c for c in columns_of_study(session, study.id) if c.is_value}
    known[EXTERNAL_HEADING] = EXTERNAL
    by_place: dict[int, Column] = {}
    unknown = []
    for place, heading in enumerate(headings):
        name = without_harmless_mark(heading).lower()
        if name in known:
            by_place[place] = known[name]
        elif name in READ_ONLY or name in ("", ID_HEADING):
            table.ignored += [heading] if name in READ_ONLY else []
        else:
            unknown.append(heading)
    if unknown:
        allowed = ", ".join(f"“{column.heading}”" for column in known.values())
        raise FileRefused(f"“{unknown[0]}” is neither a custom field nor an intervention. There are: {allowed}.")
    table.columns = list(by_place.values())
    if not by_place and needs_ids:
        raise FileRefused("No column is a custom field, an intervention or an external id.")
    return by_place


def _problem_of_id(patient_id: str, seen: dict[str, int], line: int) -> str:
    if not patient_id:
        return "The patient id is missing."
    if patient_id in seen:
        return f"{patient_id} is in line {seen[patient_id]} already."
    seen[patient_id] = line
    return ""


def _values_of(
    cells: Sequence[str], by_place: dict[int, Column], table: ReadTable, line: int, *, clears: bool
) -> dict[str, str | date | None]:
    """The values of a line. An empty cell is left out unless it removes the value."""
    values: dict[str, str | date | None] = {}
    for place, column in by_place.items():
        text = without_harmless_mark(cells[place].strip())
        if not text and not clears:
            continue
        try:
            if column is EXTERNAL:
                values[column.name] = checked_external_id(text)
            elif column.is_field:
                values[column.name] = text or None
                if len(text) > LONGEST_VALUE:
                    raise ParticipantRefused(f"A value has at most {LONGEST_VALUE:,} characters.")
            else:
                values[column.name] = read_date(text)
        except ParticipantRefused as refused:
            table.refuse(line, f"{column.heading}: {refused}")
    return values
