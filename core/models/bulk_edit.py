"""Edits of many participants at once, and what is needed to undo them for 24 hours (CLAR-25)."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id


class BulkEdit(Model):
    """One edit of many participants: who made it, when, and whether it was undone. `summary` is a sentence."""

    __tablename__ = "bulk_edits"

    id: Mapped[Id]
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    at: Mapped[CreatedAt]
    author_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    author_name: Mapped[str] = mapped_column(sa.Text)
    summary: Mapped[str] = mapped_column(sa.Text)
    undone_at: Mapped[At | None]

    __table_args__ = (sa.Index(None, "study_id", "at"),)


class BulkEditRow(Model):
    """What one participant had before an edit, by the edited thing: `field:<id>`, `intervention:<id>`, `retired_at`.

    Null stands for no value. Gone with the participant's purge.
    """

    __tablename__ = "bulk_edit_rows"

    bulk_edit_id: Mapped[int] = mapped_column(sa.ForeignKey("bulk_edits.id", ondelete="CASCADE"), primary_key=True)
    participant_id: Mapped[int] = mapped_column(
        sa.ForeignKey("participants.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    before: Mapped[dict[str, Any]] = mapped_column(JSONB)
    after: Mapped[dict[str, Any]] = mapped_column(JSONB)
