"""The scores of a survey: defined, changed and removed here alone, each definition kept as a version (CLAR-55, 57)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.rules.scoring import ScoreDefinition, ScoreRefused, definition_from, misfits
from core.answers.versions import versions_of
from core.audit import Actor, record
from core.models import Score, ScoreRun, ScoreVersion, Study, Survey
from core.models.audit_record import Action
from core.storable import not_storable

__all__ = ["DefinedScore", "ScoreRefused", "recompute_score", "remove_score", "save_score", "scores_of_survey"]

LONGEST_NAME = 100
VARIABLE = re.compile(r"[a-z][a-z0-9_]{0,30}", re.ASCII)
# Names of questions' variables, and words that statistics programs keep for themselves.
TAKEN = re.compile(r"q[0-9].*|all|and|by|eq|ge|gt|le|lt|ne|not|or|to|with|byte|int|long|float|double|if|in|using|str.*")


@dataclass(frozen=True)
class DefinedScore:
    """A score with its newest definition. `fits` are the numbers of the survey's versions, from 1 for the first, from
    which it can be computed; `misfits` say why it cannot be from the newest. `waiting_runs` count recalculations to do.
    """

    id: int
    name: str
    variable: str
    version: int
    definition: ScoreDefinition
    made_at: datetime
    made_by: str
    fits: tuple[int, ...]
    misfits: tuple[str, ...]
    waiting_runs: int


def save_score(
    session: Session,
    survey: Survey,
    score_id: int | None,
    *,
    name: str,
    variable: str,
    definition: Any,
    actor: Actor,
) -> Score:
    """Adds a score, or changes the one with that number, and asks for its recalculation; the caller commits.

    `definition` is JSON as of `definition_from`. An equal definition makes no version and no recalculation. The
    variable of a score stays. Raises ScoreRefused.
    """
    wanted = definition_from(definition)
    if unstorable := list(not_storable(wanted.as_json(), "score")):
        raise ScoreRefused(f"The score {unstorable[0][1]}.")
    name = checked_name(name)
    session.refresh(survey, with_for_update={"key_share": True})
    score = _of_survey(session, survey, score_id) if score_id is not None else _new(session, survey, name, variable)
    score.name = name
    newest = _newest(session, score)
    if newest is None or newest.definition != wanted.as_json():
        number = newest.number + 1 if newest else 1
        version = ScoreVersion(score_id=score.id, number=number, definition=wanted.as_json(), made_by=actor.name)
        session.add(version)
        session.flush()
        session.add(ScoreRun(score_version_id=version.id, asked_by=actor.name))
        newest = version
    _record(session, actor, Action.SCORE_SAVE, survey, score, version=newest.number)
    session.flush()
    return score


def remove_score(session: Session, survey: Survey, score_id: int, now: datetime, *, actor: Actor) -> None:
    """Hides a score; its versions and values stay. The caller commits. Raises ScoreRefused."""
    score = _of_survey(session, survey, score_id)
    score.removed_at = now
    _record(session, actor, Action.SCORE_REMOVE, survey, score)
    session.flush()


def recompute_score(session: Session, survey: Survey, score_id: int, *, actor: Actor) -> ScoreRun:
    """Asks for the recalculation of all submissions by the newest version; the caller commits. Raises ScoreRefused."""
    score = _of_survey(session, survey, score_id)
    newest = _newest(session, score)
    assert newest is not None
    run = ScoreRun(score_version_id=newest.id, asked_by=actor.name)
    session.add(run)
    _record(session, actor, Action.SCORE_COMPUTE, survey, score, version=newest.number)
    session.flush()
    return run


def scores_of_survey(session: Session, survey_id: int) -> list[DefinedScore]:
    """The scores of a survey in the order of their making, with what they fit; at most four queries."""
    waiting = sa.select(ScoreVersion.score_id, sa.func.count().label("runs")).join(ScoreRun)
    open_ = waiting.where(ScoreRun.ended_at.is_(None)).group_by(ScoreVersion.score_id).subquery()
    query = (
        sa.select(Score, ScoreVersion, sa.func.coalesce(open_.c.runs, 0))
        .join(ScoreVersion, ScoreVersion.score_id == Score.id)
        .outerjoin(open_, open_.c.score_id == Score.id)
        .where(Score.survey_id == survey_id, Score.removed_at.is_(None))
        .distinct(Score.id)
        .order_by(Score.id, ScoreVersion.number.desc())
    )
    versions = versions_of(session, [survey_id]).get(survey_id, [])
    found = []
    for score, version, runs in session.execute(query).tuples():
        definition = definition_from(version.definition)
        lacks = [misfits(definition, known.content.wordings) for known in versions]
        found.append(
            DefinedScore(
                score.id,
                score.name,
                score.variable,
                version.number,
                definition,
                version.made_at,
                version.made_by,
                tuple(place for place, lack in enumerate(lacks, 1) if not lack),
                tuple(lacks[-1]) if lacks else (),
                runs,
            )
        )
    return found


def scores_as_json(session: Session, survey_id: int) -> list[dict[str, Any]]:
    """The scores of a survey with their newest definitions, as `add_scores` takes them."""
    return [
        {"name": score.name, "variable": score.variable, "definition": score.definition.as_json()}
        for score in scores_of_survey(session, survey_id)
    ]


def add_scores(
    session: Session, survey: Survey, scores: Sequence[Mapping[str, Any]], names: Mapping[str, str], *, actor: Actor
) -> None:
    """Gives a new survey these scores; `names` are new ids of questions by their old ones (CLAR-50).

    The caller commits. Raises ScoreRefused.
    """
    session.flush()
    for score in scores:
        items = [{**item, "question_id": names.get(item["question_id"], item["question_id"])} for item in _items(score)]
        followed = {**score["definition"], "items": items}
        save_score(
            session, survey, None, name=score["name"], variable=score["variable"], definition=followed, actor=actor
        )


def checked_name(name: str) -> str:
    """The name of a score as it is stored. Raises ScoreRefused."""
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or list(not_storable(name, "name")):
        raise ScoreRefused(f"The name of a score has 1 to {LONGEST_NAME} characters.", "name")
    return name


def checked_variable(variable: str) -> str:
    """The name of a score's variable. Raises ScoreRefused."""
    if not VARIABLE.fullmatch(variable) or TAKEN.fullmatch(variable):
        raise ScoreRefused(
            "The name of the variable has 1 to 31 small letters, digits and underscores, begins with a letter, and is "
            "neither like those of questions (q1) nor a word that statistics programs keep for themselves.",
            "variable",
        )
    return variable


def _items(score: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = score["definition"]["items"]
    return listed


def _new(session: Session, survey: Survey, name: str, variable: str) -> Score:
    variable = checked_variable(variable)
    taken = sa.select(sa.exists().where(Score.survey_id == survey.id, Score.variable == variable))
    if session.scalar(taken):
        raise ScoreRefused(f"There is, or was, a score with the variable {variable}.", "variable")
    score = Score(survey_id=survey.id, name=name, variable=variable)
    session.add(score)
    session.flush()
    return score


def _of_survey(session: Session, survey: Survey, score_id: int) -> Score:
    score = session.get(Score, score_id)
    if score is None or score.survey_id != survey.id or score.removed_at is not None:
        raise ScoreRefused("There is no such score.")
    return score


def _newest(session: Session, score: Score) -> ScoreVersion | None:
    query = sa.select(ScoreVersion).where(ScoreVersion.score_id == score.id)
    return session.scalar(query.order_by(ScoreVersion.number.desc()).limit(1))


def _record(session: Session, actor: Actor, action: Action, survey: Survey, score: Score, **more: Any) -> None:
    study = session.get_one(Study, survey.study_id)
    record(session, actor, action, study=study, survey=survey.object_id, score=score.variable, **more)
