"""push tokens

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "push_tokens",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("renewed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("service IN ('fcm', 'apns')", name=op.f("ck_push_tokens_service")),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_push_tokens_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_tokens")),
    )
    op.create_index(op.f("ix_push_tokens_participant_id"), "push_tokens", ["participant_id"], unique=False)
    op.create_index(
        "uq_push_tokens_participant",
        "push_tokens",
        ["participant_id", "service"],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL"),
    )
    op.create_index(
        "uq_push_tokens_token",
        "push_tokens",
        ["service", "token"],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("uq_push_tokens_token", table_name="push_tokens", postgresql_where=sa.text("retired_at IS NULL"))
    op.drop_index(
        "uq_push_tokens_participant", table_name="push_tokens", postgresql_where=sa.text("retired_at IS NULL")
    )
    op.drop_index(op.f("ix_push_tokens_participant_id"), table_name="push_tokens")
    op.drop_table("push_tokens")
