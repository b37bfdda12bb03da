"""daily statistics: bytes by stream and day

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# The numbers of the stream table, which never change.
NUMBERS = {
    "accelerometer": 1,
    "ambient_audio": 19,
    "app_log": 2,
    "bluetooth": 3,
    "calls": 4,
    "devicemotion": 5,
    "gps": 6,
    "gyro": 7,
    "identifiers": 8,
    "ios_log": 9,
    "magnetometer": 10,
    "power_state": 11,
    "proximity": 12,
    "reachability": 13,
    "survey_answers": 17,
    "survey_timings": 14,
    "texts": 15,
    "audio_recordings": 18,
    "wifi": 16,
}


def upgrade() -> None:
    op.create_table(
        "daily_statistics",
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        *(sa.Column(f"{stream}_bytes", sa.BigInteger(), nullable=True) for stream in NUMBERS),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_daily_statistics_participant_id_participants"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_daily_statistics_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("participant_id", "day", name=op.f("pk_daily_statistics")),
    )
    op.create_index(op.f("ix_daily_statistics_study_id_day"), "daily_statistics", ["study_id", "day"], unique=False)
    sums = ", ".join(
        f"sum(chunks.size_bytes) FILTER (WHERE chunks.stream = {number})" for number in NUMBERS.values()
    )
    columns = ", ".join(f"{stream}_bytes" for stream in NUMBERS)
    op.execute(
        f"INSERT INTO daily_statistics (participant_id, day, study_id, {columns})"
        f" SELECT chunks.participant_id, (chunks.time_bin AT TIME ZONE studies.timezone_name)::date, chunks.study_id, {sums}"
        " FROM chunks JOIN studies ON studies.id = chunks.study_id"
        " JOIN pg_timezone_names ON pg_timezone_names.name = studies.timezone_name"
        " GROUP BY 1, 2, 3"
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_daily_statistics_study_id_day"), table_name="daily_statistics")
    op.drop_table("daily_statistics")
