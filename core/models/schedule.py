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
    """Where the event of an attempt came from: a schedule of that kind, or a researcher sending by hand.

    Attempts of random schedules are absolute ones (CLAR-52).
    """

    WEEKLY = "weekly"
    ABSOLUTE = "absolute"
    RELATIVE = "relative"
    MANUAL = "manual"


class Schedule(Model):
    """One schedule of a survey (NOTIF-1). `kind` says which columns are set: `weekday` (0 = Sunday), or `falls_on`, or
    `intervention_id` with `days_after`; each with a `time_of_day` of whole minutes.

    A random one (CLAR-52) has `prompts` a day on `weekdays` (bit 0 = Sunday), from `time_of_day` to `window_last`, at
    least `distance_minutes` apart; what is drawn follows from its `seed`. One with `arm_field_id` is only for
    participants with the value `arm_value` of that field (CLAR-53).

    `begins_after` and `ends_after` are the moments of changes that take effect from a participant's next local day: the
    schedule asks on days after the local day of the one, up to the local day of the other. A row with `ends_after` was
    removed by its researcher; it is deleted once its last day is over everywhere.
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
    weekdays: Mapped[int | None] = mapped_column(sa.SmallInteger)
    window_last: Mapped[time | None]
    prompts: Mapped[int | None] = mapped_column(sa.SmallInteger)
    distance_minutes: Mapped[int | None] = mapped_column(sa.SmallInteger)
    seed: Mapped[uuids.UUID | None]
    arm_field_id: Mapped[int | None] = mapped_column(sa.ForeignKey("custom_fields.id", ondelete="RESTRICT"), index=True)
    arm_value: Mapped[str | None] = mapped_column(sa.Text)
    begins_after: Mapped[At | None]
    ends_after: Mapped[At | None]

    __table_args__ = (
        # The kinds are those of core.surveys.schedules.
        sa.CheckConstraint("kind IN ('weekly', 'absolute', 'relative', 'random')", name="kind"),
        sa.CheckConstraint("(kind = 'weekly') = (weekday IS NOT NULL)", name="weekly"),
        sa.CheckConstraint("(kind = 'absolute') = (falls_on IS NOT NULL)", name="absolute"),
        sa.CheckConstraint(
            "(kind = 'relative') = (intervention_id IS NOT NULL) AND (kind = 'relative') = (days_after IS NOT NULL)",
            name="relative",
        ),
        sa.CheckConstraint(
            "num_nonnulls(weekdays, window_last, prompts, distance_minutes, seed)"
            " = CASE WHEN kind = 'random' THEN 5 ELSE 0 END",
            name="random",
        ),
        sa.CheckConstraint("(arm_field_id IS NULL) = (arm_value IS NULL)", name="arm"),
        sa.CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
        sa.CheckConstraint(
            "weekdays BETWEEN 1 AND 127 AND prompts >= 1 AND distance_minutes >= 1 AND window_last >= time_of_day"
            " AND extract(second FROM window_last) = 0",
            name="window",
        ),
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
            sa.text("coalesce(weekdays, 0)"),
            sa.text("coalesce(window_last, '00:00:00'::time without time zone)"),
            sa.text("coalesce(prompts, 0)"),
            sa.text("coalesce(distance_minutes, 0)"),
            sa.text("coalesce(arm_field_id, 0)"),
            sa.text("coalesce(arm_value, ''::text)"),
            unique=True,
            postgresql_where=sa.text("ends_after IS NULL"),
        ),
    )


class SurveyExpiry(Model):
    """For how many minutes a survey can be answered, where that is not the study's time (CLAR-51)."""

    __tablename__ = "survey_expiries"

    survey_id: Mapped[int] = mapped_column(sa.ForeignKey("surveys.id", ondelete="CASCADE"), primary_key=True)
    minutes: Mapped[int]

    __table_args__ = (sa.CheckConstraint("minutes BETWEEN 10 AND 44640", name="minutes"),)


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
