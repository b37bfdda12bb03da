"""bounds of what cannot be read

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BEFORE = (
    "junk name",
    "participant retired",
    "study stopped",
    "same name still queued",
    "no file sent",
    "nothing in the file",
    "nothing in it to decrypt",
    "same name at the same moment",
    "too large",
)
NEW = "too much that cannot be read"


def upgrade() -> None:
    op.add_column("upload_problems", sa.Column("is_sender_proven", sa.Boolean(), nullable=True))
    _allow((*BEFORE, NEW))


def downgrade() -> None:
    op.execute(f"DELETE FROM refused_uploads WHERE reason = '{NEW}'")
    _allow(BEFORE)
    op.drop_column("upload_problems", "is_sender_proven")


def _allow(reasons: tuple[str, ...]) -> None:
    name = op.f("ck_refused_uploads_reason")
    op.drop_constraint(name, "refused_uploads")
    op.create_check_constraint(name, "refused_uploads", sa.column("reason").in_(reasons))
