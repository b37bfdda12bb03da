"""when a study's nightly analyses were queued last, and an index for pages about nights

Revision ID: 0035
Revises: 0034
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("studies", sa.Column("last_night_on", sa.Date(), nullable=True))
    op.create_index(op.f("ix_forest_tasks_study_id_created_at"), "forest_tasks", ["study_id", "created_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_forest_tasks_study_id_created_at"), "forest_tasks")
    op.drop_column("studies", "last_night_on")
