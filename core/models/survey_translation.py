"""Translations of surveys."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At


class SurveyTranslation(Model):
    """The texts of a survey in one of the study's languages, beside its content, which stays as it is (CLAR-55).

    `texts` holds by question id, or `prompt` for an audio survey, the translations by their base texts: of the question
    and of its answers. One counts while its base text is there (`core/surveys/rules/translating`). `edit_number` grows
    with each saving; an editor names the one that it has read.
    """

    __tablename__ = "survey_translations"

    survey_id: Mapped[int] = mapped_column(sa.ForeignKey("surveys.id", ondelete="CASCADE"), primary_key=True)
    language_id: Mapped[int] = mapped_column(sa.ForeignKey("study_languages.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.Text)
    texts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=sa.text("'{}'"))
    edit_number: Mapped[int] = mapped_column(server_default="0")
    researcher_id: Mapped[int | None] = mapped_column(sa.ForeignKey("researchers.id", ondelete="SET NULL"))
    saved_at: Mapped[At]

    __table_args__ = (sa.Index(None, "language_id"),)
