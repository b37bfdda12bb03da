"""The ledger of push messages: each is written down before it is sent, and settled after the answer (NOTIF-45)."""

import uuid as uuids
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id, one_of
from core.models.push_token import PushService
from core.models.schedule import AttemptKind
from core.streams import Platform


class MessageKind(StrEnum):
    """What a message is about: due surveys, a sign of life that is missing, a survey or a text sent by hand."""

    SURVEYS = "surveys"
    HEARTBEAT = "heartbeat"
    MANUAL = "manual"
    TEXT = "text"


class MessageState(StrEnum):
    """What is known of a message. Accepted means by the push service; only a receipt says that a phone has it.

    A message is unknown when the process or the connection ended before the answer.
    """

    PENDING = "pending"
    ACCEPTED = "accepted"
    UNREGISTERED = "unregistered"
    FAILED = "failed"
    UNKNOWN = "unknown"


class PushMessage(Model):
    """One message to one token. `fate` and `reason` are the outcome; `due_at` is when its newest event counted."""

    __tablename__ = "push_messages"

    id: Mapped[Id]
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    token_id: Mapped[int | None] = mapped_column(sa.ForeignKey("push_tokens.id", ondelete="SET NULL"), index=True)
    service: Mapped[str] = mapped_column(sa.Text)
    platform: Mapped[str] = mapped_column(sa.Text)
    kind: Mapped[str] = mapped_column(sa.Text)
    state: Mapped[str] = mapped_column(sa.Text, server_default=MessageState.PENDING)
    nonce: Mapped[str] = mapped_column(sa.Text)
    app_version: Mapped[str | None] = mapped_column(sa.Text)
    due_at: Mapped[At]
    expires_at: Mapped[At]
    written_at: Mapped[CreatedAt]
    settled_at: Mapped[At | None]
    fate: Mapped[str | None] = mapped_column(sa.Text)
    reason: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (
        one_of("service", PushService),
        one_of("platform", Platform),
        one_of("kind", MessageKind),
        one_of("state", MessageState),
        sa.Index("ix_push_messages_pending", "written_at", postgresql_where=sa.text("state = 'pending'")),
        sa.Index(None, "participant_id", "written_at"),
        sa.Index(None, "written_at"),
    )


class PushMessageEvent(Model):
    """An event that a message is about. It stays when a rebuild removes the event, whose number is then null."""

    __tablename__ = "push_message_events"

    id: Mapped[Id]
    message_id: Mapped[int] = mapped_column(sa.ForeignKey("push_messages.id", ondelete="CASCADE"), index=True)
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    event_id: Mapped[int | None] = mapped_column(sa.ForeignKey("scheduled_events.id", ondelete="SET NULL"), index=True)
    survey_id: Mapped[int] = mapped_column(sa.ForeignKey("surveys.id", ondelete="CASCADE"))
    survey_version_id: Mapped[int] = mapped_column(sa.ForeignKey("survey_versions.id", ondelete="RESTRICT"))
    kind: Mapped[str] = mapped_column(sa.Text)
    scheduled_at: Mapped[At]
    uuid: Mapped[uuids.UUID | None]
    is_reported: Mapped[bool]
    """Whether the app reports the receipt of `uuid` (PHONE-131)."""
    was_resend: Mapped[bool]
    researcher_name: Mapped[str | None] = mapped_column(sa.Text)
    """Who sent it by hand."""

    __table_args__ = (
        one_of("kind", AttemptKind),
        sa.Index(None, "participant_id", "survey_id", "scheduled_at"),
    )


class PushServiceState(Model):
    """How a push service treated this server last. It is asked nothing until `waits_until`.

    `refused_at` is when it began to refuse the credentials, `unreachable_at` when it began not to answer; null while
    it does neither. `failures` are tries in a row that ended so.
    """

    __tablename__ = "push_service_states"

    service: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    accepted_at: Mapped[At | None]
    refused_at: Mapped[At | None]
    unreachable_at: Mapped[At | None]
    reason: Mapped[str | None] = mapped_column(sa.Text)
    waits_until: Mapped[At | None]
    failures: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (one_of("service", PushService),)


class SenderPass(Model):
    """One look of the sender that found something: what was due, what was sent, what waits and why."""

    __tablename__ = "sender_passes"

    id: Mapped[Id]
    began_at: Mapped[At] = mapped_column(index=True)
    ended_at: Mapped[At]
    due: Mapped[int]
    outcomes: Mapped[dict[str, Any]] = mapped_column(JSONB)
    waiting: Mapped[dict[str, Any]] = mapped_column(JSONB)


class SenderState(Model):
    """The sender's single row. `looked_at` is the end of its last complete look, whether or not anything was due.

    Attempts before `resends_begin_at` are never sent again: it comes from the existing platform (NOTIF-51).
    """

    __tablename__ = "sender_state"

    id: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, server_default="1")
    looked_at: Mapped[At | None]
    resends_begin_at: Mapped[At | None]

    __table_args__ = (sa.CheckConstraint("id = 1", name="single"),)
