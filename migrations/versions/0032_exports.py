"""exports that are built in the background, and whose data is in each

Revision ID: 0032
Revises: 0031
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "exports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("researcher_id", sa.BigInteger(), nullable=True),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("site_limit", JSONB(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("choice", JSONB(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("files_total", sa.Integer(), nullable=True),
        sa.Column("files_done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("bytes_done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("object_name", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("has_objects", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("part_bytes", sa.Integer(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", AT, server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", AT, nullable=True),
        sa.Column("moved_at", AT, nullable=True),
        sa.Column("ended_at", AT, nullable=True),
        sa.Column("expires_at", AT, nullable=True),
        sa.Column("removed_at", AT, nullable=True),
        sa.CheckConstraint("kind IN ('streams', 'answers', 'events')", name=op.f("ck_exports_kind")),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'expired')", name=op.f("ck_exports_state")
        ),
        sa.CheckConstraint(
            "state <> 'done' OR (size_bytes IS NOT NULL AND part_bytes > 0 AND octet_length(sha256) = 32"
            " AND expires_at IS NOT NULL AND has_objects)",
            name=op.f("ck_exports_done"),
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_exports_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["researcher_id"],
            ["researchers.id"],
            name=op.f("fk_exports_researcher_id_researchers"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_index(op.f("ix_exports_researcher_id"), "exports", ["researcher_id"])
    op.create_index(op.f("ix_exports_study_id_id"), "exports", ["study_id", "id"])
    for state in ("queued", "running"):
        op.create_index(f"ix_exports_{state}", "exports", ["id"], postgresql_where=sa.text(f"state = '{state}'"))
    op.create_index("ix_exports_has_objects", "exports", ["expires_at"], postgresql_where=sa.text("has_objects"))
    op.create_table(
        "export_participants",
        sa.Column("export_id", sa.BigInteger(), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["export_id"], ["exports.id"], name=op.f("fk_export_participants_export_id_exports"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_export_participants_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("export_id", "participant_id", name=op.f("pk_export_participants")),
    )
    op.create_index(op.f("ix_export_participants_participant_id"), "export_participants", ["participant_id"])


def downgrade() -> None:
    op.drop_table("export_participants")
    op.drop_table("exports")
