"""Surveys that study teams keep as templates for the whole site."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id


class SurveyTemplate(Model):
    """Content, settings and scores of a survey as they were when it was kept; nothing of participants.

    `content` and `settings` are JSON texts. `scores` is a list of `{"name", "variable", "definition"}`. `made_by` is
    the name of who kept it, `researcher_id` the account, null once it is deleted.
    """

    __tablename__ = "survey_templates"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(sa.Text)
    about: Mapped[str] = mapped_column(sa.Text)
    survey_type: Mapped[str] = mapped_column(sa.Text)
    content: Mapped[str] = mapped_column(sa.Text)
    settings: Mapped[str] = mapped_column(sa.Text)
    scores: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=sa.text("'[]'"))
    made_by: Mapped[str] = mapped_column(sa.Text)
    researcher_id: Mapped[int | None] = mapped_column(sa.ForeignKey("researchers.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[CreatedAt]
    removed_at: Mapped[At | None]
