"""Interventions of a study, and their dates for each participant. Relative schedules depend on them."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import CreatedAt, Id


class Intervention(Model):
    """A named event in participants' lives. It cannot be deleted while a survey's schedule uses it (MODEL-101)."""

    __tablename__ = "interventions"

    id: Mapped[Id]
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    name: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[CreatedAt]

    __table_args__ = (sa.Index("uq_interventions_name", "study_id", sa.func.lower(name), unique=True),)


class InterventionDate(Model):
    """The date of a participant's intervention, in the study's zone. No row while the date is not set."""

    __tablename__ = "intervention_dates"

    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"), primary_key=True)
    intervention_id: Mapped[int] = mapped_column(
        sa.ForeignKey("interventions.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    happens_on: Mapped[date]
