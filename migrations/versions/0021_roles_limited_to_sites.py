"""known values of custom fields, roles limited to participants with some of them

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "field_options",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("field_id", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.CheckConstraint("length(value) BETWEEN 1 AND 200", name=op.f("ck_field_options_value")),
        sa.ForeignKeyConstraint(
            ["field_id"],
            ["custom_fields.id"],
            name=op.f("fk_field_options_field_id_custom_fields"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_field_options")),
        sa.UniqueConstraint("field_id", "value", name=op.f("uq_field_options_field_id_value")),
    )
    op.add_column("study_roles", sa.Column("limit_field_id", sa.BigInteger(), nullable=True))
    op.add_column(
        "study_roles", sa.Column("may_change_study", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_foreign_key(
        op.f("fk_study_roles_limit_field_id_custom_fields"),
        "study_roles",
        "custom_fields",
        ["limit_field_id"],
        ["id"],
        ondelete="RESTRICT",
    )
    op.create_check_constraint(
        op.f("ck_study_roles_limit"), "study_roles", "limit_field_id IS NULL OR role <> 'study_admin'"
    )
    op.create_check_constraint(
        op.f("ck_study_roles_may_change_study"), "study_roles", "limit_field_id IS NOT NULL OR NOT may_change_study"
    )
    op.create_index(
        "ix_study_roles_limit_field_id",
        "study_roles",
        ["limit_field_id"],
        postgresql_where=sa.text("limit_field_id IS NOT NULL"),
    )
    op.create_table(
        "study_role_sites",
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("researcher_id", sa.BigInteger(), nullable=False),
        sa.Column("option_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["option_id"],
            ["field_options.id"],
            name=op.f("fk_study_role_sites_option_id_field_options"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["study_id", "researcher_id"],
            ["study_roles.study_id", "study_roles.researcher_id"],
            name="fk_study_role_sites_role",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_id", "researcher_id", "option_id", name=op.f("pk_study_role_sites")),
    )
    op.create_index(op.f("ix_study_role_sites_option_id"), "study_role_sites", ["option_id"])


def downgrade() -> None:
    # A role that was limited to a site must not become one for the whole study.
    op.execute("DELETE FROM study_roles WHERE limit_field_id IS NOT NULL")
    op.drop_table("study_role_sites")
    op.drop_constraint(op.f("ck_study_roles_may_change_study"), "study_roles", type_="check")
    op.drop_constraint(op.f("ck_study_roles_limit"), "study_roles", type_="check")
    op.drop_column("study_roles", "may_change_study")
    op.drop_column("study_roles", "limit_field_id")
    op.drop_table("field_options")
