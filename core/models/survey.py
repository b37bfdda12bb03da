"""Surveys and their versions."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id
from core.models.study import new_object_id


class SurveyType(StrEnum):
    """The types of survey that phones can show. Old databases hold others, which are never sent."""

    TRACKING = "tracking_survey"
    AUDIO = "audio_survey"


class Survey(Model):
    """A survey of a study. `content` and `settings` are JSON texts, kept unchanged (MODEL-100).

    Its newest version holds the same content, type, settings and deletion; `core.surveys.saving` ensures this.
    """

    __tablename__ = "surveys"

    id: Mapped[Id]
    object_id: Mapped[str] = mapped_column(sa.Text, unique=True, default=new_object_id)
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"), index=True)
    name: Mapped[str] = mapped_column(sa.Text, server_default="")
    survey_type: Mapped[str] = mapped_column(sa.Text)
    content: Mapped[str] = mapped_column(sa.Text, server_default="[]")
    settings: Mapped[str] = mapped_column(sa.Text, server_default="{}")
    deleted_at: Mapped[At | None]
    created_at: Mapped[CreatedAt]

    __table_args__ = (sa.CheckConstraint("object_id ~ '^[A-Za-z0-9]{1,64}$'", name="object_id"),)


class SurveyVersion(Model):
    """A survey as it was from `started_at` until the next version. Notifications refer to versions (SURVEY-3).

    Names and schedules have no versions.
    """

    __tablename__ = "survey_versions"

    id: Mapped[Id]
    survey_id: Mapped[int] = mapped_column(sa.ForeignKey("surveys.id", ondelete="RESTRICT"))
    started_at: Mapped[At]
    survey_type: Mapped[str] = mapped_column(sa.Text)
    content: Mapped[str] = mapped_column(sa.Text)
    settings: Mapped[str] = mapped_column(sa.Text)
    is_deleted: Mapped[bool] = mapped_column(server_default=sa.false())

    __table_args__ = (sa.UniqueConstraint("survey_id", "started_at"),)


def surveys_for_phones(session: Session, study_id: int) -> list[Survey]:
    """Every survey of the study that phones may have, in a stable order (PHONE-44)."""
    query = sa.select(Survey).where(
        Survey.study_id == study_id, Survey.deleted_at.is_(None), Survey.survey_type.in_(list(SurveyType))
    )
    return list(session.scalars(query.order_by(Survey.id)))
