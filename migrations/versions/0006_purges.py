"""progress of purges

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "purges",
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("files_deleted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("versions_deleted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "rows_deleted", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_purges_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("participant_id", name=op.f("pk_purges")),
    )


def downgrade() -> None:
    op.drop_table("purges")
