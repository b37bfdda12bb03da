"""batches of participants, made in the background

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "participant_batches",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("made", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("asked_by", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'working', 'done')", name=op.f("ck_participant_batches_state")
        ),
        sa.CheckConstraint("made BETWEEN 0 AND wanted", name=op.f("ck_participant_batches_made")),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_participant_batches_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_participant_batches")),
    )
    op.create_index(op.f("ix_participant_batches_study_id"), "participant_batches", ["study_id"], unique=False)
    op.create_index(
        "ix_participant_batches_open", "participant_batches", ["id"], unique=False,
        postgresql_where=sa.text("state <> 'done'"),
    )
    op.add_column("participants", sa.Column("batch_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_participants_batch_id_participant_batches"), "participants", "participant_batches", ["batch_id"],
        ["id"], ondelete="RESTRICT",
    )
    op.create_index(
        "ix_participants_batch_id", "participants", ["batch_id"], unique=False,
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_participants_batch_id", table_name="participants")
    op.drop_constraint(op.f("fk_participants_batch_id_participant_batches"), "participants", type_="foreignkey")
    op.drop_column("participants", "batch_id")
    op.drop_table("participant_batches")
