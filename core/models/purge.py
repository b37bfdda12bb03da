"""The progress of a participant's purge (STORE-9)."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At


class Purge(Model):
    """The progress of one participant's purge. The participant's row holds when it was asked for and confirmed.

    `asked_by` is a researcher's name, or null for a command. `moved_at`: when a try began, or last deleted something.
    `files_deleted` counts objects, `versions_deleted` their older versions and marks of deletion, `rows_deleted` rows
    by table. A crash between a deletion and its count loses the count. `trouble` is why the last try did not end.
    `before` is what the participant's row held when the purge was asked for. It brings that back until the purge
    begins, and is emptied then (PORTAL-136).
    """

    __tablename__ = "purges"

    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"), primary_key=True)
    asked_by: Mapped[str | None] = mapped_column(sa.Text)
    started_at: Mapped[At | None]
    moved_at: Mapped[At | None]
    files_deleted: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    versions_deleted: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    rows_deleted: Mapped[dict[str, int]] = mapped_column(JSONB, server_default=sa.text("'{}'"))
    trouble: Mapped[str | None] = mapped_column(sa.Text)
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
