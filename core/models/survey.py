"""Surveys, their versions, and drafts of what is to be published."""

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
    `published_at` is null until it is first published: until then it has no version and no events, and no phone gets
    it (SURVEY-5). `edit_number` grows with each change of content or settings, in the draft or published; an editor
    names the one that it has read.
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
    published_at: Mapped[At | None]
    edit_number: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[CreatedAt]

    __table_args__ = (sa.CheckConstraint("object_id ~ '^[A-Za-z0-9]{1,64}$'", name="object_id"),)


class SurveyDraft(Model):
    """Content and settings of a survey that no phone sees yet; at most one for each survey (SURVEY-5).

    `base_version_id` is the published version that the draft began from, null if there was none. `researcher_id` is
    who saved it last.
    """

    __tablename__ = "survey_drafts"

    survey_id: Mapped[int] = mapped_column(sa.ForeignKey("surveys.id", ondelete="CASCADE"), primary_key=True)
    content: Mapped[str] = mapped_column(sa.Text)
    settings: Mapped[str] = mapped_column(sa.Text)
    base_version_id: Mapped[int | None] = mapped_column(sa.ForeignKey("survey_versions.id", ondelete="RESTRICT"))
    researcher_id: Mapped[int | None] = mapped_column(sa.ForeignKey("researchers.id", ondelete="SET NULL"))
    saved_at: Mapped[At]


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


def offered_surveys() -> sa.ColumnElement[bool]:
    """Surveys that phones get and that are asked: published, not deleted, and of a type that phones show."""
    return sa.and_(
        Survey.published_at.is_not(None), Survey.deleted_at.is_(None), Survey.survey_type.in_(list(SurveyType))
    )


def surveys_for_phones(session: Session, study_id: int) -> list[Survey]:
    """Every survey of the study that phones may have, in a stable order (PHONE-44)."""
    query = sa.select(Survey).where(Survey.study_id == study_id, offered_surveys())
    return list(session.scalars(query.order_by(Survey.id)))
