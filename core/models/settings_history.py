"""What a study's app settings and consent texts were over time, and which consent text each phone was sent."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.database import Model
from core.models.columns import CreatedAt, Id
from core.models.study import Study


class AppSettingsVersion(Model):
    """All app settings of a study as they were from `at` on, until the next version.

    `values` maps the names of SURVEY-50 to their values; `changed` lists the names that differ from the version before.
    """

    __tablename__ = "app_settings_versions"

    id: Mapped[Id]
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    at: Mapped[CreatedAt]
    author_name: Mapped[str] = mapped_column(sa.Text)
    values: Mapped[dict[str, Any]] = mapped_column(JSONB)
    changed: Mapped[list[str]] = mapped_column(JSONB, server_default=sa.text("'[]'"))

    study: Mapped[Study] = relationship(lazy="raise_on_sql")

    __table_args__ = (sa.Index(None, "study_id", "at"),)


class ConsentVersion(Model):
    """The consent texts of a study; numbers count from 1 in each study."""

    __tablename__ = "consent_versions"

    id: Mapped[Id]
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    number: Mapped[int]
    at: Mapped[CreatedAt]
    author_name: Mapped[str] = mapped_column(sa.Text)
    form_text: Mapped[str] = mapped_column(sa.Text)
    sections: Mapped[dict[str, Any]] = mapped_column(JSONB)

    study: Mapped[Study] = relationship(lazy="raise_on_sql")

    __table_args__ = (sa.UniqueConstraint("study_id", "number"),)


class ConsentSent(Model):
    """A registration was answered with this version; phones may show it later or never (CLAR-31)."""

    __tablename__ = "consents_sent"

    id: Mapped[Id]
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    consent_version_id: Mapped[int] = mapped_column(sa.ForeignKey("consent_versions.id", ondelete="RESTRICT"))
    sent_at: Mapped[CreatedAt]

    __table_args__ = (
        sa.Index(None, "participant_id", "sent_at"),
        sa.Index(None, "consent_version_id", "participant_id"),
    )
