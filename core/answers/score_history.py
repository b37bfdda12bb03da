"""The versions of a score, and its recalculations (CLAR-57)."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.rules.scoring import ScoreDefinition, definition_from
from core.models import ScoreRun, ScoreVersion


@dataclass(frozen=True)
class Recalculation:
    """One recalculation: who asked, how many submissions are done and how many values changed; not ended: waits."""

    asked_by: str
    asked_at: datetime
    ended_at: datetime | None
    submissions: int
    changed: int


@dataclass(frozen=True)
class PastVersion:
    """A version of a score, with the recalculations by it, newest first."""

    number: int
    definition: ScoreDefinition
    made_at: datetime
    made_by: str
    runs: tuple[Recalculation, ...]


def versions_of_score(session: Session, score_id: int) -> list[PastVersion]:
    """The versions of a score, newest first; two queries."""
    query = sa.select(ScoreVersion).where(ScoreVersion.score_id == score_id).order_by(ScoreVersion.number.desc())
    versions = session.scalars(query).all()
    of_these = sa.select(ScoreRun).where(ScoreRun.score_version_id.in_([version.id for version in versions]))
    runs: dict[int, list[Recalculation]] = {}
    for run in session.scalars(of_these.order_by(ScoreRun.id.desc())):
        done = Recalculation(run.asked_by, run.asked_at, run.ended_at, run.submissions, run.changed)
        runs.setdefault(run.score_version_id, []).append(done)
    return [
        PastVersion(
            version.number,
            definition_from(version.definition),
            version.made_at,
            version.made_by,
            tuple(runs.get(version.id, ())),
        )
        for version in versions
    ]
