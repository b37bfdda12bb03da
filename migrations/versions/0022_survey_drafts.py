"""surveys that are not published yet, and drafts of surveys

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("surveys", sa.Column("published_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("surveys", sa.Column("edit_number", sa.Integer(), server_default="0", nullable=False))
    # Until now each survey was on phones from its first save.
    op.execute(
        "UPDATE surveys SET published_at = coalesce("
        "(SELECT min(started_at) FROM survey_versions WHERE survey_id = surveys.id), created_at)"
    )
    op.create_table(
        "survey_drafts",
        sa.Column("survey_id", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("base_version_id", sa.BigInteger(), nullable=True),
        sa.Column("researcher_id", sa.BigInteger(), nullable=True),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["survey_id"], ["surveys.id"], name=op.f("fk_survey_drafts_survey_id_surveys"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["base_version_id"],
            ["survey_versions.id"],
            name=op.f("fk_survey_drafts_base_version_id_survey_versions"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["researcher_id"],
            ["researchers.id"],
            name=op.f("fk_survey_drafts_researcher_id_researchers"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("survey_id", name=op.f("pk_survey_drafts")),
    )


def downgrade() -> None:
    # Before, every survey was on phones: one that was never published would appear there, so it goes.
    op.drop_table("survey_drafts")
    op.execute("DELETE FROM surveys WHERE published_at IS NULL")
    op.drop_column("surveys", "edit_number")
    op.drop_column("surveys", "published_at")
