"""Surveys: what phones show and participants answer."""

import json
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id
from core.models.study import new_object_id


class SurveyType(StrEnum):
    """The types that phones can show. Old databases hold others, which are never sent."""

    TRACKING = "tracking_survey"
    AUDIO = "audio_survey"


class Survey(Model):
    """A survey of a study. `content` and `settings` are JSON texts, given back unchanged (MODEL-100)."""

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

    def parsed_content(self) -> list[Any]:
        """Questions, or the one prompt of an audio survey, which apps need even when empty (PHONE-53)."""
        content: list[Any] = json.loads(self.content)
        return content or ([{"prompt": ""}] if self.survey_type == SurveyType.AUDIO else [])

    def parsed_settings(self) -> dict[str, Any]:
        """Settings with `always_available` always present: without it Android hides the survey (PHONE-51)."""
        settings: dict[str, Any] = json.loads(self.settings)
        return {"always_available": False, **settings}


def surveys_for_phones(session: Session, study_id: int) -> list[Survey]:
    """Every survey of the study that phones may have, in a stable order (PHONE-44)."""
    query = sa.select(Survey).where(
        Survey.study_id == study_id, Survey.deleted_at.is_(None), Survey.survey_type.in_(list(SurveyType))
    )
    return list(session.scalars(query.order_by(Survey.id)))
