"""The codebook of a survey: what each variable is, its texts and codes, and where it was seen."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.distributions import distribution
from core.answers.rules.variables import LISTS_OF_SEVERAL, variable_name
from core.answers.versions import versions_of
from core.models import QuestionWording, Score


@dataclass(frozen=True)
class Variable:
    """One wording of a question. `codes` are its options with the numbers that answers have, `versions` the numbers of
    the survey's versions that ask it so, counted from 1 for the first. `names` are those of its columns in wide tables:
    one for each option of a checkbox, else the variable's own.
    """

    wording_id: int
    name: str
    names: tuple[str, ...]
    question_id: str
    kind: str
    text: str
    codes: tuple[tuple[int, str], ...]
    least: float | None
    most: float | None
    field_type: str
    versions: tuple[int, ...]
    first_asked_at: datetime | None
    answered: int
    skipped: int
    unseen: int
    unreadable: int


@dataclass(frozen=True)
class ScoreVariable:
    """A score in a codebook."""

    score_id: int
    name: str
    variable: str


def codebook(session: Session, survey_id: int, *, with_test: bool = False) -> list[Variable]:
    """The variables of a survey by number and revision, with how often each was answered; four queries."""
    versions = versions_of(session, [survey_id]).get(survey_id, [])
    query = sa.select(QuestionWording.id, QuestionWording.digest).where(QuestionWording.survey_id == survey_id)
    digests = dict(session.execute(query).tuples().all())
    book = []
    for spread in distribution(session, survey_id, with_test=with_test):
        digest = digests[spread.wording_id]
        asked = [place for place, version in enumerate(versions, 1) if digest in version.content.digests]
        name = variable_name(spread.number, spread.revision)
        codes = tuple(enumerate(text for text, _ in spread.options))
        several = tuple(variable_name(spread.number, spread.revision, code) for code, _ in codes)
        book.append(
            Variable(
                spread.wording_id,
                name,
                several if spread.kind == LISTS_OF_SEVERAL else (name,),
                spread.question_id,
                spread.kind,
                spread.text,
                codes,
                spread.least,
                spread.most,
                spread.field_type,
                tuple(asked),
                versions[asked[0] - 1].started_at if asked else None,
                spread.answered,
                spread.skipped,
                spread.unseen,
                spread.unreadable,
            )
        )
    return book


def score_variables(session: Session, survey_id: int) -> list[ScoreVariable]:
    """The scores of a survey in the order of their making; one query."""
    query = sa.select(Score).where(Score.survey_id == survey_id, Score.removed_at.is_(None)).order_by(Score.id)
    return [ScoreVariable(score.id, score.name, score.variable) for score in session.scalars(query)]
