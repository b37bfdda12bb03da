"""The rows of an export, some submissions at a time, so that memory stays bounded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.codebook import Variable
from core.answers.exporting.columns import Column, Layout, is_number
from core.answers.reading import AnswerState
from core.answers.rules.variables import LISTS_OF_SEVERAL, MissingCode
from core.answers.submitted import ShownAnswer, ShownSubmission, answers_of, shown_submissions
from core.models import Participant, Standing, Submission

SUBMISSIONS_AT_ONCE = 1_000
_MISSING = {
    AnswerState.SKIPPED: MissingCode.SKIPPED,
    AnswerState.UNSEEN: MissingCode.UNSEEN,
    AnswerState.UNREADABLE: MissingCode.UNREADABLE,
}
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Wanted:
    """Which submissions of a survey: from `since` (included) to `until` (not included), of one participant or all,
    those of the study team `with_test`; `with_texts` also what was typed.
    """

    survey_id: int
    since: datetime | None = None
    until: datetime | None = None
    participant_id: int | None = None
    with_test: bool = False
    with_texts: bool = False


def rows_of(
    session: Session,
    wanted: Wanted,
    layout: Layout,
    columns: Sequence[Column],
    book: Sequence[Variable],
    versions: Mapping[int, int],
) -> Iterator[list[Row]]:
    """Batches of rows in the order of submission, each with a cell per column; a cell is a number, text, time or None,
    or a MissingCode. `versions` are the numbers that versions have in exports. Files sent twice are left out.
    """
    variables = {variable.wording_id: variable for variable in book}
    names = [column.name for column in columns]
    for ids in _pages(session, wanted):
        texts = answers_of(session, ids, with_texts=True) if wanted.with_texts else {}
        batch: list[Row] = []
        for each in reversed(shown_submissions(session, ids)):
            answers = texts.get(each.id, each.answers)
            about = _about(each, versions)
            cells = _long(answers, variables) if layout is Layout.LONG else [_wide(each, answers, variables)]
            batch += [tuple((about | row).get(name) for name in names) for row in cells]
        session.expunge_all()
        yield batch


def _pages(session: Session, wanted: Wanted) -> Iterator[Sequence[int]]:
    last: tuple[datetime, int] | None = None
    query = sa.select(Submission.submitted_at, Submission.id).where(
        Submission.survey_id == wanted.survey_id, Submission.standing != Standing.DUPLICATE.value
    )
    if wanted.since is not None:
        query = query.where(Submission.submitted_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(Submission.submitted_at < wanted.until)
    if wanted.participant_id is not None:
        query = query.where(Submission.participant_id == wanted.participant_id)
    if not wanted.with_test:
        query = query.where(Submission.participant_id.not_in(sa.select(Participant.id).where(Participant.is_test)))
    query = query.order_by(Submission.submitted_at, Submission.id).limit(SUBMISSIONS_AT_ONCE)
    while True:
        page = query if last is None else query.where(sa.tuple_(Submission.submitted_at, Submission.id) > last)
        found = session.execute(page).tuples().all()
        if not found:
            return
        yield [number for _, number in found]
        last = found[-1]


def _about(each: ShownSubmission, versions: Mapping[int, int]) -> dict[str, Any]:
    return {
        "patient_id": each.patient_id,
        "submission_id": each.id,
        "submitted_at": each.submitted_at,
        "received_at": each.received_at,
        "asked_at": each.asked_at,
        "standing": each.standing.value,
        "survey_version": versions.get(each.survey_version_id or 0),
        "platform": each.os_type,
        "app_version": each.app_version or None,
        "problem": each.problem,
        "file": each.path,
    }


def _wide(each: ShownSubmission, answers: Sequence[ShownAnswer], variables: Mapping[int, Variable]) -> dict[str, Any]:
    cells: dict[str, Any] = {score.variable: score.value for score in each.scores}
    for answer in answers:
        variable = variables.get(answer.wording_id)
        if variable is None:  # it came while the export was written, after its codebook
            continue
        if variable.kind == LISTS_OF_SEVERAL:
            missing = _MISSING.get(answer.state)
            for code, name in enumerate(variable.names):
                cells[name] = missing if missing is not None else int(code in answer.choices)
        elif is_number(variable):
            cells[variable.name] = _number(answer)
        else:
            cells[variable.name] = answer.text or None
    return cells


def _number(answer: ShownAnswer) -> float | int | MissingCode:
    if answer.state is not AnswerState.ANSWERED:
        return _MISSING[answer.state]
    if answer.choices:
        return answer.choices[0]
    return MissingCode.UNREADABLE if answer.number is None else answer.number


def _long(answers: Sequence[ShownAnswer], variables: Mapping[int, Variable]) -> list[dict[str, Any]]:
    rows = []
    for answer in answers:
        variable = variables.get(answer.wording_id)
        if variable is None:
            continue
        is_one = variable.kind != LISTS_OF_SEVERAL and answer.choices
        rows.append(
            {
                "variable": variable.name,
                "question_id": answer.question_id,
                "question": answer.question,
                "state": answer.state.value,
                "value": answer.choices[0] if is_one else answer.number,
                "chosen_codes": " ".join(map(str, answer.choices)) or None,
                "chosen": "\n".join(answer.chosen) or None,
                "text": answer.text or None,
            }
        )
    return rows
