"""schedules at random times and of arms, how long surveys can be answered

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

TIMING = [
    "survey_id",
    "kind",
    "time_of_day",
    sa.literal_column("coalesce(weekday, 0)"),
    sa.literal_column("coalesce(falls_on, '-infinity'::date)"),
    sa.literal_column("coalesce(intervention_id, 0)"),
    sa.literal_column("coalesce(days_after, 0)"),
]
MORE = [
    sa.literal_column("coalesce(weekdays, 0)"),
    sa.literal_column("coalesce(window_last, '00:00:00'::time without time zone)"),
    sa.literal_column("coalesce(prompts, 0)"),
    sa.literal_column("coalesce(distance_minutes, 0)"),
    sa.literal_column("coalesce(arm_field_id, 0)"),
    sa.literal_column("coalesce(arm_value, ''::text)"),
]
KINDS = "kind IN ('weekly', 'absolute', 'relative'{})"
COLUMNS: dict[str, sa.types.TypeEngine] = {
    "weekdays": sa.SmallInteger(),
    "window_last": sa.Time(),
    "prompts": sa.SmallInteger(),
    "distance_minutes": sa.SmallInteger(),
    "seed": sa.Uuid(),
    "arm_field_id": sa.BigInteger(),
    "arm_value": sa.Text(),
    "begins_after": sa.DateTime(timezone=True),
    "ends_after": sa.DateTime(timezone=True),
}
CHECKS = {
    "random": "num_nonnulls(weekdays, window_last, prompts, distance_minutes, seed)"
    " = CASE WHEN kind = 'random' THEN 5 ELSE 0 END",
    "arm": "(arm_field_id IS NULL) = (arm_value IS NULL)",
    "window": "weekdays BETWEEN 1 AND 127 AND prompts >= 1 AND distance_minutes >= 1 AND window_last >= time_of_day"
    " AND extract(second FROM window_last) = 0",
}


def upgrade() -> None:
    for name, type_ in COLUMNS.items():
        op.add_column("schedules", sa.Column(name, type_, nullable=True))
    op.create_foreign_key(
        op.f("fk_schedules_arm_field_id_custom_fields"),
        "schedules",
        "custom_fields",
        ["arm_field_id"],
        ["id"],
        ondelete="RESTRICT",
    )
    op.create_index(op.f("ix_schedules_arm_field_id"), "schedules", ["arm_field_id"])
    op.drop_constraint(op.f("ck_schedules_kind"), "schedules", type_="check")
    op.create_check_constraint(op.f("ck_schedules_kind"), "schedules", KINDS.format(", 'random'"))
    for name, check in CHECKS.items():
        op.create_check_constraint(op.f(f"ck_schedules_{name}"), "schedules", check)
    op.drop_index("uq_schedules_timing", "schedules")
    op.create_index(
        "uq_schedules_timing",
        "schedules",
        [*TIMING, *MORE],
        unique=True,
        postgresql_where=sa.text("ends_after IS NULL"),
    )
    op.create_table(
        "field_value_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("field_id", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value_before", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_field_value_changes_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["field_id"],
            ["custom_fields.id"],
            name=op.f("fk_field_value_changes_field_id_custom_fields"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_field_value_changes")),
    )
    op.create_index(
        op.f("ix_field_value_changes_participant_id_field_id"), "field_value_changes", ["participant_id", "field_id"]
    )
    op.create_index(op.f("ix_field_value_changes_field_id"), "field_value_changes", ["field_id"])
    op.create_table(
        "survey_expiries",
        sa.Column("survey_id", sa.BigInteger(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.CheckConstraint("minutes BETWEEN 10 AND 44640", name=op.f("ck_survey_expiries_minutes")),
        sa.ForeignKeyConstraint(
            ["survey_id"], ["surveys.id"], name=op.f("fk_survey_expiries_survey_id_surveys"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("survey_id", name=op.f("pk_survey_expiries")),
    )
    op.add_column("studies", sa.Column("survey_expiry_minutes", sa.Integer(), server_default="1440", nullable=False))
    op.create_check_constraint(
        op.f("ck_studies_survey_expiry_minutes"), "studies", "survey_expiry_minutes BETWEEN 10 AND 44640"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_studies_survey_expiry_minutes"), "studies", type_="check")
    op.drop_column("studies", "survey_expiry_minutes")
    op.drop_table("survey_expiries")
    op.drop_table("field_value_changes")
    # Random schedules and those of an arm would otherwise ask everybody.
    op.execute("DELETE FROM schedules WHERE kind = 'random' OR arm_field_id IS NOT NULL OR ends_after IS NOT NULL")
    op.drop_index("uq_schedules_timing", "schedules")
    op.create_index("uq_schedules_timing", "schedules", TIMING, unique=True)
    for name in CHECKS:
        op.drop_constraint(op.f(f"ck_schedules_{name}"), "schedules", type_="check")
    op.drop_constraint(op.f("ck_schedules_kind"), "schedules", type_="check")
    op.create_check_constraint(op.f("ck_schedules_kind"), "schedules", KINDS.format(""))
    for name in COLUMNS:
        op.drop_column("schedules", name)
