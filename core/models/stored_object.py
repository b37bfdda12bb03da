"""Rows for the objects in the store, updated with every write and delete (STORE-7)."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, Digest, one_of


class SealKind(StrEnum):
    """How an object is sealed: ours is authenticated, the existing platform's is not (STORE-3, STORE-4)."""

    OURS = "ours"
    LEGACY = "legacy"


class StoredObject(Model):
    """One object. `path` is its key in the bucket, with `.zst`; sizes are in bytes; the SHA-1 is of the contents."""

    __tablename__ = "stored_objects"

    path: Mapped[str] = mapped_column(sa.Text(collation="C"), primary_key=True)
    study_id: Mapped[int | None] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    participant_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("participants.id", ondelete="RESTRICT"), index=True
    )
    size_bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    size_stored_bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    sha1: Mapped[Digest | None]
    seal: Mapped[str] = mapped_column(sa.Text, server_default=SealKind.OURS)
    updated_at: Mapped[At] = mapped_column(server_default=sa.func.now())

    __table_args__ = (one_of("seal", SealKind), sa.CheckConstraint("octet_length(sha1) = 20", name="sha1"))
