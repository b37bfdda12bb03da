"""Forest: tasks, states, daily measures, and the switches of a study

Revision ID: 0033
Revises: 0032
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)
TREES = ("jasmine", "oak", "sycamore", "willow")
COUNTS = """
    jasmine_significant_location_count willow_incoming_text_count willow_incoming_text_degree
    willow_incoming_text_length willow_outgoing_text_count willow_outgoing_text_degree willow_outgoing_text_length
    willow_incoming_text_reciprocity willow_outgoing_text_reciprocity willow_outgoing_mms_count
    willow_incoming_mms_count willow_incoming_call_count willow_incoming_call_degree willow_outgoing_call_count
    willow_outgoing_call_degree willow_missed_call_count willow_missed_callers
    willow_uniq_individual_call_or_text_count sycamore_total_surveys sycamore_total_completed_surveys
    sycamore_total_opened_surveys
""".split()
AMOUNTS = """
    jasmine_distance_diameter jasmine_distance_from_home jasmine_distance_traveled jasmine_flight_distance_average
    jasmine_flight_distance_stddev jasmine_flight_duration_average jasmine_flight_duration_stddev
    jasmine_home_duration jasmine_gyration_radius jasmine_significant_location_entropy jasmine_pause_time
    jasmine_obs_duration jasmine_obs_day jasmine_obs_night jasmine_total_flight_time jasmine_av_pause_duration
    jasmine_sd_pause_duration willow_incoming_call_duration willow_outgoing_call_duration
    sycamore_average_time_to_submit sycamore_average_time_to_open sycamore_average_duration oak_walking_time
    oak_steps oak_cadence
""".split()


def _link(table, column, target, ondelete="RESTRICT"):
    return sa.ForeignKeyConstraint(
        [column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"), ondelete=ondelete
    )


def upgrade() -> None:
    for name in ("has_forest", "has_nightly_forest"):
        op.add_column("studies", sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "forest_tasks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("external_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("tree", sa.Text(), nullable=False),
        sa.Column("start_on", sa.Date(), nullable=False),
        sa.Column("end_on", sa.Date(), nullable=False),
        sa.Column("days", JSONB(), nullable=True),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("progress", sa.Text(), nullable=True),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("is_nightly", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=True),
        sa.Column("created_at", AT, server_default=sa.text("now()"), nullable=False),
        sa.Column("not_before", AT, server_default=sa.text("now()"), nullable=False),
        sa.Column("claimed_until", AT, nullable=True),
        sa.Column("started_at", AT, nullable=True),
        sa.Column("data_ready_at", AT, nullable=True),
        sa.Column("ended_at", AT, nullable=True),
        sa.Column("zone", sa.Text(), nullable=True),
        sa.Column("library_version", sa.Text(), nullable=True),
        sa.Column("input_files", sa.Integer(), nullable=True),
        sa.Column("input_bytes", sa.BigInteger(), nullable=True),
        sa.Column("output_path", sa.Text(), nullable=True),
        sa.Column("output_bytes", sa.BigInteger(), nullable=True),
        sa.Column("peak_memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("days_written", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("trace", sa.Text(), nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'success', 'error', 'cancelled')", name=op.f("ck_forest_tasks_state")
        ),
        sa.CheckConstraint("tree IN ('jasmine', 'oak', 'sycamore', 'willow')", name=op.f("ck_forest_tasks_tree")),
        sa.CheckConstraint("start_on <= end_on", name=op.f("ck_forest_tasks_start_on")),
        sa.CheckConstraint(
            "(state = 'running') = (claimed_until IS NOT NULL)", name=op.f("ck_forest_tasks_claimed_until")
        ),
        _link("forest_tasks", "study_id", "studies"),
        _link("forest_tasks", "participant_id", "participants"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forest_tasks")),
        sa.UniqueConstraint("external_id", name=op.f("uq_forest_tasks_external_id")),
    )
    op.create_index(
        "uq_forest_tasks_running",
        "forest_tasks",
        ["participant_id", "tree"],
        unique=True,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_forest_tasks_open",
        "forest_tasks",
        ["not_before", "id"],
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index(op.f("ix_forest_tasks_participant_id_tree"), "forest_tasks", ["participant_id", "tree"])
    op.create_index(op.f("ix_forest_tasks_study_id_id"), "forest_tasks", ["study_id", "id"])
    op.create_table(
        "forest_states",
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("up_to", sa.Date(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("library_version", sa.Text(), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=True),
        sa.Column("saved_at", AT, server_default=sa.text("now()"), nullable=False),
        _link("forest_states", "participant_id", "participants"),
        _link("forest_states", "task_id", "forest_tasks", "SET NULL"),
        sa.PrimaryKeyConstraint("participant_id", "up_to", name=op.f("pk_forest_states")),
    )
    op.create_index(op.f("ix_forest_states_task_id"), "forest_states", ["task_id"])
    op.create_table(
        "forest_days",
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in COUNTS),
        *(sa.Column(name, sa.Float(53), nullable=True) for name in AMOUNTS),
        *(sa.Column(f"{tree}_task_id", sa.BigInteger(), nullable=True) for tree in TREES),
        _link("forest_days", "participant_id", "participants"),
        _link("forest_days", "study_id", "studies"),
        *(_link("forest_days", f"{tree}_task_id", "forest_tasks", "SET NULL") for tree in TREES),
        sa.PrimaryKeyConstraint("participant_id", "day", name=op.f("pk_forest_days")),
    )
    op.create_index(op.f("ix_forest_days_study_id_day"), "forest_days", ["study_id", "day"])


def downgrade() -> None:
    for table in ("forest_days", "forest_states", "forest_tasks"):
        op.drop_table(table)
    for name in ("has_forest", "has_nightly_forest"):
        op.drop_column("studies", name)
