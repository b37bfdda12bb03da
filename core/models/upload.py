"""Uploads: queued, accepted, set aside, refused (MODEL-105)."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id, one_of


class QueueState(StrEnum):
    """Whether a queued file is still tried. Failed ones stay listed until somebody puts them back (PROC-53).

    Held ones came within ten minutes after their participant was retired or their study stopped: an undo of that lets
    them be processed, else they are deleted (CLAR-12).
    """

    WAITING = "waiting"
    HELD = "held"
    FAILED = "failed"


class QueuedUpload(Model):
    """A raw file not yet in chunks. The transaction that registers its chunks deletes the row (PROC-50)."""

    __tablename__ = "upload_queue"

    id: Mapped[Id]
    path: Mapped[str] = mapped_column(sa.Text, unique=True)
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    os_type: Mapped[str | None] = mapped_column(sa.Text)
    app_version: Mapped[str] = mapped_column(sa.Text, server_default="")
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    received_at: Mapped[CreatedAt]
    state: Mapped[str] = mapped_column(sa.Text, server_default=QueueState.WAITING)
    attempts: Mapped[int] = mapped_column(sa.SmallInteger, server_default="0")
    next_try_at: Mapped[CreatedAt]
    reason: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (
        one_of("state", QueueState),
        sa.Index("ix_upload_queue_waiting", "participant_id", "path", postgresql_where=sa.text("state = 'waiting'")),
        sa.Index("ix_upload_queue_held", "received_at", postgresql_where=sa.text("state = 'held'")),
        sa.Index("ix_upload_queue_failed", "study_id", "path", postgresql_where=sa.text("state = 'failed'")),
        sa.Index("ix_upload_queue_oldest", "received_at", postgresql_where=sa.text("state = 'waiting'")),
    )


class UploadRecord(Model):
    """One accepted upload, and where its data is (MODEL-105). Append-only, except for the results of processing.

    `path` is the object's key; `first_bin` and `last_bin` bound the hours of its rows; `dropped_rows` counts by reason.
    """

    __tablename__ = "upload_log"

    id: Mapped[Id]
    path: Mapped[str] = mapped_column(sa.Text, index=True)
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    stream: Mapped[int | None] = mapped_column(sa.SmallInteger)
    os_type: Mapped[str | None] = mapped_column(sa.Text)
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    received_at: Mapped[CreatedAt]
    processed_at: Mapped[At | None]
    first_bin: Mapped[At | None]
    last_bin: Mapped[At | None]
    dropped_rows: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))

    __table_args__ = (sa.Index(None, "participant_id", "received_at"),)


class ProblemUpload(Model):
    """A file that could not be decrypted, kept as received, or dropped lines of a file (PHONE-84, PHONE-85).

    `object_path` is where the bytes are; `line_errors` lists {line, kind} of lines that did not decrypt (PHONE-110).
    `is_sender_proven` says of a file that was not decrypted whether its request had the participant's password.
    `outcome` is what came of trying it again, null while nobody did or it still cannot be read.
    """

    __tablename__ = "upload_problems"

    id: Mapped[Id]
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    received_name: Mapped[str] = mapped_column(sa.Text)
    object_path: Mapped[str] = mapped_column(sa.Text)
    reason: Mapped[str] = mapped_column(sa.Text)
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    line_errors: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    is_sender_proven: Mapped[bool | None]
    received_at: Mapped[CreatedAt]
    tried_again_at: Mapped[At | None]
    outcome: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (sa.Index(None, "participant_id", "received_at"),)


class Refusal(StrEnum):
    """Why nothing of an upload was stored (PHONE-64). The phone keeps its copy unless the answer was 200."""

    JUNK_NAME = "junk name"
    RETIRED = "participant retired"
    STUDY_STOPPED = "study stopped"
    STILL_QUEUED = "same name still queued"
    NO_FILE = "no file sent"
    NOTHING_IN_FILE = "nothing in the file"
    EMPTY = "nothing in it to decrypt"
    RACE_LOST = "same name at the same moment"
    TOO_LARGE = "too large"
    TOO_MUCH_UNREADABLE = "too much that cannot be read"


class RefusedUpload(Model):
    """Uploads of one name that were refused for one reason. Phones retry, so one row counts them.

    `file_name` is as received, at most 300 characters; `size_bytes` that of the newest file, encrypted.
    """

    __tablename__ = "refused_uploads"

    id: Mapped[Id]
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    file_name: Mapped[str] = mapped_column(sa.Text)
    reason: Mapped[str] = mapped_column(sa.Text)
    status: Mapped[int] = mapped_column(sa.SmallInteger)
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    times: Mapped[int] = mapped_column(server_default="1")
    first_at: Mapped[CreatedAt]
    last_at: Mapped[CreatedAt]

    __table_args__ = (
        one_of("reason", Refusal),
        sa.UniqueConstraint("participant_id", "file_name", "reason"),
    )


class ProcessingStatus(Model):
    """A single row with the end of the last processing run (OPS-31)."""

    __tablename__ = "processing_status"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, server_default="1")
    last_run_at: Mapped[At | None]

    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)


class ProcessedHour(Model):
    """What processing did for a study within an hour; kept for some weeks (PORTAL-281)."""

    __tablename__ = "processed_hours"

    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    hour: Mapped[At] = mapped_column(primary_key=True)
    files: Mapped[int] = mapped_column(server_default="0")
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    rows_kept: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    rows_dropped: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    failures: Mapped[int] = mapped_column(server_default="0")
    last_at: Mapped[At]


class ServedParticipant(Model):
    """When a participant's uploads were last processed. The least recently served comes first (PROC-51)."""

    __tablename__ = "served_participants"

    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="CASCADE"), primary_key=True)
    served_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))
