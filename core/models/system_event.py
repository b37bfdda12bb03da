"""Troubles of the whole site that somebody must know of (CLAR-62)."""

from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, Id, one_of


class Trouble(StrEnum):
    """The kinds of trouble."""

    SENDER_SILENT = "sender silent"
    CREDENTIALS_REFUSED = "credentials refused"
    SERVICE_UNREACHABLE = "service unreachable"
    DELIVERY_HALVED = "delivery halved"
    TOKENS_LOST = "tokens lost"


class SystemEvent(Model):
    """A trouble from when it was found until it was over. `subject` is the push service, or empty.

    There is one row for as long as a trouble lasts. `text` holds counts and ids only.
    """

    __tablename__ = "system_events"

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(sa.Text)
    subject: Mapped[str] = mapped_column(sa.Text, server_default="")
    text: Mapped[str] = mapped_column(sa.Text)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=sa.text("'{}'"))
    began_at: Mapped[At]
    ended_at: Mapped[At | None]

    __table_args__ = (
        one_of("kind", Trouble),
        sa.Index("uq_system_events_open", "kind", "subject", unique=True, postgresql_where=sa.text("ended_at IS NULL")),
        sa.Index(None, "began_at"),
    )
