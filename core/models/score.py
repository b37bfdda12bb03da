"""Scores of surveys: their definitions with versions, values, and recalculations (CLAR-55, CLAR-57)."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id


class Score(Model):
    """A score of a survey. `variable` names it in exports and stays; `removed_at` hides it and keeps its values."""

    __tablename__ = "scores"

    id: Mapped[Id]
    survey_id: Mapped[int] = mapped_column(sa.ForeignKey("surveys.id", ondelete="RESTRICT"))
    name: Mapped[str] = mapped_column(sa.Text)
    variable: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[CreatedAt]
    removed_at: Mapped[At | None]

    __table_args__ = (
        sa.UniqueConstraint("survey_id", "variable"),
        sa.CheckConstraint("variable ~ '^[a-z][a-z0-9_]{0,30}$'", name="variable"),
    )


class ScoreVersion(Model):
    """A definition of a score, from `made_at` until the next one. `definition` is that of `core.answers.rules.scoring`.

    Versions are never changed.
    """

    __tablename__ = "score_versions"

    id: Mapped[Id]
    score_id: Mapped[int] = mapped_column(sa.ForeignKey("scores.id", ondelete="RESTRICT"))
    number: Mapped[int]
    definition: Mapped[dict[str, Any]] = mapped_column(JSONB)
    made_at: Mapped[CreatedAt]
    made_by: Mapped[str] = mapped_column(sa.Text)

    __table_args__ = (sa.UniqueConstraint("score_id", "number"),)


class ScoreRun(Model):
    """A recalculation of one version of a score, and how far it is: submissions up to `last_submission_id` are done.

    `changed` counts the values that were new or different.
    """

    __tablename__ = "score_runs"

    id: Mapped[Id]
    score_version_id: Mapped[int] = mapped_column(sa.ForeignKey("score_versions.id", ondelete="RESTRICT"), index=True)
    asked_by: Mapped[str] = mapped_column(sa.Text)
    asked_at: Mapped[CreatedAt]
    ended_at: Mapped[At | None]
    last_submission_id: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    submissions: Mapped[int] = mapped_column(server_default="0")
    changed: Mapped[int] = mapped_column(server_default="0")


class ScoreValue(Model):
    """The value of a submission by one version of a score; null where too few items were answered (CLAR-57).

    `items_answered` counts the items that entered it. `run_id` is the recalculation that computed it, null where it was
    computed when the submission came.
    """

    __tablename__ = "score_values"

    submission_id: Mapped[int] = mapped_column(sa.ForeignKey("submissions.id", ondelete="CASCADE"), primary_key=True)
    score_version_id: Mapped[int] = mapped_column(
        sa.ForeignKey("score_versions.id", ondelete="RESTRICT"), primary_key=True
    )
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"), index=True)
    value: Mapped[float | None]
    items_answered: Mapped[int] = mapped_column(sa.SmallInteger)
    run_id: Mapped[int | None] = mapped_column(sa.ForeignKey("score_runs.id", ondelete="SET NULL"), index=True)
    computed_at: Mapped[CreatedAt]

    __table_args__ = (sa.Index(None, "score_version_id", "submission_id"),)
