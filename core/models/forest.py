"""Forest: tasks, jasmine's states, and daily measures (FOREST-20, FOREST-40)."""

import uuid as uuids
from datetime import date, datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id, one_of


class TaskState(StrEnum):
    """Whether a task still has to run. An interrupted task is queued again."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    CANCELLED = "cancelled"


class TreeName(StrEnum):
    """The trees, by the names that tasks and fields have."""

    JASMINE = "jasmine"
    OAK = "oak"
    SYCAMORE = "sycamore"
    WILLOW = "willow"


class ForestTask(Model):
    """One run of a tree on one participant's days `start_on` to `end_on`, inclusive, in the study's zone.

    `days` limits which days are written (ISO dates), null for all. `claimed_until` is when a running task counts as
    interrupted unless its process extends it; `not_before` delays the next try. `asked_by` is the actor's name.
    `zone` is the zone that it ran in. `reason` says in a sentence why it failed, or what it left out; `trace` is the
    library's stack trace. `output_path` and `output_bytes` are of the zip, null where there is none.
    """

    __tablename__ = "forest_tasks"

    id: Mapped[Id]
    external_id: Mapped[uuids.UUID] = mapped_column(
        unique=True, default=uuids.uuid4, server_default=sa.func.gen_random_uuid()
    )
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    tree: Mapped[str] = mapped_column(sa.Text)
    start_on: Mapped[date]
    end_on: Mapped[date]
    days: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))
    state: Mapped[str] = mapped_column(sa.Text, server_default=TaskState.QUEUED)
    progress: Mapped[str | None] = mapped_column(sa.Text)
    tries: Mapped[int] = mapped_column(sa.SmallInteger, server_default="0")
    is_nightly: Mapped[bool] = mapped_column(server_default=sa.false())
    asked_by: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[CreatedAt]
    not_before: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())
    claimed_until: Mapped[At | None]
    started_at: Mapped[At | None]
    data_ready_at: Mapped[At | None]
    ended_at: Mapped[At | None]
    zone: Mapped[str | None] = mapped_column(sa.Text)
    library_version: Mapped[str | None] = mapped_column(sa.Text)
    input_files: Mapped[int | None]
    input_bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    output_path: Mapped[str | None] = mapped_column(sa.Text)
    output_bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    peak_memory_bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    days_written: Mapped[int | None]
    reason: Mapped[str | None] = mapped_column(sa.Text)
    trace: Mapped[str | None] = mapped_column(sa.Text)
    report: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (
        one_of("state", TaskState),
        one_of("tree", TreeName),
        sa.CheckConstraint("start_on <= end_on", name="start_on"),
        sa.CheckConstraint("(state = 'running') = (claimed_until IS NOT NULL)", name="claimed_until"),
        sa.Index(
            "uq_forest_tasks_running",
            "participant_id",
            "tree",
            unique=True,
            postgresql_where=sa.text("state = 'running'"),
        ),
        sa.Index(
            "ix_forest_tasks_open", "not_before", "id", postgresql_where=sa.text("state IN ('queued', 'running')")
        ),
        sa.Index(None, "participant_id", "tree"),
        sa.Index(None, "study_id", "id"),
        sa.Index(None, "study_id", "created_at"),
    )


class ForestState(Model):
    """Jasmine's state of a participant after the day `up_to`: arrays of numbers, sealed in the store at `path`."""

    __tablename__ = "forest_states"

    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"), primary_key=True)
    up_to: Mapped[date] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(sa.Text)
    library_version: Mapped[str] = mapped_column(sa.Text)
    task_id: Mapped[int | None] = mapped_column(sa.ForeignKey("forest_tasks.id", ondelete="SET NULL"), index=True)
    saved_at: Mapped[CreatedAt]


COUNTS = [
    "jasmine_significant_location_count",
    "willow_incoming_text_count",
    "willow_incoming_text_degree",
    "willow_incoming_text_length",
    "willow_outgoing_text_count",
    "willow_outgoing_text_degree",
    "willow_outgoing_text_length",
    "willow_incoming_text_reciprocity",
    "willow_outgoing_text_reciprocity",
    "willow_outgoing_mms_count",
    "willow_incoming_mms_count",
    "willow_incoming_call_count",
    "willow_incoming_call_degree",
    "willow_outgoing_call_count",
    "willow_outgoing_call_degree",
    "willow_missed_call_count",
    "willow_missed_callers",
    "willow_uniq_individual_call_or_text_count",
    "sycamore_total_surveys",
    "sycamore_total_completed_surveys",
    "sycamore_total_opened_surveys",
]
AMOUNTS = [
    "jasmine_distance_diameter",
    "jasmine_distance_from_home",
    "jasmine_distance_traveled",
    "jasmine_flight_distance_average",
    "jasmine_flight_distance_stddev",
    "jasmine_flight_duration_average",
    "jasmine_flight_duration_stddev",
    "jasmine_home_duration",
    "jasmine_gyration_radius",
    "jasmine_significant_location_entropy",
    "jasmine_pause_time",
    "jasmine_obs_duration",
    "jasmine_obs_day",
    "jasmine_obs_night",
    "jasmine_total_flight_time",
    "jasmine_av_pause_duration",
    "jasmine_sd_pause_duration",
    "willow_incoming_call_duration",
    "willow_outgoing_call_duration",
    "sycamore_average_time_to_submit",
    "sycamore_average_time_to_open",
    "sycamore_average_duration",
    "oak_walking_time",
    "oak_steps",
    "oak_cadence",
]


def task_column(tree: str) -> str:
    """The column that names the task which last wrote a tree's part of a row."""
    return f"{tree}_task_id"


class ForestDay(Model):
    """The measures of one participant and day, a part for each tree, and the task that last wrote each part.

    Apart from `daily_statistics`, whose rows are computed anew whenever chunks change. Columns have the names of the
    exported fields, in small letters.
    """

    __tablename__ = "forest_days"

    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))

    for _name in COUNTS:
        locals()[_name] = sa.Column(_name, sa.BigInteger, nullable=True)
    for _name in AMOUNTS:
        locals()[_name] = sa.Column(_name, sa.Float(53), nullable=True)
    for _name in TreeName:
        locals()[f"{_name}_task_id"] = sa.Column(
            f"{_name}_task_id", sa.BigInteger, sa.ForeignKey("forest_tasks.id", ondelete="SET NULL"), nullable=True
        )
    del _name

    __table_args__ = (sa.Index(None, "study_id", "day"),)
