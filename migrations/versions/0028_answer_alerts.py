"""alerts on answers: rules, recipients, alerts; mail addresses of researchers; templates of surveys

Revision ID: 0028
Revises: 0027
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0028"
down_revision = "0027"
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
    op.add_column("researchers", sa.Column("mail_address", sa.Text(), nullable=True))
    op.create_table(
        "alert_rules",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("survey_id", sa.BigInteger(), nullable=False),
        sa.Column("question_id", sa.Text(), nullable=False),
        sa.Column("comparison", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("options", ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("others", ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("escalates_after_minutes", sa.Integer(), nullable=True),
        sa.Column("webhook_address", sa.Text(), nullable=True),
        sa.Column("webhook_key", sa.Text(), nullable=True),
        sa.Column("effective_from", AT, nullable=False),
        sa.Column("created_at", AT, server_default=sa.text("now()"), nullable=False),
        sa.Column("removed_at", AT, nullable=True),
        sa.CheckConstraint(
            "comparison IN ('above', 'at least', 'below', 'at most', 'equal', 'any of')",
            name=op.f("ck_alert_rules_comparison"),
        ),
        sa.CheckConstraint("(comparison = 'any of') = (value IS NULL)", name=op.f("ck_alert_rules_value")),
        sa.CheckConstraint(
            "escalates_after_minutes BETWEEN 5 AND 10080", name=op.f("ck_alert_rules_escalates_after_minutes")
        ),
        *_links("alert_rules", ("study_id", "studies", "RESTRICT"), ("survey_id", "surveys", "RESTRICT")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_rules")),
    )
    op.create_index(op.f("ix_alert_rules_study_id"), "alert_rules", ["study_id"])
    op.create_index(
        "ix_alert_rules_active", "alert_rules", ["survey_id"], postgresql_where=sa.text("removed_at IS NULL")
    )
    op.create_table(
        "alert_recipients",
        sa.Column("rule_id", sa.BigInteger(), nullable=False),
        sa.Column("researcher_id", sa.BigInteger(), nullable=False),
        sa.Column("is_escalation", sa.Boolean(), nullable=False),
        *_links(
            "alert_recipients", ("rule_id", "alert_rules", "CASCADE"), ("researcher_id", "researchers", "CASCADE")
        ),
        sa.PrimaryKeyConstraint("rule_id", "researcher_id", "is_escalation", name=op.f("pk_alert_recipients")),
    )
    op.create_index(op.f("ix_alert_recipients_researcher_id"), "alert_recipients", ["researcher_id"])
    op.create_table(
        "answer_alerts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("rule_id", sa.BigInteger(), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("submission_id", sa.BigInteger(), nullable=True),
        sa.Column("raised_at", AT, nullable=False),
        sa.Column("is_listed_only", sa.Boolean(), nullable=False),
        sa.Column("is_unsure", sa.Boolean(), nullable=False),
        sa.Column("told_at", AT, nullable=True),
        sa.Column("untold", sa.Text(), nullable=True),
        sa.Column("escalated_at", AT, nullable=True),
        sa.Column("acknowledged_at", AT, nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        *_links(
            "answer_alerts",
            ("rule_id", "alert_rules", "RESTRICT"),
            ("study_id", "studies", "RESTRICT"),
            ("participant_id", "participants", "RESTRICT"),
            ("submission_id", "submissions", "SET NULL"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answer_alerts")),
        sa.UniqueConstraint("rule_id", "submission_id", name=op.f("uq_answer_alerts_rule_id_submission_id")),
    )
    op.create_index(
        op.f("ix_answer_alerts_study_id_raised_at_id"), "answer_alerts", ["study_id", "raised_at", "id"]
    )
    for column in ("participant_id", "submission_id"):
        op.create_index(op.f(f"ix_answer_alerts_{column}"), "answer_alerts", [column])
    op.create_index(
        "ix_answer_alerts_open",
        "answer_alerts",
        ["study_id"],
        postgresql_where=sa.text("acknowledged_at IS NULL AND NOT is_listed_only"),
    )
    op.create_index(
        "ix_answer_alerts_untold",
        "answer_alerts",
        ["id"],
        postgresql_where=sa.text("told_at IS NULL AND NOT is_listed_only"),
    )
    op.create_table(
        "alerts_seen",
        sa.Column("alert_id", sa.BigInteger(), nullable=False),
        sa.Column("researcher_id", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", AT, nullable=False),
        *_links("alerts_seen", ("alert_id", "answer_alerts", "CASCADE"), ("researcher_id", "researchers", "CASCADE")),
        sa.PrimaryKeyConstraint("alert_id", "researcher_id", name=op.f("pk_alerts_seen")),
    )
    op.create_index(op.f("ix_alerts_seen_researcher_id"), "alerts_seen", ["researcher_id"])
    op.create_table(
        "survey_templates",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("survey_type", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("scores", JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("researcher_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", AT, server_default=sa.text("now()"), nullable=False),
        sa.Column("removed_at", AT, nullable=True),
        *_links("survey_templates", ("researcher_id", "researchers", "SET NULL")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_survey_templates")),
    )
    op.create_index(op.f("ix_survey_templates_researcher_id"), "survey_templates", ["researcher_id"])
    for column, target in (("answer_alert_id", "answer_alerts"), ("researcher_id", "researchers")):
        op.add_column("outgoing_messages", sa.Column(column, sa.BigInteger(), nullable=True))
        op.create_foreign_key(
            op.f(f"fk_outgoing_messages_{column}_{target}"),
            "outgoing_messages",
            target,
            [column],
            ["id"],
            ondelete="CASCADE",
        )
        op.create_index(op.f(f"ix_outgoing_messages_{column}"), "outgoing_messages", [column])


def downgrade() -> None:
    for column, target in (("researcher_id", "researchers"), ("answer_alert_id", "answer_alerts")):
        op.drop_constraint(op.f(f"fk_outgoing_messages_{column}_{target}"), "outgoing_messages", type_="foreignkey")
        op.drop_column("outgoing_messages", column)
    for table in ("survey_templates", "alerts_seen", "answer_alerts", "alert_recipients", "alert_rules"):
        op.drop_table(table)
    op.drop_column("researchers", "mail_address")
