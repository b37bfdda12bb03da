"""mails, webhooks and Prefect events that the server sends; languages of studies, translations

Revision ID: 0025
Revises: 0024
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "outgoing_messages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("signing_key", sa.Text(), nullable=True),
        sa.Column("contents", JSONB(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("once_key", sa.LargeBinary(), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", AT, server_default=sa.text("now()"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try_at", AT, nullable=True),
        sa.Column("delivered_at", AT, nullable=True),
        sa.Column("given_up_at", AT, nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.CheckConstraint("channel IN ('mail', 'webhook', 'prefect')", name=op.f("ck_outgoing_messages_channel")),
        sa.CheckConstraint(
            "num_nonnulls(next_try_at, delivered_at, given_up_at) = 1", name=op.f("ck_outgoing_messages_state")
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_outgoing_messages_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outgoing_messages")),
        sa.UniqueConstraint("uuid", name=op.f("uq_outgoing_messages_uuid")),
        sa.UniqueConstraint("once_key", name=op.f("uq_outgoing_messages_once_key")),
    )
    op.create_index(
        "ix_outgoing_messages_waiting",
        "outgoing_messages",
        ["next_try_at"],
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
    )
    for column in ("about", "created_at"):
        op.create_index(op.f(f"ix_outgoing_messages_{column}"), "outgoing_messages", [column])
    op.create_table(
        "study_languages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_base", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("one_survey", sa.Text(), nullable=True),
        sa.Column("several_surveys", sa.Text(), nullable=True),
        sa.Column("heartbeat", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_study_languages_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study_languages")),
    )
    op.create_index(
        "uq_study_languages_code", "study_languages", ["study_id", sa.text("lower(code)")], unique=True
    )
    op.create_index(
        "uq_study_languages_base",
        "study_languages",
        ["study_id"],
        unique=True,
        postgresql_where=sa.text("is_base"),
    )
    op.create_table(
        "survey_translations",
        sa.Column("survey_id", sa.BigInteger(), nullable=False),
        sa.Column("language_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("texts", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("edit_number", sa.Integer(), server_default="0", nullable=False),
        sa.Column("researcher_id", sa.BigInteger(), nullable=True),
        sa.Column("saved_at", AT, nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [column], [target], name=op.f(f"fk_survey_translations_{column}_{target[:-3]}"), ondelete=ondelete
            )
            for column, target, ondelete in (
                ("survey_id", "surveys.id", "CASCADE"),
                ("language_id", "study_languages.id", "CASCADE"),
                ("researcher_id", "researchers.id", "SET NULL"),
            )
        ),
        sa.PrimaryKeyConstraint("survey_id", "language_id", name=op.f("pk_survey_translations")),
    )
    op.create_index(op.f("ix_survey_translations_language_id"), "survey_translations", ["language_id"])
    op.add_column("studies", sa.Column("language_field_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_studies_language_field_id_custom_fields"),
        "studies",
        "custom_fields",
        ["language_field_id"],
        ["id"],
        ondelete="SET NULL",
    )


def downgrade() -> None:
    op.drop_constraint(op.f("fk_studies_language_field_id_custom_fields"), "studies", type_="foreignkey")
    op.drop_column("studies", "language_field_id")
    op.drop_table("survey_translations")
    op.drop_table("study_languages")
    op.drop_table("outgoing_messages")
