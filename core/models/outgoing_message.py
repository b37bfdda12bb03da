"""Mails, webhooks and Prefect events that wait, were delivered, or were given up."""

from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model, SealedText
from core.models.columns import At, CreatedAt, Id, one_of


class Channel(StrEnum):
    """How a message leaves the server."""

    MAIL = "mail"
    WEBHOOK = "webhook"
    PREFECT = "prefect"


class OutgoingMessage(Model):
    """A message that is written in the transaction of what it tells of, so that it cannot be lost (CLAR-58).

    `address` is a mail address or an https address, which may hold a secret; empty for Prefect. `contents` is
    `{"subject", "text"}` of a mail, and the JSON object that is posted otherwise: ids, counts and links, never what
    somebody answered. With a `signing_key`, a webhook is signed. `about` is what the message tells of, such as
    `trouble 7`; two messages of one address about the same thing are not written.

    A message to a study's webhook names it and has no address of its own: it goes to the webhook's address at each try.
    One about a participant names that participant, and goes with a purge (CLAR-74).

    A mail about an answer's alert names it, and the person it goes to, whose rights are looked at before each try.

    It is tried at `next_try_at`, which is null once it was delivered or given up; `problem` is why the last try failed.
    `uuid` is the same in all tries, so that the recipient can tell a repetition.
    """

    __tablename__ = "outgoing_messages"

    id: Mapped[Id]
    uuid: Mapped[UUID] = mapped_column(sa.Uuid, unique=True, default=uuid4)
    channel: Mapped[str] = mapped_column(sa.Text)
    address: Mapped[str] = mapped_column(SealedText("outgoing_messages.address"))
    signing_key: Mapped[str | None] = mapped_column(SealedText("outgoing_messages.signing_key"))
    contents: Mapped[dict[str, Any]] = mapped_column(JSONB)
    about: Mapped[str] = mapped_column(sa.Text)
    once_key: Mapped[bytes] = mapped_column(sa.LargeBinary, unique=True)
    answer_alert_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("answer_alerts.id", ondelete="CASCADE"), index=True
    )
    researcher_id: Mapped[int | None] = mapped_column(sa.ForeignKey("researchers.id", ondelete="CASCADE"), index=True)
    study_id: Mapped[int | None] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    webhook_id: Mapped[int | None] = mapped_column(sa.ForeignKey("webhooks.id", ondelete="CASCADE"))
    participant_id: Mapped[int | None] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    created_at: Mapped[CreatedAt]
    tries: Mapped[int] = mapped_column(server_default="0")
    next_try_at: Mapped[At | None]
    delivered_at: Mapped[At | None]
    given_up_at: Mapped[At | None]
    problem: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (
        one_of("channel", Channel),
        sa.CheckConstraint("num_nonnulls(next_try_at, delivered_at, given_up_at) = 1", name="state"),
        sa.Index("ix_outgoing_messages_waiting", "next_try_at", postgresql_where=sa.text("next_try_at IS NOT NULL")),
        sa.Index(
            "ix_outgoing_messages_of_webhook", "webhook_id", "id", postgresql_where=sa.text("webhook_id IS NOT NULL")
        ),
        sa.Index(
            "ix_outgoing_messages_not_delivered",
            "webhook_id",
            "id",
            postgresql_where=sa.text("webhook_id IS NOT NULL AND delivered_at IS NULL"),
        ),
        sa.Index(
            "ix_outgoing_messages_participant_id",
            "participant_id",
            postgresql_where=sa.text("participant_id IS NOT NULL"),
        ),
        sa.Index(None, "about"),
        sa.Index(None, "created_at"),
    )
