"""push credentials

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "push_credentials",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("contents", sa.Text(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('backend', 'android', 'ios', 'apns')", name=op.f("ck_push_credentials_kind")),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_push_credentials")),
    )


def downgrade() -> None:
    op.drop_table("push_credentials")
