"""Schedules of surveys, the scheduled events that follow from them, and attempts to notify participants."""

import uuid as uuids
from datetime import date, datetime, time
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id, one_of

SUCCESS = "success"
"""The status of an attempt that the push service accepted; every other status is a reason for failure."""


class EventState(StrEnum):
    """Whether an event is still to be sent. Unwanted events have no state: they are removed."""

    PENDING = "pending"
    DONE = "done"


class AttemptKind(StrEnum):
    """Where the event of an attempt came from: a schedule of that kind, or a researcher sending by hand."""

    WEEKLY = "weekly"
    ABSOLUTE = "absolute"
    RELATIVE = "relative"
    MANUAL = "manual"


class Schedule(Model):
    """One schedule of a survey (NOTIF-1). `kind` says which columns are set: `weekday` (0 = Sunday), or `falls_on`, or
    `intervention_id` with `days_after`; each with a `time_of_day` of whole minutes.
    """

    __tablename__ = "schedules"

    id: Mapped[Id]
    survey_id: Mapped[int] = mapped_column(sa.ForeignKey("surveys.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(sa.Text)
    weekday: Mapped[int | None] = mapped_column(sa.SmallInteger)
    falls_on: Mapped[date | None]
    intervention_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("interventions.id", ondelete="RESTRICT"), index=True
    )
    days_after: Mapped[int | None]
    time_of_day: Mapped[time]

    __table_args__ = (
        # The kinds are those of core.surveys.schedules.
        sa.CheckConstraint("kind IN ('weekly', 'absolute', 'relative')", name="kind"),
        sa.CheckConstraint("(kind = 'weekly') = (weekday IS NOT NULL)", name="weekly"),
        sa.CheckConstraint("(kind = 'absolute') = (falls_on IS NOT NULL)", name="absolute"),
        sa.CheckConstraint(
            "(kind = 'relative') = (intervention_id IS NOT NULL) AND (kind = 'relative') = (days_after IS NOT NULL)",
            name="relative",
        ),
        sa.CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
        sa.CheckConstraint("time_of_day < '24:00' AND extract(second FROM time_of_day) = 0", name="time_of_day"),
        # PostgreSQL 14 treats nulls as distinct, hence the substitute values.
        sa.Index(
            "uq_schedules_timing",
            "survey_id",
            "kind",
            "time_of_day",
            sa.text("coalesce(weekday, 0)"),
            sa.text("coalesce(falls_on, '-infinity'::date)"),
            sa.text("coalesce(intervention_id, 0)"),
            sa.text("coalesce(days_after, 0)"),
            unique=True,
        ),
    )


class ScheduledEvent(Model):
    """A survey to be asked of a participant at a moment (NOTIF-3). `schedule_id` is null for events sent by hand.

    `uuid` goes to the phone, which reports it back; null for events by hand and old ones.
    """

    __tablename__ = "scheduled_events"

    id: Mapped[Id]
    survey_id: Mapped[int] = mapped_column(sa.ForeignKey("surveys.id", ondelete="CASCADE"))
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    schedule_id: Mapped[int | None] = mapped_column(sa.ForeignKey("schedules.id", ondelete="CASCADE"))
    scheduled_at: Mapped[At]
    state: Mapped[str] = mapped_column(sa.Text, server_default=EventState.PENDING)
    uuid: Mapped[uuids.UUID | None] = mapped_column(unique=True, server_default=sa.func.gen_random_uuid())
    is_never_resent: Mapped[bool] = mapped_column(server_default=sa.false())
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        one_of("state", EventState),
        sa.UniqueConstraint("schedule_id", "participant_id", "scheduled_at"),
        sa.Index("ix_scheduled_events_pending", "scheduled_at", postgresql_where=sa.text("state = 'pending'")),
        sa.Index(None, "participant_id", "schedule_id"),
    )


class NotificationAttempt(Model):
    """One try to notify a participant of one version of a survey. Append-only, except for the receipt.

    `status` is `success` or a reason; `uuid` is the event's if the app can report its receipt;
    `researcher_name` is set for attempts by hand.
    """

    __tablename__ = "notification_attempts"

    id: Mapped[Id]
    survey_version_id: Mapped[int] = mapped_column(sa.ForeignKey("survey_versions.id", ondelete="RESTRICT"))
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    kind: Mapped[str] = mapped_column(sa.Text)
    scheduled_at: Mapped[At]
    status: Mapped[str] = mapped_column(sa.Text)
    uuid: Mapped[uuids.UUID | None]
    is_confirmed: Mapped[bool] = mapped_column(server_default=sa.false())
    was_resend: Mapped[bool] = mapped_column(server_default=sa.false())
    researcher_name: Mapped[str | None] = mapped_column(sa.Text)
    attempted_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())

    __table_args__ = (
        one_of("kind", AttemptKind),
        sa.CheckConstraint("kind = 'manual' OR researcher_name IS NULL", name="researcher_name"),
        sa.Index(
            "ix_notification_attempts_unconfirmed",
            "participant_id",
            "attempted_at",
            postgresql_where=sa.text("uuid IS NOT NULL AND NOT is_confirmed AND status = 'success'"),
        ),
        sa.Index("ix_notification_attempts_history", "participant_id", sa.text("attempted_at DESC")),
    )
