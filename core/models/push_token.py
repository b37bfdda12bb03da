"""The push tokens that participants' phones registered (PHONE-60, NOTIF-34)."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id, one_of


class PushService(StrEnum):
    """The delivering service: Firebase for the stock apps, Apple directly for a deployment's own iOS build."""

    FCM = "fcm"
    APNS = "apns"


class PushToken(Model):
    """A token, in use until `retired_at`. A participant uses at most one per service; two never use the same.

    `failures` are tries in a row that failed because of this very token, at most one in six minutes; it is not tried
    before `next_try_at`. `retired_because` is a service's answer, or null where the phone sent another token.
    """

    __tablename__ = "push_tokens"

    id: Mapped[Id]
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"), index=True)
    service: Mapped[str] = mapped_column(sa.Text)
    token: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[CreatedAt]
    renewed_at: Mapped[At] = mapped_column(server_default=sa.func.now())
    retired_at: Mapped[At | None]
    failures: Mapped[int] = mapped_column(server_default="0")
    next_try_at: Mapped[At | None]
    retired_because: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (
        one_of("service", PushService),
        sa.Index(
            "uq_push_tokens_participant",
            "participant_id",
            "service",
            unique=True,
            postgresql_where=sa.text("retired_at IS NULL"),
        ),
        sa.Index(
            "uq_push_tokens_token", "service", "token", unique=True, postgresql_where=sa.text("retired_at IS NULL")
        ),
        sa.Index("ix_push_tokens_lost", "retired_at", postgresql_where=sa.text("retired_because IS NOT NULL")),
    )
