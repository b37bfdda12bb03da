"""What a researcher chose for the portal's own pages: starred studies, columns of lists."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model


class StudyStar(Model):
    """A study that comes first in this researcher's lists (PORTAL-72)."""

    __tablename__ = "study_stars"

    researcher_id: Mapped[int] = mapped_column(sa.ForeignKey("researchers.id", ondelete="CASCADE"), primary_key=True)
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)


class ParticipantColumns(Model):
    """The columns of the participants' table that a researcher chose in a study, in their order (PORTAL-113)."""

    __tablename__ = "participant_columns"

    researcher_id: Mapped[int] = mapped_column(sa.ForeignKey("researchers.id", ondelete="CASCADE"), primary_key=True)
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    names: Mapped[list[str]] = mapped_column(JSONB)
