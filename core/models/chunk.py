"""The registry of chunks, by participant, stream and hour (PROC-38, MODEL-104)."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, Digest, Id


class Chunk(Model):
    """One hourly chunk, or one unchunked file at its raw path.

    `stream` is the number of the stream table; `time_bin` the hour's start (unchunked: the time in the name);
    `md5` null for unchunked files; `path` null where it is the one derived from the other columns (PROC-37).
    """

    __tablename__ = "chunks"

    id: Mapped[Id]
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    survey_id: Mapped[int | None] = mapped_column(sa.ForeignKey("surveys.id", ondelete="RESTRICT"))
    stream: Mapped[int] = mapped_column(sa.SmallInteger)
    time_bin: Mapped[At]
    size_bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    md5: Mapped[Digest | None]
    sha1: Mapped[Digest | None]
    path: Mapped[str | None] = mapped_column(sa.Text)
    updated_at: Mapped[At] = mapped_column(server_default=sa.func.now())

    __table_args__ = (
        sa.Index(
            "uq_chunks_derived",
            "participant_id",
            "stream",
            "time_bin",
            sa.text("coalesce(survey_id, 0)"),
            unique=True,
            postgresql_where=sa.text("path IS NULL"),
        ),
        sa.Index("uq_chunks_path", "participant_id", "path", unique=True, postgresql_where=sa.text("path IS NOT NULL")),
        sa.Index(None, "participant_id", "stream", "time_bin"),
        sa.CheckConstraint("octet_length(md5) = 16", name="md5"),
        sa.CheckConstraint("octet_length(sha1) = 20", name="sha1"),
    )
