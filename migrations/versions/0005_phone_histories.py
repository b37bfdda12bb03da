"""phone histories and switches

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "switches",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("turned_on_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("turned_on_by", sa.Text(), nullable=True),
        sa.CheckConstraint("name IN ('downtime')", name=op.f("ck_switches_name")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_switches")),
    )
    op.create_table(
        "tallies",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), server_default="", nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "label", name=op.f("pk_tallies")),
    )
    op.create_table(
        "app_versions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("os_type", sa.Text(), nullable=True),
        sa.Column("version_code", sa.Text(), nullable=True),
        sa.Column("version_name", sa.Text(), nullable=True),
        sa.Column("os_version", sa.Text(), nullable=True),
        sa.CheckConstraint("os_type IN ('ANDROID', 'IOS')", name=op.f("ck_app_versions_os_type")),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_app_versions_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_versions")),
    )
    op.create_index(op.f("ix_app_versions_participant_id_at"), "app_versions", ["participant_id", "at"], unique=False)
    op.create_table(
        "participant_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint(
            "kind IN ('registered', 'device changed', 'password changed')", name=op.f("ck_participant_events_kind")
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_participant_events_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_participant_events")),
    )
    op.create_index(
        op.f("ix_participant_events_participant_id_at"), "participant_events", ["participant_id", "at"], unique=False
    )
    op.create_table(
        "phone_reports",
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("notification_report", sa.Text(), nullable=True),
        sa.Column("active_survey_ids", sa.Text(), nullable=True),
        sa.Column("supported_features", sa.Text(), nullable=True),
        sa.Column("device_status", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_phone_reports_participant_id_participants"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("participant_id", name=op.f("pk_phone_reports")),
    )
    op.execute("ALTER TABLE phone_reports SET (fillfactor = 70)")  # rewritten with nearly every request
    op.create_table(
        "push_receipts",
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_push_receipts_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("participant_id", "uuid", name=op.f("pk_push_receipts")),
    )
    op.create_table(
        "refused_uploads",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "reason IN ('junk name', 'participant retired', 'study stopped', 'same name still queued', 'no file sent', 'nothing in the file', 'nothing in it to decrypt', 'same name at the same moment', 'too large')",
            name=op.f("ck_refused_uploads_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_refused_uploads_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refused_uploads")),
        sa.UniqueConstraint(
            "participant_id", "file_name", "reason", name=op.f("uq_refused_uploads_participant_id_file_name_reason")
        ),
    )
    op.create_table(
        "status_reports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("os_type", sa.Text(), nullable=True),
        sa.Column("os_version", sa.Text(), nullable=True),
        sa.Column("version_code", sa.Text(), nullable=True),
        sa.Column("version_name", sa.Text(), nullable=True),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("report", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("os_type IN ('ANDROID', 'IOS')", name=op.f("ck_status_reports_os_type")),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_status_reports_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_status_reports")),
    )
    op.create_index(
        op.f("ix_status_reports_participant_id_at"), "status_reports", ["participant_id", "at"], unique=False
    )
    op.add_column(
        "participants", sa.Column("is_watched_closely", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("participants", "is_watched_closely")
    op.drop_index(op.f("ix_status_reports_participant_id_at"), table_name="status_reports")
    op.drop_table("status_reports")
    op.drop_table("refused_uploads")
    op.drop_table("push_receipts")
    op.drop_table("phone_reports")
    op.drop_index(op.f("ix_participant_events_participant_id_at"), table_name="participant_events")
    op.drop_table("participant_events")
    op.drop_index(op.f("ix_app_versions_participant_id_at"), table_name="app_versions")
    op.drop_table("app_versions")
    op.drop_table("tallies")
    op.drop_table("switches")
