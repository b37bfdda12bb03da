"""The bytes of an export's file, by kind and form."""

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.exporting import ExportRefused, Form, Layout, export_answers
from core.answers.exporting.rows import Wanted
from core.downloads.query import DataQuery
from core.downloads.sizes import count_members
from core.downloads.zip_stream import ZipContents
from core.exports.choice import ExportChoice
from core.exports.events import write_events
from core.exports.parquet_files import TABLE_STREAMS, parquet_pieces
from core.exports.refusals import ExportImpossible
from core.models import Export, ExportKind, Study, Survey
from core.storage import SealedStore

PIECE_BYTES = 1 << 20
NO_SURVEY = "The survey is not there any more."


def contents_of(
    session: Session,
    sealed: SealedStore,
    study: Study,
    export: Export,
    choice: ExportChoice,
    participants: Sequence[tuple[int, str]],
    folder: Path,
    on_file: Callable[[Any], None],
) -> Generator[bytes, None, None]:
    """The file in pieces. The session sees only those whom the person may see; `folder` takes what memory cannot.

    `on_file` is called for each file that is read. Raises ExportImpossible, StoreUnavailable, OSError.
    """
    match ExportKind(export.kind):
        case ExportKind.STREAMS:
            yield from _streams(session, sealed, study, export.form, choice, participants, folder, on_file)
        case ExportKind.EVENTS:
            yield from _in_pieces(write_events(session, study.id, choice, export.form, folder))
        case ExportKind.ANSWERS:
            yield from _in_pieces(_answers(session, study, choice, export.form, folder))


def count_files(
    session: Session, export: Export, choice: ExportChoice, participants: Sequence[tuple[int, str]]
) -> int | None:
    """How many files will be read; None where progress is not counted in files."""
    if export.kind != ExportKind.STREAMS.value:
        return None
    return count_members(session, [number for number, _ in participants], _query(export.form, choice))


def _streams(
    session: Session,
    sealed: SealedStore,
    study: Study,
    form: str,
    choice: ExportChoice,
    participants: Sequence[tuple[int, str]],
    folder: Path,
    on_file: Callable[[Any], None],
) -> Iterator[bytes]:
    engine, query = session.get_bind(), _query(form, choice)
    assert isinstance(engine, sa.Engine)
    if form == "csv":
        yield from ZipContents(engine, sealed, study, participants, query, has_registry=False, on_file=on_file).pieces()
    else:
        yield from parquet_pieces(engine, sealed, study, participants, query, folder, on_file)


def _query(form: str, choice: ExportChoice) -> DataQuery:
    """For Parquet, only streams whose files are tables."""
    if form == "csv":
        return choice.query(choice.streams)
    return choice.query(tuple(stream for stream in choice.streams or TABLE_STREAMS if stream in TABLE_STREAMS))


def _answers(session: Session, study: Study, choice: ExportChoice, form: str, folder: Path) -> Path:
    survey = session.scalar(sa.select(Survey).where(Survey.id == choice.survey_id, Survey.study_id == study.id))
    if survey is None:
        raise ExportImpossible(NO_SURVEY)
    wanted = Wanted(
        survey.id, choice.start_at, choice.end_at, None, with_test=choice.with_test, with_texts=choice.with_texts
    )
    path = folder / f"answers.{form}"
    try:
        export_answers(session, survey, wanted, Form(form), Layout(choice.layout or Layout.WIDE.value), path)
    except ExportRefused as error:
        raise ExportImpossible(str(error)) from error
    return path


def _in_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
