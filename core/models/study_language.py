"""Languages of a study: which there are, and what pushes say in them."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import Id


class StudyLanguage(Model):
    """A language of a study; one of them is its base language, which counts where a text or a value is missing.

    `code` is a BCP 47 tag, such as `es` or `pt-BR`. A participant has this language if the value of the study's
    language field equals its code or its name, ignoring case. The four texts are what pushes show (NOTIF-31, CLAR-62);
    null means the base language's, and there the built-in one.
    """

    __tablename__ = "study_languages"

    id: Mapped[Id]
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    code: Mapped[str] = mapped_column(sa.Text)
    name: Mapped[str] = mapped_column(sa.Text)
    is_base: Mapped[bool] = mapped_column(server_default=sa.false())
    title: Mapped[str | None] = mapped_column(sa.Text)
    one_survey: Mapped[str | None] = mapped_column(sa.Text)
    several_surveys: Mapped[str | None] = mapped_column(sa.Text)
    heartbeat: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (
        sa.Index("uq_study_languages_code", "study_id", sa.func.lower(code), unique=True),
        sa.Index("uq_study_languages_base", "study_id", unique=True, postgresql_where=sa.text("is_base")),
    )
