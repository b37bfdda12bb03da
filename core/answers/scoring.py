"""Computes scores of submissions: of those that just came, and of all of a survey in bounded memory (CLAR-57)."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.reading import AnswerState
from core.answers.rules.scoring import GivenAnswer, ScoreDefinition, definition_from, score_of
from core.bulk import is_one_of
from core.models import QuestionWording, Score, ScoreRun, ScoreVersion, Submission, SubmittedAnswer

SUBMISSIONS_AT_ONCE = 5_000


@dataclass(frozen=True)
class CurrentScore:
    """The newest version of a score, by which submissions of its survey are scored."""

    score_id: int
    survey_id: int
    version_id: int
    definition: ScoreDefinition


@dataclass(frozen=True)
class RunProgress:
    """How far a recalculation is."""

    run_id: int
    submissions: int
    changed: int
    is_done: bool


def current_scores(session: Session, survey_ids: Collection[int] | None = None) -> list[CurrentScore]:
    """The scores that are computed, of these surveys or of all; one query."""
    query = (
        sa.select(Score.id, Score.survey_id, ScoreVersion.id, ScoreVersion.definition)
        .join(ScoreVersion, ScoreVersion.score_id == Score.id)
        .where(Score.removed_at.is_(None))
        .distinct(Score.id)
        .order_by(Score.id, ScoreVersion.number.desc())
    )
    if survey_ids is not None:
        query = query.where(is_one_of(Score.survey_id, survey_ids))
    rows = session.execute(query).tuples()
    return [CurrentScore(score, survey, version, definition_from(text)) for score, survey, version, text in rows]


def score_submissions(session: Session, ids: Collection[int]) -> None:
    """Computes the scores of these submissions; two queries and a statement, one query where no survey has a score.

    The caller commits.
    """
    if not ids:
        return
    of_these = sa.select(Submission.survey_id).where(is_one_of(Submission.id, ids), Submission.survey_id.is_not(None))
    scores = current_scores(session, set(filter(None, session.scalars(of_these.distinct()))))
    if scores:
        _write(session, list(_values(session, scores, sorted(ids))), None)


def continue_run(session: Session, run_id: int) -> RunProgress:
    """Computes the next 5,000 submissions of a recalculation; commits. It can be killed and continued anywhere."""
    run = session.get_one(ScoreRun, run_id, with_for_update=True)
    version = session.get_one(ScoreVersion, run.score_version_id)
    survey_id = session.get_one(Score, version.score_id).survey_id
    score = CurrentScore(version.score_id, survey_id, version.id, definition_from(version.definition))
    query = sa.select(Submission.id).where(
        Submission.survey_id == score.survey_id, Submission.id > run.last_submission_id, Submission.answered > 0
    )
    ids = session.scalars(query.order_by(Submission.id).limit(SUBMISSIONS_AT_ONCE)).all()
    if run.ended_at is None and ids:
        run.changed += _write(session, list(_values(session, [score], ids)), run.id)
        run.submissions, run.last_submission_id = run.submissions + len(ids), ids[-1]
    elif run.ended_at is None:
        run.ended_at = datetime.now(UTC)
    progress = RunProgress(run.id, run.submissions, run.changed, run.ended_at is not None)
    session.commit()
    return progress


def compute_open_runs(session: Session, survey_id: int | None = None) -> list[RunProgress]:
    """Works off the recalculations that were asked for, of one survey or of all; commits. Their progress at the end."""
    done = []
    for number in open_runs(session, survey_id):
        progress = continue_run(session, number)
        while not progress.is_done:
            progress = continue_run(session, number)
        done.append(progress)
    return done


def open_runs(session: Session, survey_id: int | None = None) -> list[int]:
    """Numbers of recalculations that are not done, oldest first."""
    query = sa.select(ScoreRun.id).where(ScoreRun.ended_at.is_(None)).order_by(ScoreRun.id)
    if survey_id is not None:
        query = query.join(ScoreVersion).join(Score, Score.id == ScoreVersion.score_id)
        query = query.where(Score.survey_id == survey_id)
    return list(session.scalars(query))


_Value = tuple[int, int, int, float | None, int]
"""Submission, version of the score, participant, value, items answered."""


def _values(session: Session, scores: Sequence[CurrentScore], ids: Sequence[int]) -> Iterator[_Value]:
    """The values of submissions that have a row for at least one item."""
    by_survey: dict[int, list[CurrentScore]] = {}
    for score in scores:
        by_survey.setdefault(score.survey_id, []).append(score)
    items = set().union(*(score.definition.question_ids for score in scores))
    wanted = sa.select(QuestionWording).where(
        is_one_of(QuestionWording.survey_id, by_survey), is_one_of(QuestionWording.question_id, items)
    )
    wordings = {wording.id: wording for wording in session.scalars(wanted)}
    answers = (
        sa.select(
            SubmittedAnswer.submission_id,
            SubmittedAnswer.participant_id,
            SubmittedAnswer.wording_id,
            SubmittedAnswer.state,
            SubmittedAnswer.number,
            SubmittedAnswer.choices,
        )
        .where(is_one_of(SubmittedAnswer.submission_id, ids), is_one_of(SubmittedAnswer.wording_id, wordings))
        .order_by(SubmittedAnswer.submission_id)
    )
    for submission_id, group in groupby(session.execute(answers), key=lambda row: row[0]):
        rows = list(group)
        given = _given(rows, wordings)
        for score in by_survey[wordings[rows[0].wording_id].survey_id]:
            if any(wordings[row.wording_id].question_id in score.definition.question_ids for row in rows):
                scored = score_of(score.definition, given)
                yield submission_id, score.version_id, rows[0].participant_id, scored.value, scored.items_answered


def _given(rows: Iterable[sa.Row[Any]], wordings: Mapping[int, QuestionWording]) -> dict[str, GivenAnswer]:
    found = {}
    for row in rows:
        if row.state == AnswerState.ANSWERED.value:
            wording = wordings[row.wording_id]
            found[wording.question_id] = GivenAnswer(
                wording.kind, len(wording.options), wording.least, wording.most, row.number, row.choices
            )
    return found


_UPSERT = sa.text(
    """
    INSERT INTO score_values AS v (submission_id, score_version_id, participant_id, value, items_answered, run_id)
    SELECT g.*, CAST(:run AS bigint) FROM unnest(CAST(:submissions AS bigint[]), CAST(:versions AS bigint[]),
        CAST(:participants AS bigint[]), CAST(:numbers AS double precision[]), CAST(:answered AS smallint[])) AS g
    ON CONFLICT (submission_id, score_version_id) DO UPDATE
    SET value = EXCLUDED.value, items_answered = EXCLUDED.items_answered, run_id = EXCLUDED.run_id, computed_at = now()
    WHERE (v.value, v.items_answered) IS DISTINCT FROM (EXCLUDED.value, EXCLUDED.items_answered)
    """
)


def _write(session: Session, values: Sequence[_Value], run_id: int | None) -> int:
    """Stores values; how many were new or different."""
    if not values:
        return 0
    names = ("submissions", "versions", "participants", "numbers", "answered")
    given: dict[str, Any] = dict(zip(names, map(list, zip(*values, strict=True)), strict=True))
    return session.execute(_UPSERT, given | {"run": run_id}).rowcount  # type: ignore[attr-defined,no-any-return]
