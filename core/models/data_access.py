"""Records of who read participants' data: downloads of the portal, and requests of programs (DATA-26, PORTAL-290)."""

from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id


class AccessKind(StrEnum):
    """What was read."""

    DATA = "data"
    PARTICIPANT_IDS = "participant_ids"
    PARTICIPANTS_TABLE = "participants_table"
    AUDIT_TRAIL = "audit_trail"
    ANSWERS = "answers"
    """An export of a survey's answers, or its codebook."""
    ANSWER_FILE = "answer_file"
    RECORDING = "recording"
    HISTORY = "history"
    LIST = "list"
    STATISTICS = "statistics"
    EXPORT = "export"
    """An export was asked for, or built again."""
    EXPORT_FILE = "export_file"
    """The file of an export was fetched."""


class DataAccessRecord(Model):
    """One download or request. `ended_at` is null while it runs, or if the process died meanwhile.

    `key_name` names the API key; null for the portal. `participants` counts those whose data were asked for;
    `patient_ids` and `streams` name them, null for all of the study. `parameters` holds the fields as sent, without
    secrets. Rows from before version 0018 have no `participants`.
    """

    __tablename__ = "data_access_records"

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(sa.Text, server_default=AccessKind.DATA.value)
    researcher_id: Mapped[int | None] = mapped_column(sa.ForeignKey("researchers.id", ondelete="SET NULL"), index=True)
    username: Mapped[str] = mapped_column(sa.Text)
    key_name: Mapped[str | None] = mapped_column(sa.Text)
    study_id: Mapped[int | None] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    participants: Mapped[int | None]
    patient_ids: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))
    streams: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))
    parameters: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=sa.text("'{}'"))
    registry_entries: Mapped[int | None]
    address: Mapped[str | None] = mapped_column(sa.Text)
    request_id: Mapped[str | None] = mapped_column(sa.Text)
    started_at: Mapped[CreatedAt]
    ended_at: Mapped[At | None]
    size_bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    error: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (
        sa.Index(None, "study_id", "started_at", "id"),
        sa.Index(None, "study_id", "username", "started_at", "id"),
        sa.Index(None, "started_at", "id"),
        sa.Index(None, "username", "started_at", "id"),
    )
