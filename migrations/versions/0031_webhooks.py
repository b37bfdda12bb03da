"""webhooks of studies: addresses, events that wait, silent participants; messages that name them

Revision ID: 0031
Revises: 0030
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def _links(table: str, *links: tuple[str, str, str]) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint(
            [column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"), ondelete=ondelete
        )
        for column, target, ondelete in links
    ]


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("signing_key", sa.Text(), nullable=False),
        sa.Column("former_key", sa.Text(), nullable=True),
        sa.Column("former_key_until", AT, nullable=True),
        sa.Column("events", ARRAY(sa.Text()), nullable=False),
        sa.Column("survey_ids", ARRAY(sa.BigInteger()), server_default="{}", nullable=False),
        sa.Column("silent_after_hours", sa.Integer(), server_default="48", nullable=False),
        sa.Column("is_on", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("on_since", AT, nullable=False),
        sa.Column("off_since", AT, nullable=True),
        sa.Column("off_because", sa.Text(), nullable=True),
        sa.Column("failing_since", AT, nullable=True),
        sa.Column("failed_tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rests_until", AT, nullable=True),
        sa.Column("created_at", AT, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("silent_after_hours BETWEEN 6 AND 720", name=op.f("ck_webhooks_silent_after_hours")),
        sa.CheckConstraint("is_on = (off_since IS NULL)", name=op.f("ck_webhooks_off_since")),
        sa.CheckConstraint("(failing_since IS NULL) = (rests_until IS NULL)", name=op.f("ck_webhooks_failing_since")),
        *_links("webhooks", ("study_id", "studies", "RESTRICT")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index(op.f("ix_webhooks_study_id"), "webhooks", ["study_id"])
    op.create_table(
        "webhook_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("data", JSONB(), nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.CheckConstraint("kind IN ('data.processed', 'answer.arrived')", name=op.f("ck_webhook_events_kind")),
        *_links(
            "webhook_events", ("study_id", "studies", "RESTRICT"), ("participant_id", "participants", "RESTRICT")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_events")),
    )
    op.create_index(op.f("ix_webhook_events_participant_id"), "webhook_events", ["participant_id"])
    op.create_table(
        "webhook_silences",
        sa.Column("webhook_id", sa.BigInteger(), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("since", AT, nullable=False),
        sa.Column("raised_at", AT, nullable=False),
        *_links(
            "webhook_silences", ("webhook_id", "webhooks", "CASCADE"), ("participant_id", "participants", "RESTRICT")
        ),
        sa.PrimaryKeyConstraint("webhook_id", "participant_id", name=op.f("pk_webhook_silences")),
    )
    op.create_index(op.f("ix_webhook_silences_participant_id"), "webhook_silences", ["participant_id"])
    for column, target, ondelete in (
        ("webhook_id", "webhooks", "CASCADE"),
        ("participant_id", "participants", "RESTRICT"),
    ):
        op.add_column("outgoing_messages", sa.Column(column, sa.BigInteger(), nullable=True))
        op.create_foreign_key(
            op.f(f"fk_outgoing_messages_{column}_{target}"),
            "outgoing_messages",
            target,
            [column],
            ["id"],
            ondelete=ondelete,
        )
    indexes = (
        ("ix_outgoing_messages_of_webhook", ["webhook_id", "id"], "webhook_id IS NOT NULL"),
        (
            "ix_outgoing_messages_not_delivered",
            ["webhook_id", "id"],
            "webhook_id IS NOT NULL AND delivered_at IS NULL",
        ),
        ("ix_outgoing_messages_participant_id", ["participant_id"], "participant_id IS NOT NULL"),
    )
    for name, columns, where in indexes:
        op.create_index(name, "outgoing_messages", columns, postgresql_where=sa.text(where))


def downgrade() -> None:
    # Messages to webhooks have no address of their own: nothing could be done with them.
    op.execute("DELETE FROM outgoing_messages WHERE webhook_id IS NOT NULL")
    for column, target in (("participant_id", "participants"), ("webhook_id", "webhooks")):
        op.drop_constraint(op.f(f"fk_outgoing_messages_{column}_{target}"), "outgoing_messages", type_="foreignkey")
        op.drop_column("outgoing_messages", column)
    for table in ("webhook_silences", "webhook_events", "webhooks"):
        op.drop_table(table)
