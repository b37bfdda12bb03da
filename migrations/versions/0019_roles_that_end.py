"""narrow roles, roles that end on a day, keys narrower than their owner

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("study_roles", sa.Column("ends_on", sa.Date(), nullable=True))
    op.add_column("study_roles", sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(op.f("ck_study_roles_ends"), "study_roles", "(ends_on IS NULL) = (ends_at IS NULL)")
    _allow_roles("study_admin", "study_researcher", "study_analyst", "study_viewer")
    op.add_column("api_keys", sa.Column("only_study_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_api_keys_only_study_id_studies"), "api_keys", "studies", ["only_study_id"], ["id"], ondelete="CASCADE"
    )
    op.add_column("api_keys", sa.Column("is_for_lists", sa.Boolean(), server_default=sa.text("false"), nullable=False))


def _allow_roles(*roles: str) -> None:
    """Replaces the CHECK of the roles that can be stored."""
    listed = ", ".join(f"'{role}'" for role in roles)
    op.drop_constraint(op.f("ck_study_roles_role"), "study_roles", type_="check")
    op.create_check_constraint(op.f("ck_study_roles_role"), "study_roles", f"role IN ({listed})")


def downgrade() -> None:
    # What a narrow role, a narrow key or an ended role allowed must not become more.
    op.execute("DELETE FROM api_keys WHERE only_study_id IS NOT NULL OR is_for_lists")
    op.drop_column("api_keys", "is_for_lists")
    op.drop_column("api_keys", "only_study_id")
    op.execute("DELETE FROM study_roles WHERE role IN ('study_analyst', 'study_viewer') OR ends_at <= now()")
    _allow_roles("study_admin", "study_researcher")
    op.drop_constraint(op.f("ck_study_roles_ends"), "study_roles", type_="check")
    op.drop_column("study_roles", "ends_at")
    op.drop_column("study_roles", "ends_on")
