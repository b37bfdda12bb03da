"""Jobs that rebuild chunks from raw files, and their progress (OPS-20, OPS-24)."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id


class ReprocessingJob(Model):
    """Which chunks to rebuild; null means all. Hours from `start_at` (included) to `end_at` (not included).

    With `drops_rows`, chunk rows that are in no raw file are deleted. A job is open until `ended_at`; an equal order
    continues the open job.
    """

    __tablename__ = "reprocessing_jobs"

    id: Mapped[Id]
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    participant_id: Mapped[int | None] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    stream: Mapped[int | None] = mapped_column(sa.SmallInteger)
    start_at: Mapped[At | None]
    end_at: Mapped[At | None]
    is_dry_run: Mapped[bool] = mapped_column(server_default=sa.false())
    drops_rows: Mapped[bool] = mapped_column(server_default=sa.false())
    asked_at: Mapped[CreatedAt]
    ended_at: Mapped[At | None]


class ReprocessingProgress(Model):
    """One stream of one participant that a job is done with: counts by name, and {path, what, rows} worth a look."""

    __tablename__ = "reprocessing_progress"

    job_id: Mapped[int] = mapped_column(sa.ForeignKey("reprocessing_jobs.id", ondelete="CASCADE"), primary_key=True)
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"), primary_key=True)
    stream: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True)
    counts: Mapped[dict[str, int]] = mapped_column(JSONB)
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=sa.text("'[]'"))
    done_at: Mapped[CreatedAt]

    __table_args__ = (sa.Index(None, "participant_id"),)
