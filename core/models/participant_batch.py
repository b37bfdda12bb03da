"""Batches of participants that are created in the background (CLAR-32)."""

from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id, one_of


class BatchState(StrEnum):
    """Whether participants of a batch are still to be created. A batch that met an error is retried later."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"


class ParticipantBatch(Model):
    """A named batch of participants of a study. Passwords are not stored: a download generates new ones.

    `made` grows in the transactions that add the participants; `error` is why the last try stopped. `asked_by` is
    the name of the actor who asked; `asked_by_id` is the account's primary key, null for a command. `rows` holds, for a
    batch that came from a file, what each participant gets:
    {"external_id": text or null, "values": {`field:<id>` or `intervention:<id>`: text or ISO date}}.
    """

    __tablename__ = "participant_batches"

    id: Mapped[Id]
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"), index=True)
    name: Mapped[str] = mapped_column(sa.Text)
    wanted: Mapped[int]
    made: Mapped[int] = mapped_column(server_default="0")
    state: Mapped[str] = mapped_column(sa.Text, server_default=BatchState.WAITING)
    error: Mapped[str | None] = mapped_column(sa.Text)
    rows: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    asked_by: Mapped[str | None] = mapped_column(sa.Text)
    asked_by_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    asked_at: Mapped[CreatedAt]
    ended_at: Mapped[At | None]

    __table_args__ = (
        one_of("state", BatchState),
        sa.CheckConstraint("made BETWEEN 0 AND wanted", name="made"),
        sa.Index("ix_participant_batches_open", "id", postgresql_where=sa.text("state <> 'done'")),
    )
