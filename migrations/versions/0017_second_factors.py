"""second factors, and where sessions are

Revision ID: 0017
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("totp_secret", "pending_totp_secret", "last_page"):
        op.add_column("researchers", sa.Column(name, sa.Text(), nullable=True))
    for name in ("totp_enabled_at", "pending_totp_at"):
        op.add_column("researchers", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("researchers", sa.Column("totp_last_step", sa.BigInteger(), nullable=True))
    op.add_column("researchers", sa.Column("appearance", sa.Text(), server_default="system", nullable=False))
    op.create_check_constraint(
        op.f("ck_researchers_appearance"), "researchers", "appearance IN ('system', 'light', 'dark')"
    )
    op.add_column("api_keys", sa.Column("last_used_for", sa.Text(), nullable=True))
    for name in ("address", "browser"):
        op.add_column("portal_sessions", sa.Column(name, sa.Text(), server_default="", nullable=False))
    op.add_column("studies", sa.Column("second_factor_for", sa.Text(), server_default="nobody", nullable=False))
    op.create_check_constraint(
        op.f("ck_studies_second_factor_for"),
        "studies",
        "second_factor_for IN ('nobody', 'administrators', 'everybody')",
    )
    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("researcher_id", sa.BigInteger(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["researcher_id"],
            ["researchers.id"],
            name=op.f("fk_recovery_codes_researcher_id_researchers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
        sa.UniqueConstraint("researcher_id", "code_hash", name=op.f("uq_recovery_codes_researcher_id_code_hash")),
    )
    op.create_index(op.f("ix_recovery_codes_researcher_id"), "recovery_codes", ["researcher_id"])
    op.create_table(
        "passkeys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("researcher_id", sa.BigInteger(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["researcher_id"],
            ["researchers.id"],
            name=op.f("fk_passkeys_researcher_id_researchers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkeys_credential_id")),
    )
    op.create_index(op.f("ix_passkeys_researcher_id"), "passkeys", ["researcher_id"])
    op.create_table(
        "used_challenges",
        sa.Column("challenge_hash", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("challenge_hash", name=op.f("pk_used_challenges")),
    )
    op.create_index(op.f("ix_used_challenges_used_at"), "used_challenges", ["used_at"])


def downgrade() -> None:
    for table in ("used_challenges", "passkeys", "recovery_codes"):
        op.drop_table(table)
    op.drop_constraint(op.f("ck_studies_second_factor_for"), "studies")
    op.drop_column("studies", "second_factor_for")
    for name in ("address", "browser"):
        op.drop_column("portal_sessions", name)
    op.drop_column("api_keys", "last_used_for")
    op.drop_constraint(op.f("ck_researchers_appearance"), "researchers")
    op.drop_column("researchers", "appearance")
    for name in ("totp_last_step", "totp_enabled_at", "pending_totp_at", "totp_secret", "pending_totp_secret", "last_page"):
        op.drop_column("researchers", name)
