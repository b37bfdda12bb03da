"""Webhooks of studies: where messages go, what waits to be told, and which participants are silent (CLAR-75)."""

from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, column_property, mapped_column

from core.database import Model, SealedText
from core.models.columns import At, CreatedAt, Id, one_of
from core.models.study import Study


class WebhookEventType(StrEnum):
    """What a message tells of; the first three can be chosen."""

    DATA_PROCESSED = "data.processed"
    ANSWER_ARRIVED = "answer.arrived"
    PARTICIPANT_SILENT = "participant.silent"
    PARTICIPANT_HEARD_AGAIN = "participant.heard_again"
    """Comes with `participant.silent`."""
    TEST = "webhook.test"


CHOSEN_EVENTS = (
    WebhookEventType.DATA_PROCESSED,
    WebhookEventType.ANSWER_ARRIVED,
    WebhookEventType.PARTICIPANT_SILENT,
)


class Webhook(Model):
    """An address of another program that is told of events of a study.

    `events` are those it is told of; `survey_ids` limits answers to these surveys (empty: all). A participant is silent
    after `silent_after_hours` without an upload. Both keys sign while `former_key_until` is to come.

    It `is_on` since `on_since`. `off_because` says why the server itself switched it off; null: a person did. While
    every try fails, `failing_since` is when the first one did, `failed_tries` how many there were since, and nothing
    is tried before `rests_until`.
    """

    __tablename__ = "webhooks"

    id: Mapped[Id]
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    name: Mapped[str] = mapped_column(sa.Text)
    # Loaded only where a message is sent or somebody looks: a changed server secret must not stop anything else.
    address: Mapped[str] = mapped_column(SealedText("webhooks.address"), deferred=True)
    signing_key: Mapped[str] = mapped_column(SealedText("webhooks.signing_key"), deferred=True)
    former_key: Mapped[str | None] = mapped_column(SealedText("webhooks.former_key"), deferred=True)
    former_key_until: Mapped[At | None]
    events: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    survey_ids: Mapped[list[int]] = mapped_column(ARRAY(sa.BigInteger), server_default="{}")
    silent_after_hours: Mapped[int] = mapped_column(server_default="48")
    is_on: Mapped[bool] = mapped_column(server_default=sa.true())
    on_since: Mapped[At]
    off_since: Mapped[At | None]
    off_because: Mapped[str | None] = mapped_column(sa.Text)
    failing_since: Mapped[At | None]
    failed_tries: Mapped[int] = mapped_column(server_default="0")
    rests_until: Mapped[At | None]
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        sa.CheckConstraint("silent_after_hours BETWEEN 6 AND 720", name="silent_after_hours"),
        sa.CheckConstraint("is_on = (off_since IS NULL)", name="off_since"),
        sa.CheckConstraint("(failing_since IS NULL) = (rests_until IS NULL)", name="failing_since"),
        sa.Index(None, "study_id"),
    )


class WebhookEvent(Model):
    """Something that webhooks of the study may be told of; it goes when their messages are written.

    Written in the transaction in which it happened. `data` holds numbers, ids and times, never an answer.
    """

    __tablename__ = "webhook_events"

    id: Mapped[Id]
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"), index=True)
    kind: Mapped[str] = mapped_column(sa.Text)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    at: Mapped[At]

    __table_args__ = (one_of("kind", (WebhookEventType.DATA_PROCESSED, WebhookEventType.ANSWER_ARRIVED)),)


class WebhookSilence(Model):
    """A participant of whose silence the webhook was told; it goes with the next upload.

    `since` is the last upload or registration before.
    """

    __tablename__ = "webhook_silences"

    webhook_id: Mapped[int] = mapped_column(sa.ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True)
    participant_id: Mapped[int] = mapped_column(
        sa.ForeignKey("participants.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    since: Mapped[At]
    raised_at: Mapped[At]


# Read with the study where a participant is claimed, so that processing asks nothing where no webhook wants to know.
Study.is_told_of_data = column_property(
    sa.exists()
    .where(
        Webhook.study_id == Study.id, Webhook.is_on, Webhook.events.contains([WebhookEventType.DATA_PROCESSED.value])
    )
    .correlate_except(Webhook),
    deferred=True,
)
