"""Exports that are built in the background, and whose data is in each (CLAR-74)."""

import uuid as uuids
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Digest, Id, one_of


class ExportKind(StrEnum):
    """What an export holds: streams as in a download, answers to a survey, or what came of survey events."""

    STREAMS = "streams"
    ANSWERS = "answers"
    EVENTS = "events"


class ExportState(StrEnum):
    """Where an export is. Only a done one has a file; an expired one had one."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Export(Model):
    """One export of a study, which a researcher asked for.

    `asked_by` keeps the researcher's name when the account is deleted. `site_limit` is the researcher's limit when
    the export was asked for, {"field": id, "values": [texts]}, null without one. `choice` holds what was chosen, as
    `core.exports.choice.ExportChoice` writes it. `form` is the form of file, such as csv or parquet.

    The file lies in sealed objects `<study object id>/exports/<object_name>/<number>`, each with `part_bytes` bytes of
    it, the last with the rest. `has_objects` is true from before the first one is written until all are deleted.
    `files_done` of `files_total` and `bytes_done` are the progress; `moved_at` is when it last changed. `reason` says
    why an export failed or expired before its time. `removed_at` is when somebody deleted it from the list.
    """

    __tablename__ = "exports"

    id: Mapped[Id]
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    researcher_id: Mapped[int | None] = mapped_column(sa.ForeignKey("researchers.id", ondelete="SET NULL"), index=True)
    asked_by: Mapped[str] = mapped_column(sa.Text)
    site_limit: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    kind: Mapped[str] = mapped_column(sa.Text)
    form: Mapped[str] = mapped_column(sa.Text)
    choice: Mapped[dict[str, Any]] = mapped_column(JSONB)
    file_name: Mapped[str] = mapped_column(sa.Text)
    state: Mapped[str] = mapped_column(sa.Text, server_default=ExportState.QUEUED)
    files_total: Mapped[int | None]
    files_done: Mapped[int] = mapped_column(server_default="0")
    bytes_done: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    reason: Mapped[str | None] = mapped_column(sa.Text)
    object_name: Mapped[uuids.UUID] = mapped_column(server_default=sa.func.gen_random_uuid())
    has_objects: Mapped[bool] = mapped_column(server_default=sa.false())
    part_bytes: Mapped[int | None]
    size_bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    sha256: Mapped[Digest | None]
    created_at: Mapped[CreatedAt]
    started_at: Mapped[At | None]
    moved_at: Mapped[At | None]
    ended_at: Mapped[At | None]
    expires_at: Mapped[At | None]
    removed_at: Mapped[At | None]

    __table_args__ = (
        one_of("kind", ExportKind),
        one_of("state", ExportState),
        sa.CheckConstraint(
            "state <> 'done' OR (size_bytes IS NOT NULL AND part_bytes > 0 AND octet_length(sha256) = 32"
            " AND expires_at IS NOT NULL AND has_objects)",
            name="done",
        ),
        sa.Index(None, "study_id", "id"),
        sa.Index("ix_exports_queued", "id", postgresql_where=sa.text("state = 'queued'")),
        sa.Index("ix_exports_running", "id", postgresql_where=sa.text("state = 'running'")),
        sa.Index("ix_exports_has_objects", "expires_at", postgresql_where=sa.text("has_objects")),
    )


class ExportParticipant(Model):
    """A participant whose data is in an export, written before the first of it is read: a purge finds the file."""

    __tablename__ = "export_participants"

    export_id: Mapped[int] = mapped_column(sa.ForeignKey("exports.id", ondelete="CASCADE"), primary_key=True)
    participant_id: Mapped[int] = mapped_column(
        sa.ForeignKey("participants.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
