"""The newest survey answers of a participant, read from raw files (PHONE-62)."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.reading import AnswerState, ReadAnswer, number_in
from core.answers.reading import read_answers as rows_of
from core.crypto.seal import SealBroken
from core.models import Survey, UploadRecord
from core.storage import ObjectMissing, SealedStore
from core.streams import SPECS, BadFileTime, DataStream
from core.streams.paths import file_time

log = logging.getLogger(__name__)

FILES_OF_A_SURVEY = 7
MOST_SURVEYS = 20
MOST_FILE_BYTES = 128 << 10  # real ones have a few kB


@dataclass(frozen=True)
class Answer:
    """One row of an answer file. Holds a numeric answer, or None, and a slider's least and greatest value."""

    question_id: str
    question: str
    number: float | None
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class AnswerFile:
    """The file of one answered survey. `answers` is None until the file is read, and if it is unreadable."""

    survey_id: str
    survey_name: str
    path: str
    answered_at: datetime
    answers: tuple[Answer, ...] | None = None


def newest_answer_files(session: Session, participant_id: int, now: datetime) -> list[AnswerFile]:
    """The last seven files of each survey, most recently answered survey first, then newest file first.

    Leaves out files too large to be answer files. One query; opens no file.
    """
    survey_id = sa.func.split_part(UploadRecord.path, "/", 4)
    newest_first = sa.desc(UploadRecord.received_at), sa.desc(UploadRecord.id)
    ranked = (
        sa.select(
            UploadRecord.path,
            UploadRecord.received_at,
            survey_id.label("survey_id"),
            sa.func.row_number().over(partition_by=survey_id, order_by=newest_first).label("place"),
            sa.func.max(UploadRecord.received_at).over(partition_by=survey_id).label("last"),
        )
        .where(
            UploadRecord.participant_id == participant_id,
            UploadRecord.stream == SPECS[DataStream.SURVEY_ANSWERS].number,
            UploadRecord.size_bytes <= MOST_FILE_BYTES,
            sa.func.split_part(UploadRecord.path, "/", 5) != "",
        )
        .subquery()
    )
    query = (
        sa.select(ranked.c.path, ranked.c.received_at, ranked.c.survey_id, Survey.name)
        .join(Survey, Survey.object_id == ranked.c.survey_id, isouter=True)
        .where(ranked.c.place <= FILES_OF_A_SURVEY)
        .order_by(ranked.c.last.desc(), ranked.c.survey_id, ranked.c.place)
        .limit(MOST_SURVEYS * FILES_OF_A_SURVEY)
    )
    return [
        AnswerFile(survey_id, name or "", path, _answered_at(path, received_at, now))
        for path, received_at, survey_id, name in session.execute(query).tuples()
    ]


def read_answers(store: SealedStore, files: Iterable[AnswerFile], seconds: float) -> list[AnswerFile]:
    """The files with their answers, as many as can be read in so many seconds. Raises StoreUnavailable.

    A file that is gone, or whose seal is broken, stays without answers, and is logged.
    """
    until = time.monotonic() + seconds
    return [_read(store, file) if time.monotonic() < until else file for file in files]


def answers_in(contents: bytes) -> tuple[Answer, ...]:
    """The rows of an answer file that have an id; other lines are skipped."""
    return tuple(map(_answer, rows_of(contents)))


def _read(store: SealedStore, file: AnswerFile) -> AnswerFile:
    try:
        return replace(file, answers=answers_in(store.read(file.path)[0]))
    except (ObjectMissing, SealBroken) as error:
        log.error("integrity: an answer file cannot be shown: %s %s", type(error).__name__, file.path)
        return file


def _answer(row: ReadAnswer) -> Answer:
    """A radio button has the number that its answer's text is, or the index that the app has written."""
    number = row.number
    if number is None and row.state is AnswerState.ANSWERED:
        chosen = row.options[row.indices[0]] if row.kind == "radio_button" else row.text
        number = number_in(chosen)
        number = number_in(row.text) if number is None else number
    return Answer(row.question_id, row.question, number, row.limits)


def _answered_at(path: str, received_at: datetime, now: datetime) -> datetime:
    try:
        return file_time(path, now)
    except BadFileTime:
        return received_at
