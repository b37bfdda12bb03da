"""surveys and schedules

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# The newest version of a survey equals it; for those that are here already it is their first.
FIRST_VERSIONS = """
    INSERT INTO survey_versions (survey_id, started_at, survey_type, content, settings, is_deleted)
    SELECT id, greatest(created_at, deleted_at), survey_type, content, settings, deleted_at IS NOT NULL FROM surveys
"""


def upgrade() -> None:
    op.create_table(
        "interventions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_interventions_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interventions")),
    )
    op.create_index(
        "uq_interventions_name", "interventions", ["study_id", sa.literal_column("lower(name)")], unique=True
    )
    op.create_table(
        "intervention_dates",
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("intervention_id", sa.BigInteger(), nullable=False),
        sa.Column("happens_on", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["intervention_id"],
            ["interventions.id"],
            name=op.f("fk_intervention_dates_intervention_id_interventions"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_intervention_dates_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("participant_id", "intervention_id", name=op.f("pk_intervention_dates")),
    )
    op.create_index(
        op.f("ix_intervention_dates_intervention_id"), "intervention_dates", ["intervention_id"], unique=False
    )
    op.create_table(
        "schedules",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("survey_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("weekday", sa.SmallInteger(), nullable=True),
        sa.Column("falls_on", sa.Date(), nullable=True),
        sa.Column("intervention_id", sa.BigInteger(), nullable=True),
        sa.Column("days_after", sa.Integer(), nullable=True),
        sa.Column("time_of_day", sa.Time(), nullable=False),
        sa.CheckConstraint("(kind = 'absolute') = (falls_on IS NOT NULL)", name=op.f("ck_schedules_absolute")),
        sa.CheckConstraint(
            "(kind = 'relative') = (intervention_id IS NOT NULL) AND (kind = 'relative') = (days_after IS NOT NULL)",
            name=op.f("ck_schedules_relative"),
        ),
        sa.CheckConstraint("(kind = 'weekly') = (weekday IS NOT NULL)", name=op.f("ck_schedules_weekly")),
        sa.CheckConstraint("kind IN ('weekly', 'absolute', 'relative')", name=op.f("ck_schedules_kind")),
        sa.CheckConstraint(
            "time_of_day < '24:00' AND extract(second FROM time_of_day) = 0", name=op.f("ck_schedules_time_of_day")
        ),
        sa.CheckConstraint("weekday BETWEEN 0 AND 6", name=op.f("ck_schedules_weekday")),
        sa.ForeignKeyConstraint(
            ["intervention_id"],
            ["interventions.id"],
            name=op.f("fk_schedules_intervention_id_interventions"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["survey_id"], ["surveys.id"], name=op.f("fk_schedules_survey_id_surveys"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
    )
    op.create_index(op.f("ix_schedules_intervention_id"), "schedules", ["intervention_id"], unique=False)
    op.create_index(
        "uq_schedules_timing",
        "schedules",
        [
            "survey_id",
            "kind",
            "time_of_day",
            sa.literal_column("coalesce(weekday, 0)"),
            sa.literal_column("coalesce(falls_on, '-infinity'::date)"),
            sa.literal_column("coalesce(intervention_id, 0)"),
            sa.literal_column("coalesce(days_after, 0)"),
        ],
        unique=True,
    )
    op.create_table(
        "survey_versions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("survey_id", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("survey_type", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["survey_id"], ["surveys.id"], name=op.f("fk_survey_versions_survey_id_surveys"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_survey_versions")),
        sa.UniqueConstraint("survey_id", "started_at", name=op.f("uq_survey_versions_survey_id_started_at")),
    )
    op.create_table(
        "notification_attempts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("survey_version_id", sa.BigInteger(), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scheduled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=True),
        sa.Column("is_confirmed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("was_resend", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("researcher_name", sa.Text(), nullable=True),
        sa.Column("attempted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "kind = 'manual' OR researcher_name IS NULL", name=op.f("ck_notification_attempts_researcher_name")
        ),
        sa.CheckConstraint(
            "kind IN ('weekly', 'absolute', 'relative', 'manual')", name=op.f("ck_notification_attempts_kind")
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_notification_attempts_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["survey_version_id"],
            ["survey_versions.id"],
            name=op.f("fk_notification_attempts_survey_version_id_survey_versions"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_attempts")),
    )
    op.create_index(
        "ix_notification_attempts_history",
        "notification_attempts",
        ["participant_id", sa.literal_column("attempted_at DESC")],
        unique=False,
    )
    op.create_index(
        "ix_notification_attempts_unconfirmed",
        "notification_attempts",
        ["participant_id", "attempted_at"],
        unique=False,
        postgresql_where=sa.text("uuid IS NOT NULL AND NOT is_confirmed AND status = 'success'"),
    )
    op.create_table(
        "scheduled_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("survey_id", sa.BigInteger(), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("schedule_id", sa.BigInteger(), nullable=True),
        sa.Column("scheduled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("uuid", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=True),
        sa.Column("is_never_resent", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'done')", name=op.f("ck_scheduled_events_state")),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_scheduled_events_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["schedules.id"],
            name=op.f("fk_scheduled_events_schedule_id_schedules"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["survey_id"], ["surveys.id"], name=op.f("fk_scheduled_events_survey_id_surveys"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled_events")),
        sa.UniqueConstraint(
            "schedule_id",
            "participant_id",
            "scheduled_at",
            name=op.f("uq_scheduled_events_schedule_id_participant_id_scheduled_at"),
        ),
        sa.UniqueConstraint("uuid", name=op.f("uq_scheduled_events_uuid")),
    )
    op.create_index(
        op.f("ix_scheduled_events_participant_id_schedule_id"),
        "scheduled_events",
        ["participant_id", "schedule_id"],
        unique=False,
    )
    op.create_index(
        "ix_scheduled_events_pending",
        "scheduled_events",
        ["scheduled_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.execute(FIRST_VERSIONS)


def downgrade() -> None:
    op.drop_index(
        "ix_scheduled_events_pending", table_name="scheduled_events", postgresql_where=sa.text("state = 'pending'")
    )
    op.drop_index(op.f("ix_scheduled_events_participant_id_schedule_id"), table_name="scheduled_events")
    op.drop_table("scheduled_events")
    op.drop_index(
        "ix_notification_attempts_unconfirmed",
        table_name="notification_attempts",
        postgresql_where=sa.text("uuid IS NOT NULL AND NOT is_confirmed AND status = 'success'"),
    )
    op.drop_index("ix_notification_attempts_history", table_name="notification_attempts")
    op.drop_table("notification_attempts")
    op.drop_table("survey_versions")
    op.drop_index("uq_schedules_timing", table_name="schedules")
    op.drop_index(op.f("ix_schedules_intervention_id"), table_name="schedules")
    op.drop_table("schedules")
    op.drop_index(op.f("ix_intervention_dates_intervention_id"), table_name="intervention_dates")
    op.drop_table("intervention_dates")
    op.drop_index("uq_interventions_name", table_name="interventions")
    op.drop_table("interventions")
