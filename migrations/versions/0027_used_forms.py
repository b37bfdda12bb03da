"""forms that were sent in once, and who sent a survey by hand

Revision ID: 0027
Revises: 0026
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "used_forms",
        sa.Column("key", sa.Uuid(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_used_forms")),
    )
    op.create_index(op.f("ix_used_forms_used_at"), "used_forms", ["used_at"])
    op.add_column("push_message_events", sa.Column("researcher_name", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("push_message_events", "researcher_name")
    op.drop_table("used_forms")
