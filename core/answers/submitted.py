"""Submissions with their answers, ready to show: of one participant over time, or the newest of a survey."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, undefer

from core.answers.reading import AnswerState
from core.answers.texts import open_texts
from core.bulk import is_one_of
from core.crypto.seal import SealBroken
from core.models import (
    CountedEvent,
    Participant,
    QuestionWording,
    Score,
    ScoreValue,
    ScoreVersion,
    Standing,
    Study,
    Submission,
    SubmittedAnswer,
)


@dataclass(frozen=True)
class ShownAnswer:
    """One answer. `choices` are indices of the wording's options, and `chosen` their texts. `text` is what was typed,
    or could not be mapped; empty where texts were not asked for. `ends` are the least and greatest number that the
    wording allows, if it has such: the first and last index of its options, or the ends of a slider.
    """

    wording_id: int
    question_id: str
    variable_number: int
    revision: int
    kind: str
    question: str
    state: AnswerState
    number: float | None
    choices: tuple[int, ...]
    chosen: tuple[str, ...]
    text: str = ""
    ends: tuple[float, float] | None = None


@dataclass(frozen=True)
class ShownScore:
    """The value of a score by its newest version that was computed; None where too few items were answered."""

    score_id: int
    name: str
    variable: str
    version: int
    value: float | None
    items_answered: int


@dataclass(frozen=True)
class ShownSubmission:
    """One submission. `path` is the raw file behind it; `asked_at` is when its event counted, None without one."""

    id: int
    patient_id: str
    path: str
    survey_id: int | None
    survey_version_id: int | None
    is_recording: bool
    submitted_at: datetime
    received_at: datetime
    os_type: str | None
    app_version: str
    standing: Standing
    problem: str | None
    asked_at: datetime | None
    answers: tuple[ShownAnswer, ...] = ()
    scores: tuple[ShownScore, ...] = ()


def submissions_of(
    session: Session,
    survey_id: int,
    *,
    participant_id: int | None = None,
    before: tuple[datetime, int] | None = None,
    limit: int = 50,
    only_problems: bool = False,
    with_test: bool = True,
) -> list[ShownSubmission]:
    """The newest submissions of a survey, of everybody or one participant, with answers and scores, without texts.

    `before` is (submitted_at, id) of the last row of the page before. Five queries.
    """
    query = sa.select(Submission.id).where(Submission.survey_id == survey_id)
    if participant_id is not None:
        query = query.where(Submission.participant_id == participant_id)
    if before is not None:
        query = query.where(sa.tuple_(Submission.submitted_at, Submission.id) < before)
    if only_problems:
        query = query.where(sa.or_(Submission.problem.is_not(None), Submission.unreadable > 0))
    if not with_test:
        query = query.where(Submission.participant_id.not_in(sa.select(Participant.id).where(Participant.is_test)))
    ids = session.scalars(query.order_by(Submission.submitted_at.desc(), Submission.id.desc()).limit(limit)).all()
    return shown_submissions(session, ids)


def shown_submissions(session: Session, ids: Collection[int]) -> list[ShownSubmission]:
    """These submissions with answers and scores, newest first; those that the session may not see are left out."""
    if not ids:
        return []
    asked = sa.select(CountedEvent.submission_id, sa.func.min(CountedEvent.counts_at).label("asked_at"))
    asked_at = asked.where(is_one_of(CountedEvent.submission_id, ids)).group_by(CountedEvent.submission_id).subquery()
    query = (
        sa.select(Submission, Participant.patient_id, asked_at.c.asked_at)
        .join(Participant, Participant.id == Submission.participant_id)
        .outerjoin(asked_at, asked_at.c.submission_id == Submission.id)
        .where(is_one_of(Submission.id, ids))
        .order_by(Submission.submitted_at.desc(), Submission.id.desc())
    )
    answers, scores = answers_of(session, ids), scores_of(session, ids)
    return [
        ShownSubmission(
            row.id,
            patient_id,
            row.path,
            row.survey_id,
            row.survey_version_id,
            row.is_recording,
            row.submitted_at,
            row.received_at,
            row.os_type,
            row.app_version,
            Standing(row.standing),
            row.problem,
            at,
            answers.get(row.id, ()),
            scores.get(row.id, ()),
        )
        for row, patient_id, at in session.execute(query).tuples()
    ]


def answers_of(
    session: Session, ids: Collection[int], *, with_texts: bool = False
) -> dict[int, tuple[ShownAnswer, ...]]:
    """Answers by submission, in the order of the file; two queries, or three `with_texts`, which are then opened.

    Texts whose seal is broken are left empty.
    """
    texts = _texts(session, ids) if with_texts else {}
    query = (
        sa.select(
            SubmittedAnswer.submission_id,
            SubmittedAnswer.place,
            SubmittedAnswer.wording_id,
            SubmittedAnswer.state,
            SubmittedAnswer.number,
            SubmittedAnswer.choices,
        )
        .where(is_one_of(SubmittedAnswer.submission_id, ids))
        .order_by(SubmittedAnswer.submission_id, SubmittedAnswer.place)
    )
    rows = session.execute(query).tuples().all()
    wanted = sa.select(QuestionWording).where(is_one_of(QuestionWording.id, {row[2] for row in rows}))
    wordings = {wording.id: wording for wording in session.scalars(wanted)}
    found: dict[int, list[ShownAnswer]] = {}
    for number, place, wording_id, state, given, choices in rows:
        text = texts.get(number, {}).get(place, "") if texts else ""
        found.setdefault(number, []).append(_shown(wordings[wording_id], state, given, choices or (), text))
    return {number: tuple(answers) for number, answers in found.items()}


def scores_of(session: Session, ids: Collection[int]) -> dict[int, tuple[ShownScore, ...]]:
    """The scores of submissions, each by its newest version that has a value for it; one query."""
    newest = (
        sa.select(
            ScoreValue.submission_id,
            ScoreValue.value,
            ScoreValue.items_answered,
            Score.id,
            Score.name,
            Score.variable,
            ScoreVersion.number,
        )
        .join(ScoreVersion, ScoreVersion.id == ScoreValue.score_version_id)
        .join(Score, Score.id == ScoreVersion.score_id)
        .where(is_one_of(ScoreValue.submission_id, ids), Score.removed_at.is_(None))
        .distinct(ScoreValue.submission_id, Score.id)
        .order_by(ScoreValue.submission_id, Score.id, ScoreVersion.number.desc())
    )
    found: dict[int, list[ShownScore]] = {}
    for row in session.execute(newest):
        score = ShownScore(row.id, row.name, row.variable, row.number, row.value, row.items_answered)
        found.setdefault(row.submission_id, []).append(score)
    return {number: tuple(scores) for number, scores in found.items()}


def _shown(
    wording: QuestionWording, state: str, number: float | None, choices: Sequence[int], text: str
) -> ShownAnswer:
    return ShownAnswer(
        wording.id,
        wording.question_id,
        wording.number,
        wording.revision,
        wording.kind,
        wording.text,
        AnswerState(state),
        number,
        tuple(choices),
        tuple(wording.options[index] for index in choices if index < len(wording.options)),
        text,
        _ends(wording),
    )


def _ends(wording: QuestionWording) -> tuple[float, float] | None:
    if wording.options:
        return 0.0, len(wording.options) - 1.0
    return None if wording.least is None or wording.most is None else (wording.least, wording.most)


def _texts(session: Session, ids: Collection[int]) -> dict[int, dict[int, str]]:
    query = (
        sa.select(Submission.id, Submission.path, Submission.sealed_texts, Study)
        .join(Participant, Participant.id == Submission.participant_id)
        .join(Study, Study.id == Participant.study_id)
        .where(is_one_of(Submission.id, ids), Submission.sealed_texts.is_not(None))
        .options(undefer(Study.encryption_key))
    )
    found: dict[int, dict[int, str]] = {}
    rows: Any = session.execute(query).tuples()
    for number, path, sealed, study in rows:
        try:
            found[number] = open_texts(study, path, sealed)
        except SealBroken:
            continue
    return found
