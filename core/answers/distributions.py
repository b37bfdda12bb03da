"""How the questions of a survey were answered: counts for each wording, from tallies kept as answers come (CLAR-56).

A question whose text, options or limits were edited is another wording, and is never mixed with the earlier one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import AnswerTally, Participant, QuestionWording, Submission, SubmittedAnswer, Tallied


@dataclass(frozen=True)
class Spread:
    """How one wording was answered: `options` with the times each was chosen, `numbers` with the times each was given.

    `answered`, `skipped`, `unseen` and `unreadable` count submissions. `number` and `revision` name the variable.
    """

    wording_id: int
    question_id: str
    number: int
    revision: int
    kind: str
    text: str
    field_type: str
    least: float | None
    most: float | None
    answered: int = 0
    skipped: int = 0
    unseen: int = 0
    unreadable: int = 0
    options: list[tuple[str, int]] = field(default_factory=list)
    numbers: list[tuple[float, int]] = field(default_factory=list)

    @property
    def mean(self) -> float | None:
        """The mean of the numbers that were given; None of none."""
        count = sum(times for _, times in self.numbers)
        return sum(number * times for number, times in self.numbers) / count if count else None


def distribution(
    session: Session,
    survey_id: int,
    *,
    participant_id: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    with_test: bool = False,
) -> list[Spread]:
    """Every wording of the survey's questions by number and revision, with its counts; two queries.

    Of everybody, or of one participant. With `since` (included) or `until` (not included), of the submissions of that
    time, which reads each answer. Participants of the study team only `with_test`.
    """
    query = sa.select(QuestionWording).where(QuestionWording.survey_id == survey_id)
    wordings = session.scalars(query.order_by(QuestionWording.number, QuestionWording.revision)).all()
    if since is None and until is None:
        counts = _tallied(survey_id, participant_id, with_test=with_test)
    else:
        counts = _counted(survey_id, participant_id, since, until, with_test=with_test)
    found: dict[int, list[Any]] = {}
    for row in session.execute(counts):
        found.setdefault(row.wording_id, []).append(row)
    return [_spread(wording, found.get(wording.id, ())) for wording in wordings]


def _spread(wording: QuestionWording, rows: Iterable[Any]) -> Spread:
    counts = {(row.tallied, row.value): int(row.count) for row in rows}
    states = (Tallied.ANSWERED, Tallied.SKIPPED, Tallied.UNSEEN, Tallied.UNREADABLE)
    chosen = {value: count for (tallied, value), count in counts.items() if tallied == Tallied.CHOICE}
    numbers = sorted((value, count) for (tallied, value), count in counts.items() if tallied == Tallied.NUMBER)
    answered, skipped, unseen, unreadable = (counts.get((state.value, 0), 0) for state in states)
    return Spread(
        wording.id,
        wording.question_id,
        wording.number,
        wording.revision,
        wording.kind,
        wording.text,
        wording.field_type,
        wording.least,
        wording.most,
        answered,
        skipped,
        unseen,
        unreadable,
        [(text, chosen.get(index, 0)) for index, text in enumerate(wording.options)],
        numbers,
    )


def _tallied(survey_id: int, participant_id: int | None, *, with_test: bool) -> sa.Select[Any]:
    keys = (AnswerTally.wording_id, AnswerTally.tallied, AnswerTally.value)
    of_survey = sa.select(QuestionWording.id).where(QuestionWording.survey_id == survey_id)
    query = sa.select(*keys, sa.func.sum(AnswerTally.count).label("count"))
    query = query.where(AnswerTally.wording_id.in_(of_survey)).group_by(*keys)
    return query.where(*_of_whom(AnswerTally.participant_id, participant_id, with_test=with_test))


def _counted(
    survey_id: int, participant_id: int | None, since: datetime | None, until: datetime | None, *, with_test: bool
) -> sa.Select[Any]:
    """The same from the answers themselves."""
    of_time = sa.select(
        SubmittedAnswer.wording_id, SubmittedAnswer.state, SubmittedAnswer.number, SubmittedAnswer.choices
    ).join(Submission, Submission.id == SubmittedAnswer.submission_id)
    of_time = of_time.where(
        Submission.survey_id == survey_id,
        *_of_whom(Submission.participant_id, participant_id, with_test=with_test),
    )
    if since is not None:
        of_time = of_time.where(Submission.submitted_at >= since)
    if until is not None:
        of_time = of_time.where(Submission.submitted_at < until)
    rows = of_time.cte("rows")
    zero = sa.cast(sa.literal(0), sa.Float)
    chosen = sa.select(rows.c.wording_id, sa.func.unnest(rows.c.choices).label("choice")).subquery()
    parts: Sequence[sa.Select[Any]] = (
        sa.select(rows.c.wording_id, rows.c.state.label("tallied"), zero.label("value")),
        sa.select(chosen.c.wording_id, sa.literal(Tallied.CHOICE.value), sa.cast(chosen.c.choice, sa.Float)),
        sa.select(rows.c.wording_id, sa.literal(Tallied.NUMBER.value), rows.c.number).where(rows.c.number.is_not(None)),
    )
    all_rows = sa.union_all(*parts).subquery()
    keys = (all_rows.c.wording_id, all_rows.c.tallied, all_rows.c.value)
    return sa.select(*keys, sa.func.count().label("count")).group_by(*keys)


def _of_whom(
    column: sa.ColumnElement[int] | Any, participant_id: int | None, *, with_test: bool
) -> list[sa.ColumnElement[bool]]:
    wanted: list[sa.ColumnElement[bool]] = []
    if participant_id is not None:
        wanted.append(column == participant_id)
    if not with_test:
        wanted.append(column.not_in(sa.select(Participant.id).where(Participant.is_test)))
    return wanted
