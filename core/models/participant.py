"""Participants, and when their phones last sent requests."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, joinedload, mapped_column, relationship
from sqlalchemy.orm.interfaces import LoaderOption

from core.database import Model
from core.models.columns import At, CreatedAt, Id, one_of
from core.models.study import Study
from core.streams import Platform

ACTIVITY_COLUMNS = (
    "last_upload_at",
    "last_surveys_at",
    "last_settings_at",
    "last_registered_at",
    "last_set_password_at",
    "last_set_push_token_at",
    "last_heartbeat_at",
)


class Participant(Model):
    """A participant (MODEL-30). Rows are never deleted: a purge empties them.

    `batch_id` is the batch that created it. `device_id` is empty until a phone registers; `os_type` is that of the
    last registration; `timezone_name` is null while the phone's zone is unknown; `is_watched_closely` keeps a status
    report with every request (PHONE-125). `external_id` is the clinic's own id; `is_test` marks a phone of the study
    team (CLAR-37); `retired_by_id` is the researcher who retired the participant, and may undo it (PORTAL-135).
    """

    __tablename__ = "participants"

    id: Mapped[Id]
    patient_id: Mapped[str] = mapped_column(sa.Text(collation="C"), unique=True)
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    password_hash: Mapped[str] = mapped_column(sa.Text)
    device_id: Mapped[str] = mapped_column(sa.Text, server_default="")
    os_type: Mapped[str | None] = mapped_column(sa.Text)
    timezone_name: Mapped[str | None] = mapped_column(sa.Text)
    has_easy_enrollment: Mapped[bool] = mapped_column(server_default=sa.false())
    is_watched_closely: Mapped[bool] = mapped_column(server_default=sa.false())
    batch_id: Mapped[int | None] = mapped_column(sa.ForeignKey("participant_batches.id", ondelete="RESTRICT"))
    external_id: Mapped[str | None] = mapped_column(sa.Text)
    is_test: Mapped[bool] = mapped_column(server_default=sa.false())
    retired_at: Mapped[At | None]
    retired_by_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    purge_asked_at: Mapped[At | None]
    purged_at: Mapped[At | None]
    created_at: Mapped[CreatedAt]

    study: Mapped[Study] = relationship(lazy="raise_on_sql")
    activity: Mapped["ParticipantActivity"] = relationship(lazy="raise_on_sql", passive_deletes=True)

    __table_args__ = (
        one_of("os_type", Platform),
        sa.CheckConstraint("patient_id ~ '^[1-9a-z]{1,8}$'", name="patient_id"),
        sa.Index(None, "study_id", "patient_id"),
        sa.Index(None, "study_id", "created_at"),
        sa.Index(
            "uq_participants_external_id",
            "study_id",
            sa.func.lower(external_id),
            unique=True,
            postgresql_where=sa.text("external_id IS NOT NULL"),
        ),
        sa.Index("ix_participants_batch_id", "batch_id", postgresql_where=sa.text("batch_id IS NOT NULL")),
    )

    @property
    def is_registered(self) -> bool:
        return bool(self.device_id)

    @property
    def is_locked_out(self) -> bool:
        """Whether a purge was asked for or done: all requests of phones are refused (PHONE-21)."""
        return bool(self.purge_asked_at or self.purged_at)


class ParticipantActivity(Model):
    """The newest request of each kind (PHONE-126), one small row that a phone's request rewrites in place.

    `last_heartbeat_push_at` is not the phone's: it is when a heartbeat was last pushed to it (NOTIF-60).

    The migration leaves room in each page (fillfactor 70), and nothing that changes is indexed: an update stays within
    its page (MODEL-101).
    """

    __tablename__ = "participant_activity"

    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="CASCADE"), primary_key=True)
    last_upload_at: Mapped[At | None]
    last_surveys_at: Mapped[At | None]
    last_settings_at: Mapped[At | None]
    first_registered_at: Mapped[At | None]
    last_registered_at: Mapped[At | None]
    last_set_password_at: Mapped[At | None]
    last_set_push_token_at: Mapped[At | None]
    last_heartbeat_at: Mapped[At | None]
    last_heartbeat_push_at: Mapped[At | None]
    last_version_code: Mapped[str | None] = mapped_column(sa.Text)
    last_version_name: Mapped[str | None] = mapped_column(sa.Text)
    last_os_version: Mapped[str | None] = mapped_column(sa.Text)
    last_activity_at: Mapped[datetime | None] = mapped_column(
        sa.DateTime(timezone=True), sa.Computed(f"greatest({', '.join(ACTIVITY_COLUMNS)})", persisted=True)
    )


class Heartbeat(Model):
    """A phone's sign of life, one per five minutes while its app runs (PHONE-59, MODEL-107). Append-only."""

    __tablename__ = "heartbeats"

    id: Mapped[Id]
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    at: Mapped[At]
    message: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (sa.Index(None, "participant_id", "at"),)


def with_study_and_key() -> LoaderOption:
    """Loader options that load a participant's study with its storage key, for code that reads or writes objects."""
    return joinedload(Participant.study).undefer(Study.encryption_key)


def with_webhooks() -> LoaderOption:
    """A loader option that reads, with the study, whether a webhook is told of its processed data."""
    return joinedload(Participant.study).undefer(Study.is_told_of_data)


def participant_with_study(session: Session, patient_id: str) -> Participant | None:
    """The participant with this id, study and activity loaded, or None; one query. Ids are unique over all studies."""
    query = sa.select(Participant).where(Participant.patient_id == patient_id)
    return session.scalar(query.options(with_study_and_key(), joinedload(Participant.activity)))


def participant_in_study(session: Session, study_id: int, patient_id: str) -> Participant | None:
    """The study's participant with this id, activity loaded, or None."""
    query = sa.select(Participant).where(Participant.patient_id == patient_id, Participant.study_id == study_id)
    return session.scalar(query.options(joinedload(Participant.activity)))
